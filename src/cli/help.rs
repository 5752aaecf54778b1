//! What the help of each command ends with: the columns or fields that it prints, and an example.

use clap::{Arg, Command};

use super::output::Row;
use crate::store::{OrganizationRow, TokenRow, UserRow};

/// The end of one command's help.
pub(super) struct Ending {
    pub(super) command: &'static str,
    prints: Prints,
    /// Of the program's arguments.
    example: &'static str,
}

/// What a command prints.
enum Prints {
    /// Nothing, or a line about what was done.
    Line,
    /// A table: its headings, each with the key of `--json`.
    Columns(&'static [(&'static str, &'static str)]),
    /// A line each, or an object with these keys.
    Fields(&'static str),
}

const USER: &str = "uuid, username, status, org, org_uuid, org_type, org_status, first_name, last_name, email, phone, bcrypt_cost, last_login, unlocked_at, tokens_live";
const ORGANIZATION: &str =
    "uuid, name, org_type, status, retailer_uuid, supplier_uuid, created_date, active_date, users";

pub(super) const ENDINGS: &[Ending] = &[
    line(
        "serve",
        "serve --listen 0.0.0.0:8443 --tls-cert tls.pem --tls-key tls.key",
    ),
    line("healthcheck", "healthcheck --listen 127.0.0.1:8080"),
    line("init", "init --db /var/lib/thanos-login/thanos-login.db"),
    line("seed", "seed accounts.json"),
    fields(
        "calibrate",
        "threads, lanes, target_ms, recommended_cost, costs (cost, login_ms, hashes_per_second)",
        "calibrate --target 250ms",
    ),
    fields("org add", ORGANIZATION, "org add Acme --type RETAILER"),
    columns::<OrganizationRow>("org list", "org list --sort created_date --json"),
    fields("org show", ORGANIZATION, "org show Acme"),
    fields(
        "org set-status",
        ORGANIZATION,
        "org set-status Acme DEACTIVATED",
    ),
    fields("org rename", ORGANIZATION, "org rename Acme Acme-Retail"),
    fields(
        "org delete",
        ORGANIZATION,
        "org delete Acme --with-users --yes",
    ),
    fields(
        "user add",
        USER,
        "user add jane@acme.example --org Acme --generate",
    ),
    columns::<UserRow>(
        "user list",
        "user list --org Acme --sort last_login --reverse --limit 20",
    ),
    fields("user show", USER, "user show jane@acme.example"),
    fields("user passwd", USER, "user passwd jane@acme.example"),
    fields(
        "user set-status",
        USER,
        "user set-status jane@acme.example DEACTIVATED",
    ),
    fields(
        "user rename",
        USER,
        "user rename jane@acme.example jane.doe@acme.example",
    ),
    fields("user delete", USER, "user delete jane@acme.example"),
    fields("user unlock", USER, "user unlock jane@acme.example"),
    fields(
        "user import",
        "added, changed, unchanged, skipped, dry_run",
        "user import users.csv --org Acme --dry-run",
    ),
    line("user export", "user export users.csv --org Acme"),
    columns::<TokenRow>("token list", "token list --user jane@acme.example"),
    fields(
        "token revoke",
        "revoked",
        "token revoke --user jane@acme.example",
    ),
    fields("token purge", "purged", "token purge"),
    fields("check", "check, message", "check --json"),
    line("backup", "backup /var/backups/thanos-login.db --force"),
    line("restore", "restore /var/backups/thanos-login.db"),
    line("completions", "completions bash"),
    line("man", "man --out /usr/local/share/man/man1"),
];

const fn line(command: &'static str, example: &'static str) -> Ending {
    Ending {
        command,
        prints: Prints::Line,
        example,
    }
}

const fn fields(command: &'static str, names: &'static str, example: &'static str) -> Ending {
    Ending {
        command,
        prints: Prints::Fields(names),
        example,
    }
}

const fn columns<R: Row>(command: &'static str, example: &'static str) -> Ending {
    Ending {
        command,
        prints: Prints::Columns(R::COLUMNS),
        example,
    }
}

/// Ends the help of every command that does not do so itself.
pub(super) fn complete(command: Command) -> Command {
    below("", command)
}

fn below(path: &str, command: Command) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    let with_all = names.iter().fold(command, |command, name| {
        let path = format!("{path} {name}");
        command.mut_subcommand(name, |command| below(&path, command))
    });
    let ending = ENDINGS
        .iter()
        .find(|ending| ending.command == path.trim_start());
    let command = with_all.mut_args(takes_negative_numbers);
    match ending {
        Some(ending) if command.get_after_help().is_none() => command.after_help(ending.text()),
        _ => command,
    }
}

/// For a message about the number, not about an unknown flag.
fn takes_negative_numbers(arg: Arg) -> Arg {
    let takes_value = arg.get_action().takes_values();
    arg.allow_negative_numbers(takes_value)
}

impl Ending {
    fn text(&self) -> String {
        let prints = match self.prints {
            Prints::Line => String::new(),
            Prints::Fields(names) => {
                format!("Fields, which are the keys of --json:\n  {names}\n\n")
            }
            Prints::Columns(columns) => {
                let columns = columns
                    .iter()
                    .map(|(heading, key)| format!("{heading} ({key})"));
                let columns: Vec<String> = columns.collect();
                format!(
                    "Columns, with their keys in --json:\n  {}\n\n",
                    columns.join(", ")
                )
            }
        };
        format!("{prints}Example:\n  thanos-login {}", self.example)
    }
}
