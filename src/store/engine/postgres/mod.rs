//! PostgreSQL: connections to the servers of one database, and statements on them.

mod address;
mod calls;
mod channel_binding;
mod connect;
mod database;
mod error;
mod facts;
mod locks;
mod named;
mod password;
mod reason;
mod schema;
mod session;
mod session_pool;
mod socket;
mod tls;
mod url;
mod values;
mod wire;

pub use address::{Address, AddressError};
pub(in crate::store) use database::Servers;
pub use error::Failure;
pub(in crate::store) use password::warning as password_warning;
pub(in crate::store) use schema::newest_version;
pub(in crate::store) use session::Session;
pub(in crate::store) use url::take_password;
