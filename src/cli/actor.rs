//! Who runs a command.

use std::env;

use nix::unistd::{User, getuid};

use crate::store::Actor;

/// Who sudo says it was, as well as who the process belongs to: only the latter cannot be made up.
const SUDO_USER: &str = "SUDO_USER";

pub(super) fn actor(command: &'static str) -> Actor {
    let uid = getuid();
    let own = match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        // It is in no list, or the list cannot be read.
        Ok(None) | Err(_) => uid.to_string(),
    };
    let system_user = match env::var(SUDO_USER) {
        Ok(first) if !first.is_empty() && first != own => format!("{first} via {own}"),
        _ => own,
    };
    Actor {
        system_user: system_user.into(),
        command,
    }
}
