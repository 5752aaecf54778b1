//! Warns about environment variables with this program's prefix that no command knows, which are mostly typing errors.

use std::collections::BTreeSet;
use std::env;

use clap::Command;

use crate::nearest::Nearest;

/// The prefix of this program's variables.
const PREFIX: &str = "THANOS_LOGIN_";

/// One sentence for each unknown variable, without its value, which may be secret.
pub(super) fn warnings(command: &Command) -> Vec<String> {
    let mut known = BTreeSet::new();
    add_variables(command, &mut known);
    let names: BTreeSet<String> = env::vars_os()
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with(PREFIX) && !known.contains(name))
        .collect();
    names.iter().map(|name| warning(name, &known)).collect()
}

fn add_variables(command: &Command, names: &mut BTreeSet<String>) {
    let own = command.get_arguments().filter_map(|arg| arg.get_env());
    names.extend(own.map(|name| name.to_string_lossy().into_owned()));
    for command in command.get_subcommands() {
        add_variables(command, names);
    }
}

fn warning(name: &str, known: &BTreeSet<String>) -> String {
    let mut nearest = Nearest::to(name);
    for known in known {
        nearest.offer(known);
    }
    let advice = match nearest.best() {
        Some(best) => format!("did you mean {best}?"),
        None => "`thanos-login serve --help` lists the known ones".to_owned(),
    };
    format!("unknown environment variable {name}: {advice}")
}
