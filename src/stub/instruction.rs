//! One instruction of `/__stub/next/`: how to answer a number of requests.

use serde::Serialize;

use super::documented::Documented;
use super::error::{Error, list, list_examples};
use super::headers::{MAX_DELAY_MS, Steering};
use super::input::Input;
use super::own_answer::OwnAnswer;
use crate::endpoint::users;
use crate::gate::Fault;
use crate::http::Object;
use crate::server::MatchedRoute;

const KEYS: &[&str] = &[
    "times", "code", "delay_ms", "fault", "path", "example", "body", "headers",
];

/// The status of a custom answer for which the instruction gives no code.
const OK: u16 = 200;

/// An instruction, in the form in which the stub also answers it.
#[derive(Serialize)]
pub(super) struct Instruction {
    pub(super) times: u32,
    code: Option<u16>,
    delay_ms: u64,
    fault: Option<&'static str>,
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<String>,
    #[serde(flatten)]
    own: OwnAnswer,
}

impl Instruction {
    /// Reads and checks an instruction. `has_call` returns whether a path belongs to an API call.
    pub(super) fn read(
        object: Object<'_>,
        documented: &Documented,
        has_call: impl Fn(&str) -> bool,
    ) -> Result<Self, Error> {
        let mut input = Input::of_object(object, KEYS);
        let times = input.number("times", 1, u64::from(u32::MAX));
        let delay_ms = input.number("delay_ms", 0, MAX_DELAY_MS);
        let code = input.number("code", 200, 599);
        // The number is within the range of the type.
        let code = code.and_then(|code| u16::try_from(code).ok());
        let instruction = Self {
            times: times.map_or(1, |times| u32::try_from(times).unwrap_or(u32::MAX)),
            code,
            delay_ms: delay_ms.unwrap_or_default(),
            fault: read_fault(&mut input)?.map(Fault::name),
            path: input.text("path")?,
            example: input.text("example")?,
            own: OwnAnswer::read(&mut input, code)?,
        };
        match instruction.path.as_deref() {
            Some(path) if !has_call(path) => {
                input.error("path", "Expected the path of an API call.");
            }
            path => instruction.check_answer(&mut input, documented, path.map(template)),
        }
        input.finish()?;
        Ok(instruction)
    }

    /// Checks that the call of the instruction documents the answer; without a path, any call may document it.
    fn check_answer(&self, input: &mut Input<'_>, documented: &Documented, call: Option<&str>) {
        let all_codes = documented.all_codes();
        let codes = call.map_or_else(|| all_codes.clone(), |call| documented.codes(call));
        if let Some(code) = self.code
            && self.own.is_empty()
            && all_codes.contains(&code)
            && !codes.contains(&code)
        {
            let codes = list(&codes);
            let message = format!(
                "Expected null or one of {codes}, or a code that no call has, or a body or headers."
            );
            input.error("code", message);
        }
        let Some(example) = &self.example else {
            return;
        };
        if self.own.has_body() {
            input.error("example", "Give an example or a body, not both.");
        }
        let examples: Vec<(u16, &str)> = match call {
            Some(call) => documented.examples(call, self.code).collect(),
            None => documented.all_examples(self.code).collect(),
        };
        if !examples.iter().any(|(_, name)| name == example) {
            let examples = list_examples(examples.into_iter());
            input.error("example", format!("Expected null or one of {examples}."));
        }
    }

    /// How to answer a request for this path. `None` if the instruction is for another path, or if the call does not
    /// document the answer.
    pub(super) fn steering_for(
        &self,
        route: &MatchedRoute,
        path: &str,
        documented: &Documented,
    ) -> Option<Steering> {
        let mut own_path = self.path.iter();
        if !own_path.all(|own| own == path || own == route.name) {
            return None;
        }
        let code = match (self.code, &self.example) {
            (code, _) if self.own.has_body() => Some(code.unwrap_or(OK)),
            (code, Some(example)) => Some(documented.code_with(route.name, code, example)?),
            (Some(code), None) if self.own.is_empty() && !has_code(documented, route, code) => {
                return None;
            }
            (code, None) => code,
        };
        Some(Steering {
            code,
            example: self.example.clone(),
            own: self.own.clone(),
            delay_ms: self.delay_ms,
            fault: self.fault.and_then(Fault::named),
        })
    }
}

/// Whether an instruction may force this code on a call: the call documents it, or no call does.
fn has_code(documented: &Documented, route: &MatchedRoute, code: u16) -> bool {
    documented.codes(route.name).contains(&code) || !documented.all_codes().contains(&code)
}

fn read_fault(input: &mut Input<'_>) -> Result<Option<Fault>, Error> {
    let Some(name) = input.text("fault")? else {
        return Ok(None);
    };
    let fault = Fault::named(&name);
    if fault.is_none() {
        let expected = Fault::NAMES.join(", ");
        input.error("fault", format!("Expected null or one of {expected}."));
    }
    Ok(fault)
}

/// The path template under which a call's answers are documented.
fn template(path: &str) -> &str {
    match users::user_uuid(path) {
        Some(_) => users::DETAIL_NAME,
        None => path,
    }
}
