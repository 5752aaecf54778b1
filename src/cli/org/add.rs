//! `org add`: adds an organization without users.

use anyhow::bail;
use jiff::Timestamp;
use uuid::Uuid;

use super::checked_name;
use crate::account::{OrgType, OrganizationStatus};
use crate::accounts::{Organization, Person};
use crate::cli::database::DatabaseArgs;
use crate::cli::lookup;
use crate::cli::named::named;
use crate::cli::output::{JsonArgs, refused, report};
use crate::cli::parse;
use crate::cli::person::ManagerArgs;
use crate::random;

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Name of the organization
    name: String,
    /// Role on the market place
    #[arg(long = "type", value_name = "TYPE", value_parser = named::<OrgType>(OrgType::NAMES))]
    org_type: OrgType,
    /// UUID of the organization; required if another organization has the name [default: a random one]
    #[arg(long, value_parser = parse::uuid)]
    uuid: Option<Uuid>,
    /// UUID of the organization as a retailer or supplier [default: a random one]
    #[arg(long, value_name = "UUID", value_parser = parse::uuid)]
    party_uuid: Option<Uuid>,
    /// Status of the organization
    #[arg(long, default_value = "ACTIVE", value_parser = named::<OrganizationStatus>(OrganizationStatus::NAMES))]
    status: OrganizationStatus,
    #[command(flatten)]
    manager: ManagerArgs,
    /// Date of joining: 2017-10-23 (midnight in UTC) or 2017-10-23T18:20:43Z [default: now]
    #[arg(long, value_name = "DATE", value_parser = parse::date)]
    created_date: Option<Timestamp>,
    /// Date of activation, in the same format [default: now, if the status is ACTIVE]
    #[arg(long, value_name = "DATE", value_parser = parse::date)]
    active_date: Option<Timestamp>,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let org_name = checked_name(&args.name)?;
    let now = Timestamp::now();
    let store = args.database.open_for("org add")?;
    let uuid = args.uuid.map_or_else(random::uuid, Ok)?.to_string();
    let party_uuid = args.party_uuid.map_or_else(random::uuid, Ok)?.to_string();
    let manager = args.manager.edit();
    let manager_uuid = random::uuid()?.to_string();
    let is_active = args.status == OrganizationStatus::Active;
    let (retailer_uuid, supplier_uuid) = args.org_type.split(Some(party_uuid));
    let organization = Organization {
        name: org_name.to_owned(),
        org_type: args.org_type,
        status: Some(args.status),
        uuid: Some(uuid.clone()),
        retailer_uuid,
        supplier_uuid,
        created_date: args.created_date.or(Some(now)),
        active_date: args.active_date.or(is_active.then_some(now)),
        account_manager: manager.gives().then_some(Person {
            uuid: Some(manager_uuid),
            ..manager.given
        }),
        users: Vec::new(),
    };
    if let Err(findings) = store.add_organization(organization, args.uuid.is_some(), now)? {
        if findings.iter().any(|finding| finding.key == "name") {
            bail!(
                "there is an organization {org_name:?} already; --uuid adds another one of that name"
            );
        }
        return Err(refused(&findings));
    }
    let added = lookup::organization_again(&store, &uuid)?;
    report(
        &args.output,
        &added,
        format_args!("added the organization {org_name} ({uuid})"),
    )
}
