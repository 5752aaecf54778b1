//! Opening a PostgreSQL database: its schema is found, created or migrated.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

use super::address::Address;
use super::calls::Calls;
use super::schema::{self, FoundSchema, MigrationError};
use super::session::Session;
use super::tls::client_config;
use crate::store::engine::statement_error::Result as StatementResult;
use crate::store::engine::{
    Connection, Migrated, OpenError, OpenedBy, StatementError, WhenMissing,
};

/// The servers of an open database.
pub(in crate::store) struct Servers {
    pub(in crate::store::engine) calls: Calls,
    /// Whether the schema was created when the database was opened.
    pub(in crate::store::engine) is_new: bool,
}

impl Servers {
    /// Opens a database, and migrates its schema. Creates a missing schema if `missing` allows that.
    pub(in crate::store) fn open(
        address: Address,
        authority: Option<&Path>,
        missing: WhenMissing,
        by: OpenedBy,
    ) -> Result<(Self, Option<Migrated>), OpenError> {
        let calls = calls(address, authority, by)?;
        let (is_new, migrated) = prepare(&calls, missing)?;
        Ok((Self { calls, is_new }, migrated))
    }

    /// Connects to a database, and changes nothing. Returns its schema version and the newest one that this program
    /// knows. The schema version is 0 if there is no schema yet and opening the database would create one.
    pub(in crate::store) fn inspect(
        address: Address,
        authority: Option<&Path>,
        missing: WhenMissing,
    ) -> Result<(Self, [i64; 2]), OpenError> {
        let calls = calls(address, authority, OpenedBy::Command)?;
        let (_, version) = find(&calls, missing)?;
        let is_new = false;
        Ok((Self { calls, is_new }, [version, schema::newest_version()]))
    }

    /// Runs a query of the audit.
    pub(in crate::store) fn query<T>(
        &self,
        query: impl FnOnce(&Connection) -> StatementResult<T>,
    ) -> Result<T, OpenError> {
        self.calls
            .read(query)
            .map_err(|error| failed(&self.calls, &error))
    }
}

fn calls(address: Address, authority: Option<&Path>, by: OpenedBy) -> Result<Calls, OpenError> {
    let shown = address.to_string();
    let refused = |reason: String| OpenError::Server {
        address: shown.clone(),
        reason,
    };
    let is_tls = address.servers.iter().any(|server| server.is_tls);
    let roots = match is_tls || authority.is_some() {
        true => roots(authority).map_err(refused)?,
        false => RootCertStore::empty(),
    };
    let tls = client_config(roots, address.checks_names).map_err(refused)?;
    Ok(Calls::new(address, tls, by))
}

fn failed(calls: &Calls, error: &StatementError) -> OpenError {
    OpenError::Server {
        address: calls.address().to_string(),
        reason: error.reason(),
    }
}

/// Connects, and finds the schema version. It is 0 if there is no schema and one is to be created.
fn find(calls: &Calls, missing: WhenMissing) -> Result<(Session, i64), OpenError> {
    let failed = |error| failed(calls, &error);
    let session = calls.connect_once().map_err(failed)?;
    let version = match schema::find(&session).map_err(failed)? {
        FoundSchema::Nothing if missing == WhenMissing::Refuse => {
            return Err(OpenError::NoSchema(calls.address().to_string()));
        }
        FoundSchema::Nothing => 0,
        FoundSchema::Ours(version) if version <= schema::newest_version() => version,
        found => return Err(refused(calls, found)),
    };
    Ok((session, version))
}

/// Creates or migrates the schema if necessary. Returns whether it was created, and the migration if there was one.
fn prepare(calls: &Calls, missing: WhenMissing) -> Result<(bool, Option<Migrated>), OpenError> {
    let (session, found) = find(calls, missing)?;
    let known = schema::newest_version();
    if found == known {
        return Ok((false, None));
    }
    let found = schema::migrate(&session).map_err(|refusal| match refusal {
        MigrationError::Found(found) => refused(calls, found),
        MigrationError::Failed(StatementError::Postgres(error)) if error.is_forbidden() => {
            OpenError::MayNotMigrate {
                address: calls.address().to_string(),
                reason: error.to_string(),
            }
        }
        MigrationError::Failed(error) => failed(calls, &error),
    })?;
    let number = |version: i64| i32::try_from(version).unwrap_or(i32::MAX);
    let migrated = (found > 0 && found < known).then(|| Migrated {
        from: number(found),
        to: number(known),
    });
    Ok((found == 0, migrated))
}

/// The error for a schema that must not be changed.
fn refused(calls: &Calls, found: FoundSchema) -> OpenError {
    let address = calls.address().to_string();
    match found {
        FoundSchema::Ours(found) => OpenError::NewerSchema {
            address,
            found,
            known: schema::newest_version(),
        },
        FoundSchema::Nothing | FoundSchema::Foreign => OpenError::ForeignSchema(address),
    }
}

/// The certificates of the authorities in a file, or those of the system if no file is given.
fn roots(authority: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = authority else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        return Ok(roots);
    };
    let shown = path.display();
    let unreadable = |error: pem::Error| format!("{shown}: cannot read the certificates: {error}");
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        let certificate = certificate.map_err(unreadable)?;
        roots.add(certificate).map_err(|_| {
            format!("{shown}: contains a certificate that is not that of an authority")
        })?;
    }
    match roots.is_empty() {
        true => Err(format!("{shown}: contains no certificate (PEM)")),
        false => Ok(roots),
    }
}
