//! Requests and replies as the endpoints see them: media type, JSON body, header fields and reply.
//!
//! This module knows HTTP and JSON, and nothing about logins. Statuses and texts of answers are chosen in `endpoint`.

mod body;
mod client;
mod error;
mod fields;
mod json;
mod media_type;
mod pieces;
mod reply;
mod request;

pub use body::Body;
pub use client::TrustedProxies;
pub use error::Error;
pub use fields::{EveryField, ReadField};
pub use json::{Field, Object};
pub use pieces::Pieces;
pub use reply::{COMMON_HEADERS, JSON, Reply};
pub use request::{Arrival, Request, path_of};

pub(crate) use media_type::is_token_byte;
