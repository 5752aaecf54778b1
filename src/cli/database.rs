//! The flags of all commands that use a database or that hash.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::actor::actor;
use super::progress::Progress;
use super::{WrongUsage, warn};
use crate::Config;
use crate::hashing::Cost;
use crate::store::{Location, LocationError, Migrated, OpenedBy, Store, WhenMissing};

/// The variable with the location of the database.
const DATABASE: &str = "THANOS_LOGIN_DB";

/// Whether the value of the variable has a password. The help then does not show it, unlike the values of other
/// variables.
fn may_have_password() -> bool {
    env::var_os(DATABASE).is_some_and(|value| *value != *Location::shown(&value))
}

#[derive(Args)]
pub(super) struct DatabaseArgs {
    /// Database: a file, or the URL of a database on PostgreSQL servers
    #[arg(
        long = "db",
        value_name = "FILE",
        env = DATABASE,
        hide_env_values = may_have_password(),
        default_value = Config::DATABASE
    )]
    pub(super) path: PathBuf,
    /// With a URL: certificate authority of the PostgreSQL servers (PEM) [default: those of the system]
    #[arg(long, value_name = "FILE", env = "THANOS_LOGIN_DB_CA")]
    pub(super) db_ca: Option<PathBuf>,
}

impl DatabaseArgs {
    /// Opens the database, which must exist. This works while a server uses it; the server sees each change at its next
    /// request.
    pub(super) fn open(&self) -> anyhow::Result<Store> {
        let (store, _) = self.open_or(WhenMissing::Refuse)?;
        Ok(store)
    }

    /// Opens the database for a command that changes its content. Each change is recorded with the command and the
    /// system user.
    pub(super) fn open_for(&self, command: &'static str) -> anyhow::Result<Store> {
        Ok(self.open()?.with_actor(actor(command)))
    }

    /// Opens the database, and creates a missing file.
    pub(super) fn open_or_create(&self) -> anyhow::Result<Store> {
        let (store, _) = self.open_or(WhenMissing::Create)?;
        Ok(store)
    }

    /// Opens the database, creates a missing file, and reports a migration of an older one.
    pub(super) fn make(&self) -> anyhow::Result<(Store, Option<Migrated>)> {
        self.open_or(WhenMissing::Create)
    }

    /// Opens the database, and creates a missing file, for a command that changes its content.
    pub(super) fn open_or_create_for(&self, command: &'static str) -> anyhow::Result<Store> {
        Ok(self.open_or_create()?.with_actor(actor(command)))
    }

    /// The location of the database.
    pub(super) fn location(&self) -> Result<Location, WrongUsage> {
        let location = Location::new(self.path.clone(), self.db_ca.clone());
        location.map_err(|error| match error {
            LocationError::NeedlessAuthority => WrongUsage(error.to_string()),
            error => WrongUsage(format!("--db: {error}")),
        })
    }

    /// The path of the database, for a command that supports only files.
    pub(super) fn file(&self) -> anyhow::Result<PathBuf> {
        let location = self.location()?;
        let file = location.file().map(Path::to_owned);
        file.with_context(|| {
            format!(
                "{location}: a database on PostgreSQL servers is copied by `pg_dump`, and restored by `pg_restore`"
            )
        })
    }

    fn open_or(&self, missing: WhenMissing) -> anyhow::Result<(Store, Option<Migrated>)> {
        let progress = Progress::new("pages").reporter();
        let (by, location) = (OpenedBy::Command, self.location()?);
        warn(location.warning().as_slice());
        Ok(Store::open_at(by, &location, missing, progress)?)
    }
}

#[derive(Args)]
pub(super) struct CostArgs {
    #[arg(
        long,
        value_name = "COST",
        env = "THANOS_LOGIN_BCRYPT_COST",
        help = format!(
            "Cost of new bcrypt hashes, {} to {}, with --demo from {}; each step doubles the work [default: {}, with --demo {}]",
            Cost::MIN_REAL, Cost::MAX, Cost::MIN, Cost::DEFAULT, Cost::MIN
        )
    )]
    bcrypt_cost: Option<Cost>,
}

impl CostArgs {
    /// The cost for real accounts.
    pub(super) fn real(&self) -> Result<Cost, WrongUsage> {
        let cost = self.bcrypt_cost.unwrap_or(Cost::DEFAULT);
        if cost < Cost::MIN_REAL {
            return Err(WrongUsage(format!(
                "--bcrypt-cost below {} is for `serve --demo` only",
                Cost::MIN_REAL
            )));
        }
        Ok(cost)
    }

    /// The cost for a demo, which is low so that the demo starts and answers quickly.
    pub(super) fn demo(&self) -> Cost {
        self.bcrypt_cost.unwrap_or(Cost::MIN)
    }
}
