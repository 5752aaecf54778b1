//! `org set-status`: changes the status of an organization.

use jiff::Timestamp;

use crate::account::OrganizationStatus;
use crate::cli::database::DatabaseArgs;
use crate::cli::lookup;
use crate::cli::named::named;
use crate::cli::output::{JsonArgs, report};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Name or UUID of the organization
    org: String,
    /// New status
    #[arg(value_parser = named::<OrganizationStatus>(OrganizationStatus::NAMES))]
    status: OrganizationStatus,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open_for("org set-status")?;
    let before = lookup::organization(&store, &args.org)?;
    let changed = store.set_organization_status(before.id, args.status, Timestamp::now())?;
    let after = lookup::organization_again(&store, &before.uuid)?;
    let (name, status) = (&before.name, args.status);
    let done = match changed {
        true => format!("{name} is {status} now, and was {}", before.status),
        false => format!("{name} is {status} already"),
    };
    report(&args.output, &after, format_args!("{done}"))
}
