//! What the server asks of the gate about one answer: to wait before it, to inject a fault, or to report its delivery.
//!
//! Orders are in response fields whose names no client can set and none gets to see. A stub gives them, so that its
//! clients' tests meet a network that is slow or broken; waiting is done here, where it holds no thread of the server.

use std::sync::Arc;
use std::time::Duration;

/// Milliseconds to wait before the answer. The gate's stop ends the wait.
pub const DELAY: &str = "X-Gate-Delay";
/// The fault to inject: one of [`Fault::NAMES`].
pub const FAULT: &str = "X-Gate-Fault";
/// A number under which the gate reports whether the answer was delivered.
pub const NUMBER: &str = "X-Gate-Number";

/// Called once with the [`NUMBER`] of every answer that has one: whether all of it was written to a client that was still
/// there, and no fault was injected. The connection is closed or reset afterwards, if at all.
pub type OnDelivery = Arc<dyn Fn(u64, bool) + Send + Sync>;

/// What goes to the client instead of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: the connection is reset.
    Reset,
    /// Nothing: the connection is closed.
    Empty,
    /// The head and half of the body; without a body, nothing.
    Cut,
    /// Bytes that are not HTTP.
    Garbage,
}

/// What is sent for [`Fault::Garbage`]: no line of it can be taken for a status line.
pub(crate) const GARBAGE: &[u8] = b"\x16\x03garbage\r\n\0\xff\xfe not HTTP\r\n\r\n";

impl Fault {
    /// Every name.
    pub const NAMES: &[&str] = &["reset", "empty", "cut", "garbage"];

    /// The fault of a name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "reset" => Some(Self::Reset),
            "empty" => Some(Self::Empty),
            "cut" => Some(Self::Cut),
            "garbage" => Some(Self::Garbage),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Empty => "empty",
            Self::Cut => "cut",
            Self::Garbage => "garbage",
        }
    }
}

/// The orders of one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Instructions {
    pub(crate) delay: Duration,
    pub(crate) fault: Option<Fault>,
    pub(crate) number: Option<u64>,
}

impl Instructions {
    /// Reads them from the fields of an answer; what cannot be read is no order.
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
    fn orders_are_read_from_reserved_fields() {
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
