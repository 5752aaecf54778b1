//! `man`: prints or writes the manual pages, which are generated from the help texts.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap_mangen::Man;

use super::file_error::file_error;
use super::{command, output};
use crate::files::{self, Existing};

#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Write a page for each command into this directory [default: print the main page]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(directory) = &args.out {
        let mut command = command().disable_help_subcommand(true);
        command.build();
        let pages = write_pages(command, directory)?;
        let directory = directory.display();
        let done = format_args!("wrote {pages} manual pages to {directory}");
        return output::report(&output::JsonArgs::TEXT, &(), done);
    }
    let page = render(&Man::new(command()))?;
    output::print(|out| out.write_all(&page))
}

/// Writes a page for a command and each of its subcommands. Returns the number of pages.
fn write_pages(command: clap::Command, directory: &Path) -> anyhow::Result<usize> {
    let mut pages = 1;
    let commands = command.get_subcommands();
    for command in commands.filter(|command| !command.is_hide_set()) {
        pages += write_pages(command.clone(), directory)?;
    }
    let page = Man::new(command);
    let path = directory.join(page.get_filename());
    files::write(&path, &render(&page)?, 0o644, Existing::Replace)
        .map_err(|error| file_error(&path, "cannot write the manual page", error))?;
    Ok(pages)
}

fn render(page: &Man) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    page.render(&mut text)
        .context("cannot make the manual page")?;
    Ok(text)
}
