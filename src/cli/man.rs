//! `man`: the manual pages, made from the flags themselves.

use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;
use clap_mangen::Man;

use super::{Cli, output};

#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Write a page for every command into this directory [default: print the first page]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let command = Cli::command();
    if let Some(directory) = &args.out {
        return clap_mangen::generate_to(command, directory)
            .with_context(|| format!("{}: cannot write manual pages", directory.display()));
    }
    let mut page = Vec::new();
    Man::new(command)
        .render(&mut page)
        .context("cannot make the manual page")?;
    output::print(|out| out.write_all(&page))
}
