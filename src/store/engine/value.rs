//! The values of parameters and columns. Both engines have the same five kinds.

use super::statement_error::StatementError;

/// A value that is passed to or returned by a database.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::store) enum Value<'v> {
    /// NULL, with the type of the column if it is known.
    Null(Option<ValueKind>),
    /// An integer. SQLite also represents booleans as integers.
    Integer(i64),
    Boolean(bool),
    Text(&'v str),
    Bytes(&'v [u8]),
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum ValueKind {
    Integer,
    Boolean,
    Text,
    Bytes,
}

/// A type that can be used for a parameter of a statement.
pub(in crate::store) trait ToValue {
    /// The type of the values. `None` if it depends on the value.
    const KIND: Option<ValueKind>;

    fn to_value(&self) -> Value<'_>;
}

/// A type that a column can be read as.
pub(in crate::store) trait FromValue: Sized {
    /// Converts a value. `None` if it has another type or is out of range.
    fn from_value(value: Value<'_>) -> Option<Self>;
}

/// The parameters of a statement, each with its name, which starts with a colon.
pub(in crate::store) type Parameters<'p> = &'p [(&'p str, Value<'p>)];

/// Creates [`Parameters`]: `parameters! { ":name": expression, … }`.
macro_rules! parameters {
    ($($name:literal: $value:expr),* $(,)?) => {
        &[$(($name, $crate::store::engine::ToValue::to_value(&$value))),*] as $crate::store::engine::Parameters<'_>
    };
}

pub(in crate::store) use parameters;

/// A value that owns its data.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) enum OwnedValue {
    Null,
    Integer(i64),
    Boolean(bool),
    Text(String),
    Bytes(Vec<u8>),
}

impl ToValue for OwnedValue {
    const KIND: Option<ValueKind> = None;

    fn to_value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null(None),
            Self::Integer(number) => Value::Integer(*number),
            Self::Boolean(is_true) => Value::Boolean(*is_true),
            Self::Text(text) => Value::Text(text),
            Self::Bytes(bytes) => Value::Bytes(bytes),
        }
    }
}

macro_rules! to_value {
    ($($type:ty: $kind:ident, $self:ident => $value:expr;)+) => {
        $(impl ToValue for $type {
            const KIND: Option<ValueKind> = Some(ValueKind::$kind);

            fn to_value(&$self) -> Value<'_> {
                $value
            }
        })+
    };
}

to_value! {
    i64: Integer, self => Value::Integer(*self);
    u8: Integer, self => Value::Integer((*self).into());
    u32: Integer, self => Value::Integer((*self).into());
    bool: Boolean, self => Value::Boolean(*self);
    str: Text, self => Value::Text(self);
    String: Text, self => Value::Text(self);
    [u8]: Bytes, self => Value::Bytes(self);
    Vec<u8>: Bytes, self => Value::Bytes(self);
}

impl<const N: usize> ToValue for [u8; N] {
    const KIND: Option<ValueKind> = Some(ValueKind::Bytes);

    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    const KIND: Option<ValueKind> = T::KIND;

    fn to_value(&self) -> Value<'_> {
        (**self).to_value()
    }
}

impl<T: ToValue> ToValue for Option<T> {
    const KIND: Option<ValueKind> = T::KIND;

    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null(T::KIND), T::to_value)
    }
}

impl FromValue for i64 {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Integer(number) => Some(number),
            _ => None,
        }
    }
}

impl FromValue for u8 {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for u32 {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for bool {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Boolean(is_true) => Some(is_true),
            Value::Integer(0) => Some(false),
            Value::Integer(1) => Some(true),
            _ => None,
        }
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => bytes.try_into().ok(),
            _ => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Null(_) => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

impl From<i64> for OwnedValue {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<String> for OwnedValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for OwnedValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl<T: Into<OwnedValue>> From<Option<T>> for OwnedValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, T::into)
    }
}

impl FromValue for OwnedValue {
    fn from_value(value: Value<'_>) -> Option<Self> {
        Some(match value {
            Value::Null(_) => Self::Null,
            Value::Integer(number) => Self::Integer(number),
            Value::Boolean(is_true) => Self::Boolean(is_true),
            Value::Text(text) => Self::Text(text.to_owned()),
            Value::Bytes(bytes) => Self::Bytes(bytes.to_owned()),
        })
    }
}

/// A row of a database library.
pub(in crate::store) trait Columns {
    fn value(&self, index: usize) -> Result<Value<'_>, StatementError>;
}
