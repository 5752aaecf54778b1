//! What to do about a file that the operating system refuses, for the end of a message that names the file.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::process::geteuid;

/// Empty where the error says it all.
pub(crate) fn remedy(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => format!(" ({})", needs_the_right()),
        ErrorKind::NotFound | ErrorKind::NotADirectory => broken_path(path),
        _ => String::new(),
    }
}

/// Who needs what. A name takes a look into files that may be elsewhere: `ls -n` shows numbers.
pub(crate) fn needs_the_right() -> String {
    let user = geteuid().as_raw();
    format!("user {user}, who runs this, needs the right to it; `ls -ln` shows who has it")
}

/// The first part of a path that is missing, or is no directory.
fn broken_path(path: &Path) -> String {
    let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.retain(|directory| *directory != Path::new(""));
    for directory in above.into_iter().rev() {
        match fs::metadata(directory) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return format!(" ({} is not a directory)", directory.display()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return format!(
                    " (there is no directory {}; `mkdir` makes one)",
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
    fn the_part_of_a_path_that_is_wrong_is_named() {
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
