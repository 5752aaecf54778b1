//! Values of parameters and columns, of which both databases have the same five kinds.

use super::statement_error::StatementError;

/// A value on its way to or from a database.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::store) enum Value<'v> {
    /// Of this kind, if that is known.
    Null(Option<Kind>),
    /// SQLite has these for booleans too.
    Integer(i64),
    Boolean(bool),
    Text(&'v str),
    Bytes(&'v [u8]),
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    Integer,
    Boolean,
    Text,
    Bytes,
}

/// What a statement's parameter can be given.
pub(in crate::store) trait ToValue {
    /// `None` where only the value says it.
    const KIND: Option<Kind>;

    fn to_value(&self) -> Value<'_>;
}

/// What a column can be read as.
pub(in crate::store) trait FromValue: Sized {
    /// `None` where the value is of another kind, or out of range.
    fn from_value(value: Value<'_>) -> Option<Self>;
}

/// A statement's parameters: each with its name, which begins with a colon.
pub(in crate::store) type Parameters<'p> = &'p [(&'p str, Value<'p>)];

/// `parameters! { ":name": expression, … }`, as [`Parameters`].
macro_rules! parameters {
    ($($name:literal: $value:expr),* $(,)?) => {
        &[$(($name, $crate::store::engine::ToValue::to_value(&$value))),*] as $crate::store::engine::Parameters<'_>
    };
}

pub(in crate::store) use parameters;

/// What an owned row keeps.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) enum OwnedValue {
    Null,
    Integer(i64),
    Boolean(bool),
    Text(String),
    Bytes(Vec<u8>),
}

impl ToValue for OwnedValue {
    const KIND: Option<Kind> = None;

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
            const KIND: Option<Kind> = Some(Kind::$kind);

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
    const KIND: Option<Kind> = Some(Kind::Bytes);

    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    const KIND: Option<Kind> = T::KIND;

    fn to_value(&self) -> Value<'_> {
        (**self).to_value()
    }
}

impl<T: ToValue> ToValue for Option<T> {
    const KIND: Option<Kind> = T::KIND;

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

/// A row that a statement gave, for as long as it is looked at.
pub(in crate::store) trait Columns {
    fn value(&self, index: usize) -> Result<Value<'_>, StatementError>;
}
