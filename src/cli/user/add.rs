//! `user add`: adds a user with a password.

use jiff::Timestamp;
use uuid::Uuid;

use super::passwd::{hash, report_password};
use super::permission::PermissionArgs;
use crate::account::{UserStatus, Username};
use crate::accounts::{Person, User};
use crate::cli::database::{CostArgs, DatabaseArgs};
use crate::cli::lookup;
use crate::cli::named::named;
use crate::cli::new_password::PasswordArgs;
use crate::cli::output::{JsonArgs, refused};
use crate::cli::parse;
use crate::cli::person::PersonArgs;
use crate::random;

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Username of the new user
    #[arg(value_parser = parse::new_username)]
    username: Username,
    /// Organization of the user, by name or UUID
    #[arg(long)]
    org: String,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    permissions: PermissionArgs,
    /// Status of the user
    #[arg(long, default_value = "ACTIVE", value_parser = named::<UserStatus>(UserStatus::NAMES))]
    status: UserStatus,
    /// UUID of the user [default: a random one]
    #[arg(long, value_parser = parse::uuid)]
    uuid: Option<Uuid>,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    cost: CostArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let cost = args.cost.real()?;
    let store = args.database.open_for("user add")?;
    let organization = lookup::organization(&store, &args.org)?;
    let username = args.username.as_str();
    let taken = || {
        anyhow::anyhow!(
            "there is a user {username:?} already (`thanos-login user passwd` changes a password)"
        )
    };
    let now = Timestamp::now();
    let given = args.permissions.find(&store)?;
    // Checked early, before the password is asked for; decided when the user is added.
    let called = store.user_called(username, now)?;
    if called.is_some_and(|user| user.username.eq_ignore_ascii_case(username)) {
        return Err(taken());
    }
    let new = args.password.get(&args.username)?;
    let hash = hash(&new.password, cost)?;
    let uuid = args.uuid.map_or_else(random::uuid, Ok)?.to_string();
    let user = User {
        org: Some(organization.uuid),
        username: Some(args.username.clone()),
        password: None,
        password_hash: Some(hash.parse()?),
        status: Some(args.status),
        uuid: Some(uuid.clone()),
        auth_token: None,
        person: Some(Person {
            uuid: Some(random::uuid()?.to_string()),
            ..args.person.edit().given
        }),
        permissions: given.permissions.clone(),
    };
    if let Err(findings) = store.add_user(user, Timestamp::now())? {
        if findings.iter().any(|finding| finding.key == "username") {
            return Err(taken());
        }
        return Err(refused(&findings));
    }
    let user = lookup::user_again(&store, &uuid, now)?;
    let done = format!("added the user {username} ({uuid}){}", given.new_ones());
    report_password(&args.output, &user, &done, &new)
}
