//! `org set`: changes the account manager and the dates of an organization.

use anyhow::bail;
use jiff::Timestamp;

use crate::accounts::{Organization, Person};
use crate::cli::database::DatabaseArgs;
use crate::cli::output::{JsonArgs, refused, report_edit};
use crate::cli::parse::{self, MaybeDate};
use crate::cli::person::{ManagerArgs, PersonEdit};
use crate::cli::{WrongUsage, lookup};
use crate::random;
use crate::store::OrganizationRow;

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Name or UUID of the organization
    org: String,
    #[command(flatten)]
    manager: ManagerArgs,
    /// Remove the account manager
    #[arg(long)]
    no_account_manager: bool,
    /// Date of joining: 2017-10-23 (midnight in UTC) or 2017-10-23T18:20:43Z
    #[arg(long, value_name = "DATE", value_parser = parse::date)]
    created_date: Option<Timestamp>,
    /// Date of activation, in the same format; an empty value removes it
    #[arg(long, value_name = "DATE", value_parser = parse::maybe_date)]
    active_date: Option<MaybeDate>,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let manager = args.manager.edit();
    if args.no_account_manager && !manager.is_empty() {
        bail!(WrongUsage(
            "--no-account-manager cannot be used with another --account-manager flag".to_owned()
        ));
    }
    if manager.is_empty()
        && !args.no_account_manager
        && args.created_date.is_none()
        && args.active_date.is_none()
    {
        bail!(WrongUsage(
            "nothing to set: give --account-manager-first-name, -last-name, -email or -phone, --no-account-manager, --created-date or --active-date"
                .to_owned()
        ));
    }
    let store = args.database.open_for("org set")?;
    let before = lookup::organization(&store, &args.org)?;
    let (organization, cleared) = wanted(args, manager, before)?;
    match store.edit_organization(organization, cleared, Timestamp::now())? {
        Err(findings) => Err(refused(&findings)),
        Ok(None) => bail!(lookup::DELETED_MEANWHILE),
        Ok(Some(edited)) => report_edit(&args.output, &edited, &edited.row.name, ""),
    }
}

/// The values to set, and the columns to clear.
fn wanted(
    args: &Args,
    manager: PersonEdit,
    before: OrganizationRow,
) -> anyhow::Result<(Organization, Vec<&'static str>)> {
    let gives = manager.gives();
    let mut cleared = manager.cleared;
    if args.no_account_manager {
        cleared.push("account_manager_id");
    }
    if matches!(args.active_date, Some(MaybeDate(None))) {
        cleared.push("active_date");
    }
    // Random, since the manager of an organization that was renamed may have the UUID that is derived from the name.
    let uuid = match before.account_manager {
        Some(_) => None,
        None => Some(random::uuid()?.to_string()),
    };
    let organization = Organization {
        name: before.name,
        org_type: before.org_type,
        status: None,
        uuid: Some(before.uuid),
        retailer_uuid: None,
        supplier_uuid: None,
        created_date: args.created_date,
        active_date: args.active_date.and_then(|MaybeDate(date)| date),
        account_manager: gives.then_some(Person {
            uuid,
            ..manager.given
        }),
        users: Vec::new(),
    };
    Ok((organization, cleared))
}
