//! `user list`: lists users, optionally of one organization, with a status, or with a text.

use jiff::Timestamp;
use serde::Serialize;

use crate::account::UserStatus;
use crate::cli::database::DatabaseArgs;
use crate::cli::lookup;
use crate::cli::named::named;
use crate::cli::output::{ListingArgs, Row, list};
use crate::store::{UserFilter, UserOrder, UserRow};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// List only users of this organization, by name or UUID
    #[arg(long)]
    org: Option<String>,
    /// List only users with this status
    #[arg(long, value_parser = named::<UserStatus>(UserStatus::NAMES))]
    status: Option<UserStatus>,
    /// List only users with this text in the username, first name, last name or email address, ignoring case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// List only users whose next login is refused, from at least one address, because of failed logins
    #[arg(long)]
    locked: bool,
    /// Field to sort by
    #[arg(long, value_name = "FIELD", default_value = "username", value_parser = named::<UserOrder>(UserOrder::NAMES))]
    sort: UserOrder,
    #[command(flatten)]
    listing: ListingArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open()?;
    let organization = args
        .org
        .as_deref()
        .map(|org| lookup::organization(&store, org))
        .transpose()?;
    let filter = UserFilter {
        org_id: organization.map(|organization| organization.id),
        status: args.status,
        search: args.search.as_deref(),
        only_locked: args.locked,
    };
    let listing = args.listing.by(args.sort);
    let rows = store.users(filter, listing, Timestamp::now())?;
    if !args.locked {
        return list(&args.listing.output, &rows);
    }
    let rows: Vec<LockedUser> = rows.into_iter().map(LockedUser).collect();
    list(&args.listing.output, &rows)
}

/// A user in the listing of locked users.
#[derive(Serialize)]
#[serde(transparent)]
pub(in crate::cli) struct LockedUser(UserRow);

impl Row for UserRow {
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("USERNAME", "username"),
        ("STATUS", "status"),
        ("ORG", "org"),
        ("LAST LOGIN", "last_login"),
        ("TOKENS", "tokens_live"),
        ("UUID", "uuid"),
    ];
}

impl Row for LockedUser {
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("USERNAME", "username"),
        ("STATUS", "status"),
        ("ORG", "org"),
        ("FAILED", "failed_logins"),
        ("LOCKED UNTIL", "locked_until"),
        ("ADDRESSES", "locked_addresses"),
        ("ACCOUNT LOCKED UNTIL", "account_locked_until"),
        ("UUID", "uuid"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command;

    #[test]
    fn the_help_names_the_columns_of_users_who_are_locked() {
        let command = command();
        let user = command.find_subcommand("user").unwrap();
        let list = user.find_subcommand("list").unwrap();
        let help = list.get_after_help().unwrap().to_string();
        for (heading, key) in LockedUser::COLUMNS {
            assert!(help.contains(&format!("{heading} ({key})")), "{heading}");
        }
    }
}
