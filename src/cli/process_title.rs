//! Removes the password of a database from the process's arguments, which every user of the machine can read.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Context;
use zeroize::Zeroizing;

use crate::store::Location;

const CANNOT: &str = "every user of this machine could read the password in the arguments, and the program cannot restart itself without it; give it in PGPASSWORD, or in the file that PGPASSFILE names";

/// If an argument is a URL with a password, the process executes itself again with the password in a variable.
pub(super) fn hide_password() -> anyhow::Result<()> {
    let mut args: Vec<OsString> = env::args_os().collect();
    let mut password = None;
    for arg in args.iter_mut().skip(1) {
        if let Some((without, found)) = take_password(arg) {
            *arg = without;
            password = Some(found);
        }
    }
    let (Some(password), Some((title, args))) = (password, args.split_first()) else {
        return Ok(());
    };
    // Without /proc the system does not say which file it is.
    let program = env::current_exe().unwrap_or_else(|_| title.into());
    let mut program = Command::new(program);
    program.arg0(title).args(args);
    let error = program.env("PGPASSWORD", password.as_str()).exec();
    Err(error).context(CANNOT)
}

/// Removes the password from an argument that is a URL, or a flag with a URL as its value. Returns both.
fn take_password(arg: &OsStr) -> Option<(OsString, Zeroizing<String>)> {
    let bytes = arg.as_bytes();
    let is_end = |byte: &u8| *byte == b'=';
    let start = match bytes.starts_with(b"--") {
        true => bytes.iter().position(is_end)? + 1,
        false => 0,
    };
    let (flag, value) = bytes.split_at(start);
    let (url, password) = Location::take_password(OsStr::from_bytes(value))?;
    Some((
        OsString::from_vec([flag, url.as_bytes()].concat()),
        password,
    ))
}
