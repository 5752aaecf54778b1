//! Advice about a file that the operating system refuses, to be appended to a message that names the file.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::process::geteuid;

/// The advice for an error; empty if the error says enough.
pub(crate) fn remedy(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => format!(" ({})", needs_permission()),
        ErrorKind::NotFound | ErrorKind::NotADirectory => broken_path(path),
        _ => String::new(),
    }
}

/// The user that needs permission. Users are shown as numbers, as by `ls -n`, since their names may not be in local
/// files.
pub(crate) fn needs_permission() -> String {
    let user = geteuid().as_raw();
    format!("user {user}, who runs this, needs permission; `ls -ln` shows who has it")
}

/// Names the first part of a path that is missing or not a directory.
fn broken_path(path: &Path) -> String {
    let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.retain(|directory| *directory != Path::new(""));
    for directory in above.into_iter().rev() {
        match fs::metadata(directory) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return format!(" ({} is not a directory)", directory.display()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return format!(
                    " (there is no directory {}; `mkdir` creates it)",
                    directory.display()
                );
            }
            Err(_) => return String::new(),
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrong_part_of_a_path_is_named() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("file"), "").unwrap();
        for (path, named) in [
            ("nowhere/at/all", "there is no directory {}/nowhere;"),
            ("file/x", "{}/file is not a directory"),
            ("x", ""),
        ] {
            let path = place.path().join(path);
            let error = fs::read(&path).unwrap_err();
            let named = named.replace("{}", &place.path().display().to_string());
            assert!(remedy(&path, &error).contains(&named), "{path:?}");
            assert_eq!(remedy(&path, &error).is_empty(), named.is_empty());
        }
    }
}
