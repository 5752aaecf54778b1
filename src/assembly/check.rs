//! Checks a configuration before a start. Binds no address, starts nothing and writes no file.

use super::error::{StartError, no_scratch};
use super::gated::DESCRIPTORS;
use crate::config::{Config, Database};
use crate::files::check_directory;
use crate::gate::{self, Tls, check_tls};
use crate::store;

/// The warnings that a start with this configuration would log, one sentence each, and the errors that would make it
/// fail.
pub(super) fn check(config: Config) -> (Vec<String>, Vec<StartError>) {
    let mut problems = Vec::new();
    let mut note = |result: Result<(), StartError>| problems.extend(result.err());
    let parent = config.database.scratch_parent();
    note(check_directory(&parent).map_err(no_scratch(&parent)));
    for address in &config.listen {
        note(gate::check_address(address).map_err(StartError::Gate));
    }
    match &config.database {
        Database::File(path) => {
            note(store::check_file(path, config.when_missing).map_err(StartError::Database));
        }
        #[cfg(feature = "postgres")]
        Database::Servers(location) => {
            note(store::check_servers(location, config.when_missing).map_err(StartError::Database));
        }
        Database::Demo(_) => {}
    }
    // A demo creates its certificate only at the start.
    let nowhere = parent.join("none");
    let tls = config.tls.map(|tls| tls.beside(&config.database, &nowhere));
    let descriptors = gate::check_descriptors(config.limits.max_connections, DESCRIPTORS);
    let mut warnings: Vec<String> = descriptors.into_iter().collect();
    match tls.as_ref().map(tls_warnings) {
        Some(Ok(found)) => warnings.extend(found),
        Some(Err(error)) => problems.push(error),
        None => {}
    }
    (warnings, problems)
}

fn tls_warnings(tls: &Tls) -> Result<Vec<String>, StartError> {
    let warnings = check_tls(tls).map_err(gate::Error::Tls)?.into_iter();
    let line = |warning: gate::TlsWarning| format!("{}: {}", warning.path.display(), warning.text);
    Ok(warnings.map(line).collect())
}
