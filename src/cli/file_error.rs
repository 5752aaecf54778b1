//! A file that a flag or an argument names, and that cannot be used.

use std::io;
use std::path::Path;

use crate::files::remedy;

/// Names the file, what failed, the reason, and what to do about it.
pub(super) fn file_error(path: &Path, what: &str, error: io::Error) -> anyhow::Error {
    let text = format!("{}: {what}{}", path.display(), remedy(path, &error));
    anyhow::Error::new(error).context(text)
}
