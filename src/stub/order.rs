//! One order of `/__stub/next/`: what becomes of how many requests.

use std::collections::BTreeSet;

use serde::Serialize;

use super::documented::Documented;
use super::headers::{MAX_DELAY_MS, Steering};
use super::input::Input;
use super::outcome::{Error, list};
use crate::endpoint::users;
use crate::gate::Fault;
use crate::http::Object;
use crate::server::Call;

const KEYS: &[&str] = &["times", "code", "delay_ms", "fault", "path"];

/// What was asked for, as it is answered too.
#[derive(Serialize)]
pub(super) struct Order {
    pub(super) times: u32,
    code: Option<u16>,
    delay_ms: u64,
    fault: Option<&'static str>,
    path: Option<String>,
}

impl Order {
    /// Reads and checks one. `has_call` says whether a path is that of an API call.
    pub(super) fn read(
        object: Object<'_>,
        documented: &Documented,
        has_call: impl Fn(&str) -> bool,
    ) -> Result<Self, Error> {
        let mut input = Input::of_object(object, KEYS);
        let times = input.number("times", 1, u64::from(u32::MAX));
        let delay_ms = input.number("delay_ms", 0, MAX_DELAY_MS);
        let code = input.number("code", 0, u64::from(u16::MAX));
        let fault = read_fault(&mut input)?;
        let path = input.text("path")?;
        let path = path.filter(|path| {
            let known = has_call(path);
            if !known {
                input.fault("path", "Expected the path of an API call.");
            }
            known
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
            fault: fault.map(Fault::name),
            path,
        })
    }

    /// What becomes of a request for this path; `None` when it is not meant, or the call does not have the code.
    pub(super) fn steering(
        &self,
        call: &Call,
        path: &str,
        codes: &BTreeSet<u16>,
    ) -> Option<Steering> {
        let is_meant = self
            .path
            .as_deref()
            .is_none_or(|meant| meant == path || meant == call.name);
        let has_code = self.code.is_none_or(|code| codes.contains(&code));
        (is_meant && has_code).then(|| Steering {
            code: self.code,
            delay_ms: self.delay_ms,
            fault: self.fault.and_then(Fault::named),
        })
    }
}

fn read_fault(input: &mut Input<'_>) -> Result<Option<Fault>, Error> {
    let Some(name) = input.text("fault")? else {
        return Ok(None);
    };
    let fault = Fault::named(&name);
    if fault.is_none() {
        let expected = Fault::NAMES.join(", ");
        input.fault("fault", format!("Expected null or one of {expected}."));
    }
    Ok(fault)
}

/// The path under which a call's answers are documented.
fn template(path: &str) -> &str {
    match users::user_uuid(path) {
        Some(_) => users::DETAIL_NAME,
        None => path,
    }
}
