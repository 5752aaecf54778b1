//! The system user who runs a command.

use std::env;

use nix::unistd::{User, getuid};

use crate::store::Actor;

/// The variable in which sudo passes the original user. Recorded together with the owner of the process, since only the
/// latter cannot be forged.
const SUDO_USER: &str = "SUDO_USER";

pub(super) fn actor(command: &'static str) -> Actor {
    let uid = getuid();
    let own = match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        // The user has no name, or the user database cannot be read.
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
