//! `completions`: prints a shell script that completes commands and flags.

use clap_complete::Shell;

use super::{command, output};

#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Shell to print the script for
    #[arg(ignore_case = true)]
    shell: Shell,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "thanos-login", &mut script);
    output::print(|out| out.write_all(&script))
}
