//! The password of a server, where the URL has none: `PGPASSWORD`, else a line of the file that `PGPASSFILE` names, or of
//! `~/.pgpass`. Read for each connection, so that a new password needs no restart.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tokio_postgres::config::Host;
use zeroize::Zeroizing;

use super::address::{Address, Server};

/// Looks for a password. `None` is right where the server asks for none.
pub(super) fn find(server: &Server, database: &str, user: &str) -> Option<Zeroizing<String>> {
    given().or_else(|| {
        let path = path().filter(|path| !is_exposed(path))?;
        let text = fs::read_to_string(path).ok().map(Zeroizing::new)?;
        let port = server.port.to_string();
        text.lines().find_map(|line| {
            let find = |host| password_of(line, [host, &port, database, user]);
            match &server.host {
                Host::Tcp(name) => find(name.as_str()),
                // The file may call any socket by the second.
                Host::Unix(directory) => find(directory.to_str()?).or_else(|| find("localhost")),
            }
        })
    })
}

/// What the operator should know: as other programs that read it, this one takes no notice of a file that others may read.
pub(in crate::store) fn warning(address: &Address) -> Option<String> {
    let is_given = address.config.get_password().is_some() || given().is_some();
    let exposed = path().filter(|path| !is_given && is_exposed(path))?;
    let path = exposed.display();
    Some(format!(
        "{path}: others may read the file of passwords, so it is not used; `chmod 600` keeps them out"
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

/// A line is `host:port:database:user:password`; `*` is any, and a backslash takes a colon's meaning.
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

/// Up to the next colon that counts, and what is behind it.
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
    fn the_first_line_that_fits_gives_the_password() {
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
