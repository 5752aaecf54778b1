//! Converting values to and from PostgreSQL's binary format.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};

use crate::store::engine::value::{Value, ValueKind};

type Boxed = Box<dyn Error + Sync + Send>;

impl Value<'_> {
    /// The type for which a statement is prepared. For a NULL of unknown type, the server infers the type from the
    /// context.
    pub(super) fn kind(&self) -> Type {
        match self {
            Self::Null(None) => Type::UNKNOWN,
            Self::Null(Some(ValueKind::Integer)) | Self::Integer(_) => Type::INT8,
            Self::Null(Some(ValueKind::Boolean)) | Self::Boolean(_) => Type::BOOL,
            Self::Null(Some(ValueKind::Text)) | Self::Text(_) => Type::TEXT,
            Self::Null(Some(ValueKind::Bytes)) | Self::Bytes(_) => Type::BYTEA,
        }
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Boxed> {
        match *self {
            Value::Null(_) => Ok(IsNull::Yes),
            Value::Integer(number) if *ty == Type::INT4 => i32::try_from(number)?.to_sql(ty, out),
            Value::Integer(number) => number.to_sql_checked(ty, out),
            Value::Boolean(is_true) => is_true.to_sql_checked(ty, out),
            Value::Text(text) => text.to_sql_checked(ty, out),
            Value::Bytes(bytes) => bytes.to_sql_checked(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Boxed> {
        self.to_sql(ty, out)
    }
}

impl<'v> FromSql<'v> for Value<'v> {
    fn from_sql(ty: &Type, raw: &'v [u8]) -> Result<Self, Boxed> {
        match *ty {
            Type::INT8 => i64::from_sql(ty, raw).map(Self::Integer),
            Type::INT4 => i32::from_sql(ty, raw).map(|number| Self::Integer(number.into())),
            Type::BOOL => bool::from_sql(ty, raw).map(Self::Boolean),
            Type::BYTEA => <&[u8]>::from_sql(ty, raw).map(Self::Bytes),
            _ => <&str>::from_sql(ty, raw).map(Self::Text),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, Boxed> {
        Ok(Self::Null(None))
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT8 | Type::INT4 | Type::BOOL | Type::BYTEA)
            || <&str as FromSql>::accepts(ty)
    }
}
