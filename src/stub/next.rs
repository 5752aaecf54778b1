//! `/__stub/next/`: what becomes of the next API requests, for clients that cannot set headers.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use serde::Serialize;

use super::documented::Documented;
use super::headers::{MAX_DELAY_MS, Steering};
use super::input::Input;
use super::outcome::{Error, list};
use crate::gate::Fault;
use crate::http::Body;

const KEYS: &[&str] = &["times", "code", "delay_ms", "fault", "path"];

/// What is pending, if anything is.
#[derive(Default)]
pub(super) struct Next(Mutex<Option<Wanted>>);

/// What was asked for, as it is answered too.
#[derive(Clone, Serialize)]
pub(super) struct Wanted {
    times: u32,
    code: Option<u16>,
    delay_ms: u64,
    fault: Option<&'static str>,
    path: Option<String>,
}

impl Wanted {
    /// Reads and checks a body. `has_call` says whether a path is that of an API call.
    pub(super) fn read(
        body: &Body,
        documented: &Documented,
        has_call: impl Fn(&str) -> bool,
    ) -> Result<Self, Error> {
        let mut input = Input::of(body, KEYS)?;
        let times = input.number("times", 1, u64::from(u32::MAX));
        let delay_ms = input.number("delay_ms", 0, MAX_DELAY_MS);
        let code = input.number("code", 0, u64::from(u16::MAX));
        let fault = input.text("fault")?;
        let path = input.text("path")?;
        let path = path.filter(|path| {
            let known = has_call(path);
            if !known {
                input.fault("path", "Expected the path of an API call.");
            }
            known
        });
        let fault = fault.map(|name| {
            let fault = Fault::named(&name);
            if fault.is_none() {
                let expected = Fault::NAMES.join(", ");
                input.fault("fault", format!("Expected null or one of {expected}."));
            }
            fault.map_or("", Fault::name)
        });
        let codes = match &path {
            Some(path) => documented.codes(template(path)),
            None => documented.all_codes(),
        };
        // In range of the type, since the number was.
        let code = code.and_then(|code| u16::try_from(code).ok());
        if code.is_some_and(|code| !codes.contains(&code)) {
            input.fault("code", format!("Expected null or one of {}.", list(&codes)));
        }
        input.finish()?;
        Ok(Self {
            times: times.map_or(1, |times| u32::try_from(times).unwrap_or(u32::MAX)),
            code,
            delay_ms: delay_ms.unwrap_or_default(),
            fault,
            path,
        })
    }

    fn steering(&self) -> Steering {
        Steering {
            code: self.code,
            delay_ms: self.delay_ms,
            fault: self.fault.and_then(Fault::named),
        }
    }
}

/// The path under which a call's answers are documented.
fn template(path: &str) -> &str {
    match crate::endpoint::users::user_uuid(path) {
        Some(_) => crate::endpoint::users::DETAIL_NAME,
        None => path,
    }
}

impl Next {
    /// Replaces what is pending.
    pub(super) fn put(&self, wanted: Wanted) {
        *self.0.lock() = Some(wanted);
    }

    pub(super) fn clear(&self) {
        *self.0.lock() = None;
    }

    /// Uses up one time, if this call is meant and has the code.
    pub(super) fn take(&self, name: &str, path: &str, codes: &BTreeSet<u16>) -> Steering {
        let mut pending = self.0.lock();
        let Some(wanted) = pending.as_mut() else {
            return Steering::default();
        };
        let is_meant = wanted
            .path
            .as_deref()
            .is_none_or(|wanted| wanted == path || wanted == name);
        if !is_meant || wanted.code.is_some_and(|code| !codes.contains(&code)) {
            return Steering::default();
        }
        let steering = wanted.steering();
        wanted.times -= 1;
        if wanted.times == 0 {
            *pending = None;
        }
        steering
    }
}
