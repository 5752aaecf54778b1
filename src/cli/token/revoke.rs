//! `token revoke`: revokes tokens.

use anyhow::bail;
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::database::DatabaseArgs;
use crate::cli::lookup;
use crate::cli::output::{JsonArgs, report};
use crate::store::DigestRange;
use crate::text::counted;

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// IDs of the tokens, as shown by `token list`
    #[arg(value_name = "ID", required_unless_present = "user")]
    ids: Vec<String>,
    /// Revoke all tokens of this user, by username or UUID
    #[arg(long)]
    user: Option<String>,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Serialize)]
struct Revoked {
    revoked: usize,
}

/// Revokes all of the tokens, or none if one of them does not exist.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let store = args.database.open_for("token revoke")?;
    let mut ranges = Vec::with_capacity(args.ids.len());
    for id in &args.ids {
        let Some(range) = DigestRange::parse(id) else {
            bail!("{id:?} is not the ID of a token (`thanos-login token list` shows them)");
        };
        match store.count_tokens(range)? {
            0 => bail!("no such token {id:?} (`thanos-login token list` shows them)"),
            1 => ranges.push(range),
            _ => bail!("more than one token starts with {id:?}: give more of its digits"),
        }
    }
    let user = args
        .user
        .as_deref()
        .map(|user| lookup::user(&store, user, now))
        .transpose()?;
    let revoked = store.revoke_tokens(ranges, user.map(|user| user.id), now)?;
    let tokens = counted(revoked, "token");
    report(
        &args.output,
        &Revoked { revoked },
        format_args!("revoked {tokens}"),
    )
}
