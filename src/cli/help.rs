//! The end of each command's help: the columns or fields that it prints, and an example.

use clap::{Arg, Command};

use super::output::Row;
use super::user::list::LockedUser;
use crate::store::{Event, OrganizationRow, TokenRow, UserRow};

/// The end of one command's help.
pub(super) struct HelpEnding {
    pub(super) command: &'static str,
    /// The headings of its table, each with the key of `--json`.
    columns: &'static [(&'static str, &'static str)],
    /// The columns of its table with a flag.
    columns_of: Option<(&'static str, &'static [(&'static str, &'static str)])>,
    /// The keys of `--json`.
    fields: &'static str,
    /// Additional remarks.
    note: &'static str,
    /// The arguments of an example.
    example: &'static str,
}

const USER: &str = "uuid, username, status, org, org_uuid, org_type, org_status, first_name, last_name, email, phone, permissions, bcrypt_cost, last_login, unlocked_at, tokens_live, failed_logins, locked_until, locked_addresses, account_locked_until";
const LOCKS: &str = "\
The server writes the last four fields right after its answers: the number of failed logins that count now, until when
the next login is refused and for which addresses, and until when it is refused for all addresses that have not logged
in as this user.";
const ORGANIZATION: &str = "uuid, name, org_type, status, retailer_uuid, supplier_uuid, created_date, active_date, account_manager, users";
const EVENT: &str =
    "time, action, outcome, times, actor, address, user_uuid, org_uuid, object, before, after";
const EVENTS: &str = "\
The action is `login`, or the command that made a change. A login has an outcome (succeeded, failed, throttled or
inactive), the number of logins in the event, and the address of the client. A change has the system user who ran the
command, and the values before and after. Events contain no secrets.";

pub(super) const ENDINGS: &[HelpEnding] = &[
    ending("serve", "serve --listen 0.0.0.0:8443 --tls-cert tls.pem --tls-key tls.key")
        .with_note("--check-config prints the columns FLAG, VALUE and FROM."),
    ending("healthcheck", "healthcheck --listen unix:/run/thanos-login/http.sock"),
    ending("init", "init --db /var/lib/thanos-login/thanos-login.db").with_fields("path, made, migrated_from"),
    ending("seed", "seed accounts.json --dry-run")
        .with_fields("organizations (added, changed, unchanged), users (added, changed, unchanged), dry_run")
        .with_note("Values of existing accounts that the file leaves out are kept, and so are passwords that have not changed in the file\nsince it was last loaded."),
    ending("calibrate", "calibrate --target 250ms")
        .with_fields("threads, lanes, target_ms, recommended_cost, costs (cost, login_ms, hashes_per_second)"),
    ending("org add", "org add Acme --type RETAILER").with_fields(ORGANIZATION),
    ending("org list", "org list --status pending --search market --sort created_date")
        .with_fields(ORGANIZATION)
        .with_columns(OrganizationRow::COLUMNS),
    ending("org show", "org show Acme").with_fields(ORGANIZATION),
    ending("org set", "org set Acme --account-manager-email ann@thanos.example --active-date 2026-11-26").with_fields(ORGANIZATION),
    ending("org set-status", "org set-status Acme DEACTIVATED").with_fields(ORGANIZATION),
    ending("org rename", "org rename Acme Acme-Retail").with_fields(ORGANIZATION),
    ending("org delete", "org delete Acme --with-users --yes").with_fields(ORGANIZATION),
    ending("user add", "user add jane@acme.example --org Acme --generate --first-name Jane --permission sell")
        .with_fields(USER)
        .with_note("With --generate, there is also the field password."),
    ending("user list", "user list --org Acme --status deactivated --search jane")
        .with_fields(USER)
        .with_columns(UserRow::COLUMNS)
        .with_columns_of("--locked", LockedUser::COLUMNS),
    ending("user show", "user show jane@acme.example").with_fields(USER).with_note(LOCKS),
    ending("user history", "user history jane@acme.example --reverse --limit 20")
        .with_fields(EVENT)
        .with_columns(Event::COLUMNS)
        .with_note(EVENTS),
    ending("user set", "user set jane@acme.example --first-name Jane --phone +352-27-8611").with_fields(USER),
    ending("user move", "user move jane@acme.example --org Acme-Retail").with_fields(USER),
    ending("user passwd", "user passwd jane@acme.example").with_fields(USER),
    ending("user set-status", "user set-status jane@acme.example DEACTIVATED").with_fields(USER),
    ending("user rename", "user rename jane@acme.example jane.doe@acme.example").with_fields(USER),
    ending("user delete", "user delete jane@acme.example").with_fields(USER),
    ending("user unlock", "user unlock jane@acme.example").with_fields(USER).with_note(LOCKS),
    ending("user import", "user import users.csv --org Acme --dry-run")
        .with_fields("added, changed, unchanged, skipped, dry_run"),
    ending("user export", "user export users.csv --org Acme"),
    ending("token list", "token list --user jane@acme.example").with_columns(TokenRow::COLUMNS),
    ending("token revoke", "token revoke --user jane@acme.example").with_fields("revoked"),
    ending("token purge", "token purge").with_fields("purged"),
    ending("events list", "events list --since 1d --user jane@acme.example")
        .with_fields(EVENT)
        .with_columns(Event::COLUMNS)
        .with_note(EVENTS),
    ending("check", "check --json").with_fields("check, message"),
    ending("backup", "backup /var/backups/thanos-login.db --force").with_fields("path, users"),
    ending("restore", "restore /var/backups/thanos-login.db --force")
        .with_fields("path, users, newest_login, kept")
        .with_note("Asks before it replaces a database, and keeps the old one as NAME.before-restore until the next restore."),
    ending("completions", "completions bash"),
    ending("man", "man --out /usr/local/share/man/man1"),
];

