//! `user passwd`: changes the password of a user.

use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde::Serialize;

use crate::account::Username;
use crate::cli::database::{CostArgs, DatabaseArgs};
use crate::cli::escape::printable;
use crate::cli::lookup;
use crate::cli::new_password::{NewPassword, PasswordArgs};
use crate::cli::output::{JsonArgs, deliver, report, write_json};
use crate::cli::stream::STDOUT;
use crate::hashing::{Cost, Engine, EngineConfig, Password, Precedence};
use crate::store::UserRow;

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Username or UUID of the user
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

/// A user with its generated password.
#[derive(Serialize)]
struct WithPassword<'a> {
    #[serde(flatten)]
    user: &'a UserRow,
    password: &'a str,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let cost = args.cost.real()?;
    let store = args.database.open_for("user passwd")?;
    let now = Timestamp::now();
    let user = lookup::user(&store, &args.user, now)?;
    let Ok(username) = Username::parse(&user.username) else {
        bail!("the database holds a username that no login can have");
    };
    let new = args.password.get(&username)?;
    // Another command may have deleted the user while the password was asked for and hashed.
    let hash = hash(&new.password, cost)?;
    store.set_password(user.uuid.clone(), hash, Timestamp::now())?;
    let after = lookup::user_again(&store, &user.uuid, now)?;
    let name = &user.username;
    let done = format!("changed the password of {name}, and ended its tokens");
    report_password(&args.output, &after, &done, &new)
}

/// Reports what was done. A generated password must be printed, since it is not known otherwise.
pub(super) fn report_password(
    output: &JsonArgs,
    user: &UserRow,
    done: &str,
    new: &NewPassword,
) -> anyhow::Result<()> {
    let Some(password) = &new.shown else {
        return report(output, user, format_args!("{done}"));
    };
    deliver(|out| {
        if output.json {
            return write_json(out, &WithPassword { user, password });
        }
        if STDOUT.has_notes() {
            writeln!(out, "{}", printable(done))?;
        }
        writeln!(out, "password: {}", password.as_str())
    })
    .with_context(|| {
        let username = &user.username;
        format!(
            "{done}, but the generated password could not be printed and is lost: set another one with `thanos-login user passwd {username}`"
        )
    })
}

pub(super) fn hash(password: &Password, cost: Cost) -> anyhow::Result<String> {
    let one = EngineConfig {
        threads: 1,
        lanes: Some(1),
        ..EngineConfig::new(Duration::MAX)
    };
    let engine = Engine::start(one)?;
    let hash = engine.hash(password, cost, Precedence::Normal)?;
    Ok(hash.as_str().to_owned())
}
