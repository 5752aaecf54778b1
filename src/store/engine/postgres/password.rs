//! The password for a server if the URL has none: from `PGPASSWORD`, or from a line of the file that `PGPASSFILE`
//! names, or of `~/.pgpass`. It is read for each connection, so that a new password takes effect without a restart.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tokio_postgres::config::Host;
use zeroize::Zeroizing;

use super::address::{Address, Server};

/// Finds the password for a server. `None` is not an error, because the server may not require one.
pub(super) fn find(server: &Server, database: &str, user: &str) -> Option<Zeroizing<String>> {
    given().or_else(|| {
        let path = path().filter(|path| !is_exposed(path))?;
        let text = fs::read_to_string(path).ok().map(Zeroizing::new)?;
        let port = server.port.to_string();
        text.lines().find_map(|line| {
            let find = |host| password_of(line, [host, &port, database, user]);
            match &server.host {
                Host::Tcp(name) => find(name.as_str()),
                // In the file, `localhost` also stands for a Unix socket.
                Host::Unix(directory) => find(directory.to_str()?).or_else(|| find("localhost")),
            }
        })
    })
}

/// A warning for the operator if the password file is ignored because other users can read it. Other PostgreSQL clients
/// ignore such a file too.
pub(in crate::store) fn warning(address: &Address) -> Option<String> {
    let is_given = address.config.get_password().is_some() || given().is_some();
    let exposed = path().filter(|path| !is_given && is_exposed(path))?;
    let path = exposed.display();
    Some(format!(
        "{path}: other users may read the password file, so it is ignored; `chmod 600` protects it"
    ))
}

fn given() -> Option<Zeroizing<String>> {
    let password = env::var("PGPASSWORD").ok().map(Zeroizing::new)?;
    (!password.is_empty()).then_some(password)
}

fn path() -> Option<PathBuf> {
    let path = env::var_os("PGPASSFILE").filter(|path| !path.is_empty());
    let path = path.map(PathBuf::from);
    path.or_else(|| Some(env::home_dir()?.join(".pgpass")))
}

fn is_exposed(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o077 != 0)
}

/// The password of a line that matches. A line is `host:port:database:user:password`. `*` matches everything, and a
/// backslash escapes a colon or a backslash.
fn password_of(line: &str, wanted: [&str; 4]) -> Option<Zeroizing<String>> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line;
    for wanted in wanted {
        let (field, after) = field(rest);
        if field != "*" && unescaped(field) != wanted {
            return None;
        }
        rest = after?;
    }
    Some(Zeroizing::new(unescaped(rest)))
}

/// Splits a text at the first colon that is not escaped.
fn field(text: &str) -> (&str, Option<&str>) {
    let mut is_escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            ':' if !is_escaped => return (&text[..at], Some(&text[at + 1..])),
            '\\' if !is_escaped => is_escaped = true,
            _ => is_escaped = false,
        }
    }
    (text, None)
}

fn unescaped(text: &str) -> String {
    let mut characters = text.chars();
    let mut result = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        let next = match character {
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        };
        result.push(next);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_line_gives_the_password() {
        let wanted = ["db", "5432", "a:b", "u"];
        for (line, password) in [
            (r"db:5432:a\:b:u:secret", Some("secret")),
            (r"*:*:*:*:se\:c\\ret:x", Some(r"se:c\ret:x")),
            ("db:5433:*:u:secret", None),
            ("# db:*:*:u:secret", None),
            ("db:5432", None),
            ("", None),
            (r"*:*:*:u:", Some("")),
        ] {
            let found = password_of(line, wanted);
            assert_eq!(
                found.as_ref().map(|found| found.as_str()),
                password,
                "{line}"
            );
        }
    }
}