const fn ending(command: &'static str, example: &'static str) -> HelpEnding {
    HelpEnding {
        command,
        columns: &[],
        columns_of: None,
        fields: "",
        note: "",
        example,
    }
}

/// Adds the end of the help to every command.
pub(super) fn complete(command: Command) -> Command {
    complete_below("", command)
}

fn complete_below(path: &str, command: Command) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    let with_all = names.iter().fold(command, |command, name| {
        let path = format!("{path} {name}");
        command.mut_subcommand(name, |command| complete_below(&path, command))
    });
    let ending = ENDINGS
        .iter()
        .find(|ending| ending.command == path.trim_start());
    let command = with_all.mut_args(takes_negative_numbers);
    match ending {
        Some(ending) => command.after_help(ending.text()),
        None => command,
    }
}

/// Accepts negative numbers as values, so that the error is about the number and not about an unknown flag.
fn takes_negative_numbers(arg: Arg) -> Arg {
    let takes_value = arg.get_action().takes_values();
    arg.allow_negative_numbers(takes_value)
}

impl HelpEnding {
    const fn with_columns(mut self, columns: &'static [(&'static str, &'static str)]) -> Self {
        self.columns = columns;
        self
    }

    const fn with_columns_of(
        mut self,
        flag: &'static str,
        columns: &'static [(&'static str, &'static str)],
    ) -> Self {
        self.columns_of = Some((flag, columns));
        self
    }

    const fn with_fields(mut self, fields: &'static str) -> Self {
        self.fields = fields;
        self
    }

    const fn with_note(mut self, note: &'static str) -> Self {
        self.note = note;
        self
    }

    fn text(&self) -> String {
        let mut parts = Vec::new();
        if !self.columns.is_empty() {
            let columns = listed(self.columns);
            parts.push(format!("Columns (keys of --json):\n  {columns}"));
        }
        if let Some((flag, columns)) = self.columns_of {
            parts.push(format!("Columns with {flag}:\n  {}", listed(columns)));
        }
        if !self.fields.is_empty() {
            let fields = self.fields;
            parts.push(format!("Fields (keys of --json):\n  {fields}"));
        }
        if !self.note.is_empty() {
            parts.push(self.note.to_owned());
        }
        parts.push(format!("Example:\n  thanos-login {}", self.example));
        parts.join("\n\n")
    }
}

fn listed(columns: &[(&str, &str)]) -> String {
    let columns = columns
        .iter()
        .map(|(heading, key)| format!("{heading} ({key})"));
    columns.collect::<Vec<_>>().join(", ")
}
