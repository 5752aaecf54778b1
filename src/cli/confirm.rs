//! The question before something is lost.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};

use anyhow::{Context, bail};
use clap::Args;

use super::escape::printable;
use super::stream::STDERR;

#[derive(Args)]
#[group(skip)]
pub(super) struct ConfirmArgs {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl ConfirmArgs {
    /// Goes on if `--yes` is given, or the answer at the terminal is yes.
    pub(super) fn confirm(&self, question: &str) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        let unasked = "there is no terminal to ask at: give --yes to delete without a question";
        confirm(question, unasked, "nothing was deleted")
    }
}

/// Goes on if the answer at the terminal is yes. The other texts are of the failures without a terminal, and for a no.
pub(super) fn confirm(question: &str, unasked: &str, declined: &str) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() {
        bail!("{unasked}");
    }
    let answer = ask(question).context("cannot ask at the terminal")?;
    if !["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()) {
        bail!("{declined}");
    }
    Ok(())
}

/// At the terminal that controls the process, wherever the standard streams go.
fn ask(question: &str) -> io::Result<String> {
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    // What is still to be written there, such as the end of a progress bar, would erase the question.
    STDERR.drain();
    (&terminal).write_all(format!("{} [y/N] ", printable(question)).as_bytes())?;
    let mut answer = String::new();
    BufReader::new(&terminal).read_line(&mut answer)?;
    Ok(answer)
}
