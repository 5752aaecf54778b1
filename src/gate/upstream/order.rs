//! What the server asks of the gate about one answer: to wait before it, or to inject a fault.
//!
//! Orders are in response fields whose names no client can set and none gets to see. A stub gives them, so that its
//! clients' tests meet a network that is slow or broken; waiting is done here, where it holds no thread of the server.

use std::time::Duration;

/// Milliseconds to wait before the answer. The gate's stop ends the wait.
pub const DELAY: &str = "X-Gate-Delay";
/// The fault to inject: one of [`Fault::NAMES`].
pub const FAULT: &str = "X-Gate-Fault";

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
pub(crate) struct Order {
    pub(crate) delay: Duration,
    pub(crate) fault: Option<Fault>,
}

impl Order {
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
        assert_eq!(Order::from_fields(&none), Order::default());
        let both = [
            field("x-gate-delay", b"1500"),
            field("X-Gate-Fault", b"cut"),
        ];
        let expected = Order {
            delay: Duration::from_millis(1500),
            fault: Some(Fault::Cut),
        };
        assert_eq!(Order::from_fields(&both), expected);
        for name in Fault::NAMES {
            assert_eq!(Fault::named(name).map(Fault::name), Some(*name));
        }
    }
}
