//! The flags that belong to every command with a database, or with hashing.

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

/// Says where the database is, where no flag does.
const DATABASE: &str = "THANOS_LOGIN_DB";

/// The help shows the values of variables, but not this.
fn may_have_password() -> bool {
    env::var_os(DATABASE).is_some_and(|value| *value != *Location::shown(&value))
}

#[derive(Args)]
pub(super) struct DatabaseArgs {
    /// Database: a file, or the URL of one on PostgreSQL servers
    #[arg(
        long = "db",
        value_name = "FILE",
        env = DATABASE,
        hide_env_values = may_have_password(),
        default_value = Config::DATABASE
    )]
    pub(super) path: PathBuf,
    /// With a URL: certificate authority of the servers (PEM) [default: those of the system]
    #[arg(long, value_name = "FILE", env = "THANOS_LOGIN_DB_CA")]
    pub(super) db_ca: Option<PathBuf>,
}

impl DatabaseArgs {
    /// Opens the file, which must exist. Works while a server runs on it, which acts on every change at its next request.
    pub(super) fn open(&self) -> anyhow::Result<Store> {
        let (store, _) = self.open_or(WhenMissing::Refuse)?;
        Ok(store)
    }

    /// The same for a command, as it is typed, that changes what is in it: each change is noted as that of the system user.
    pub(super) fn open_for(&self, command: &'static str) -> anyhow::Result<Store> {
        Ok(self.open()?.with_actor(actor(command)))
    }

    /// Opens the file, and makes a missing one.
    pub(super) fn open_or_create(&self) -> anyhow::Result<Store> {
        let (store, _) = self.open_or(WhenMissing::Create)?;
        Ok(store)
    }

    /// Makes a missing file, and brings an older one up to date.
    pub(super) fn make(&self) -> anyhow::Result<(Store, Option<Migrated>)> {
        self.open_or(WhenMissing::Create)
    }

    /// Makes a missing file, for a command that changes what is in it.
    pub(super) fn open_or_create_for(&self, command: &'static str) -> anyhow::Result<Store> {
        Ok(self.open_or_create()?.with_actor(actor(command)))
    }

    /// Where it is.
    pub(super) fn location(&self) -> Result<Location, WrongUsage> {
        let location = Location::new(self.path.clone(), self.db_ca.clone());
        location.map_err(|error| match error {
            LocationError::NeedlessAuthority => WrongUsage(error.to_string()),
            error => WrongUsage(format!("--db: {error}")),
        })
    }

    /// The file of a command that is about files alone.
    pub(super) fn file(&self) -> anyhow::Result<PathBuf> {
        let location = self.location()?;
        let file = location.file().map(Path::to_owned);
        file.with_context(|| {
            format!(
                "{location}: a database on PostgreSQL servers is copied by `pg_dump`, and put back by `pg_restore`"
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
            "bcrypt's cost for new hashes, {} to {}, with --demo from {}; each step doubles the work [default: {}, with --demo {}]",
            Cost::MIN_REAL, Cost::MAX, Cost::MIN, Cost::DEFAULT, Cost::MIN
        )
    )]
    bcrypt_cost: Option<Cost>,
}

impl CostArgs {
    /// For accounts that are real.
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

    /// For a stub, which shall start and answer at once.
    pub(super) fn demo(&self) -> Cost {
        self.bcrypt_cost.unwrap_or(Cost::MIN)
    }
}
