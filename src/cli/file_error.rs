//! The error of a file in a flag or argument that cannot be used.

use std::io;
use std::path::Path;

use crate::files::remedy;

/// An error with the file, what failed, the reason, and advice.
pub(super) fn file_error(path: &Path, what: &str, error: io::Error) -> anyhow::Error {
    let text = format!("{}: {what}{}", path.display(), remedy(path, &error));
    anyhow::Error::new(error).context(text)
}
