//! Instructions of the server to the gate about one answer: to delay it, to inject a fault, or to report its delivery.
//!
//! They are response fields with reserved names, which no client can set or see. The stub uses them to let clients test
//! against a slow or faulty network. The gate does the waiting, so that a delayed answer holds no thread of the server.

use std::sync::Arc;
use std::time::Duration;

/// The field with the number of milliseconds to wait before the answer is sent. A stop of the gate ends the wait.
pub const DELAY: &str = "X-Gate-Delay";
/// The field with the fault to inject: one of [`Fault::NAMES`].
pub const FAULT: &str = "X-Gate-Fault";
/// The field with a number under which the gate reports whether the answer was delivered.
pub const NUMBER: &str = "X-Gate-Number";

/// Called once for every answer with a [`NUMBER`], before the connection is closed or reset. The arguments are the number,
/// and whether the whole answer was written to a client that was still connected, without an injected fault.
pub type OnDelivery = Arc<dyn Fn(u64, bool) + Send + Sync>;

/// An injected fault: what happens instead of sending the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is sent, and the connection is reset.
    Reset,
    /// Nothing is sent, and the connection is closed.
    Empty,
    /// The head and half of the body are sent, and the connection is closed. Nothing is sent if there is no body.
    Cut,
    /// Bytes that are not HTTP are sent, and the connection is closed.
    Garbage,
}

/// The bytes that are sent for [`Fault::Garbage`]: none of its lines looks like a status line.
pub(crate) const GARBAGE: &[u8] = b"\x16\x03garbage\r\n\0\xff\xfe not HTTP\r\n\r\n";

impl Fault {
    /// The names of all faults.
    pub const NAMES: &[&str] = &["reset", "empty", "cut", "garbage"];

    /// The fault with this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "reset" => Some(Self::Reset),
            "empty" => Some(Self::Empty),
            "cut" => Some(Self::Cut),
            "garbage" => Some(Self::Garbage),
            _ => None,
        }
    }

    /// The name of the fault.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Empty => "empty",
            Self::Cut => "cut",
            Self::Garbage => "garbage",
        }
    }
}

/// The instructions for one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Instructions {
    pub(crate) delay: Duration,
    pub(crate) fault: Option<Fault>,
    pub(crate) number: Option<u64>,
}

impl Instructions {
    /// Reads the instructions from the fields of an answer. Malformed values are ignored.
    pub(crate) fn from_fields(fields: &[httparse::Header<'_>]) -> Self {
        let value = |name: &str| {
            let field = fields
                .iter()
                .find(|field| field.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(field.value).ok()
        };
        let delay = value(DELAY).and_then(|delay| delay.parse().ok());
        Self {
            delay: delay.map_or(Duration::ZERO, Duration::from_millis),
            fault: value(FAULT).and_then(Fault::named),
            number: value(NUMBER).and_then(|number| number.parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_read_from_reserved_fields() {
        let field = |name, value| httparse::Header { name, value };
        let none = [field("X-Stub-Delay", b"5"), field("Fault", b"cut")];
        assert_eq!(Instructions::from_fields(&none), Instructions::default());
        let all = [
            field("x-gate-delay", b"1500"),
            field("X-Gate-Fault", b"cut"),
            field("X-Gate-Number", b"7"),
        ];
        let expected = Instructions {
            delay: Duration::from_millis(1500),
            fault: Some(Fault::Cut),
            number: Some(7),
        };
        assert_eq!(Instructions::from_fields(&all), expected);
        for name in Fault::NAMES {
            assert_eq!(Fault::named(name).map(Fault::name), Some(*name));
        }
    }
}
