//! `user passwd`: another password for a user.

use std::time::Duration;

use anyhow::bail;
use jiff::Timestamp;
use serde::Serialize;

use crate::account::Username;
use crate::cli::database::{CostArgs, DatabaseArgs};
use crate::cli::name;
use crate::cli::new_password::PasswordArgs;
use crate::cli::output::{JsonArgs, print, printable, write_json};
use crate::hashing::{Cost, Engine, EngineConfig, Password, Precedence};
use crate::store::UserRow;

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Its username or UUID
    user: String,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    cost: CostArgs,
}

/// A user, with the password that was made for it.
#[derive(Serialize)]
pub(super) struct WithPassword<'a> {
    #[serde(flatten)]
    pub(super) user: &'a UserRow,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) password: Option<&'a str>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let cost = args.cost.real();
    let store = args.database.open()?;
    let now = Timestamp::now();
    let user = name::user(&store, &args.user, now)?;
    let Ok(username) = Username::parse(&user.username) else {
        bail!("the database holds a username that no login can have");
    };
    let new = args.password.get(&username)?;
    if !store.set_password(user.id, hash(&new.password, cost)?)? {
        bail!("the user is gone");
    }
    let after = name::user(&store, &user.uuid, now)?;
    print(|out| {
        let password = new.shown.as_ref().map(|text| text.as_str());
        if args.output.json {
            let user = &after;
            return write_json(out, &WithPassword { user, password });
        }
        let shown = printable(&user.username);
        writeln!(out, "changed the password of {shown}, and ended its tokens")?;
        password.map_or(Ok(()), |password| writeln!(out, "password: {password}"))
    })
}

pub(super) fn hash(password: &Password, cost: Cost) -> anyhow::Result<String> {
    let one = EngineConfig {
        threads: 1,
        ..EngineConfig::new(Duration::MAX)
    };
    let engine = Engine::start(one)?;
    let hash = engine.hash(password, cost, Precedence::Normal)?;
    Ok(hash.as_str().to_owned())
}
