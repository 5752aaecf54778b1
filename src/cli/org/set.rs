//! `org set`: changes who looks after an organization, and its dates.

use anyhow::bail;
use jiff::Timestamp;

use crate::accounts::{Organization, Person};
use crate::cli::database::DatabaseArgs;
use crate::cli::output::{JsonArgs, refused, report_edit};
use crate::cli::parse::{self, MaybeDate};
use crate::cli::person::{ManagerArgs, PersonEdit};
use crate::cli::{WrongUsage, name};
use crate::random;
use crate::store::OrganizationRow;

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Its name or UUID
    org: String,
    #[command(flatten)]
    manager: ManagerArgs,
    /// From now on nobody looks after it
    #[arg(long)]
    no_account_manager: bool,
    /// When it joined: 2017-10-23 (midnight in UTC) or 2017-10-23T18:20:43Z
    #[arg(long, value_name = "DATE", value_parser = parse::date)]
    created_date: Option<Timestamp>,
    /// When it became active, in the same form
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
            "--no-account-manager does not go with what an account manager has".to_owned()
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
    let before = name::organization(&store, &args.org)?;
    let (organization, cleared) = wanted(args, manager, before)?;
    match store.edit_organization(organization, cleared, Timestamp::now())? {
        Err(findings) => Err(refused(&findings)),
        Ok(None) => bail!(name::DELETED_MEANWHILE),
        Ok(Some(edited)) => report_edit(&args.output, &edited, &edited.row.name, ""),
    }
}

/// What is given, and the columns that are cleared.
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
    // Not the one derived from the organization's name: the manager of one that had the name before may have that.
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
