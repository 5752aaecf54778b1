//! `user show`: one user.

use jiff::Timestamp;

use crate::cli::database::DatabaseArgs;
use crate::cli::name;
use crate::cli::output::{JsonArgs, moment, or_dash, show};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Its username or UUID
    user: String,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open()?;
    let row = name::user(&store, &args.user, Timestamp::now())?;
    show(
        &args.output,
        &row,
        &[
            ("uuid", row.uuid.clone()),
            ("username", row.username.clone()),
            ("status", row.status.to_string()),
            ("org", row.org.clone()),
            ("org_uuid", row.org_uuid.clone()),
            ("org_type", row.org_type.to_string()),
            ("org_status", row.org_status.to_string()),
            ("first_name", or_dash(row.first_name.as_ref())),
            ("last_name", or_dash(row.last_name.as_ref())),
            ("email", or_dash(row.email.as_ref())),
            ("phone", or_dash(row.phone.as_ref())),
            ("bcrypt_cost", row.bcrypt_cost.to_string()),
            ("last_login", moment(row.last_login)),
            ("unlocked_at", moment(row.unlocked_at)),
            ("tokens_live", row.tokens_live.to_string()),
        ],
    )
}
