//! Asks for confirmation before data is lost.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};

use anyhow::{Context, bail};
use clap::Args;

use super::escape::printable;
use super::stream::STDERR;

#[derive(Args)]
#[group(skip)]
pub(super) struct ConfirmArgs {
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

impl ConfirmArgs {
    /// Succeeds if `--yes` is given or the answer at the terminal is yes.
    pub(super) fn confirm(&self, question: &str) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        let unasked = "there is no terminal to ask at: give --yes to delete without a question";
        confirm(question, unasked, "nothing was deleted")
    }
}

/// Succeeds if the answer at the terminal is yes. `unasked` is the error if there is no terminal, `declined` that of
/// another answer.
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

/// Asks at the controlling terminal of the process, even if the standard streams are redirected.
fn ask(question: &str) -> io::Result<String> {
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    // Pending output to the terminal, such as the end of a progress bar, would erase the question.
    STDERR.drain();
    (&terminal).write_all(format!("{} [y/N] ", printable(question)).as_bytes())?;
    let mut answer = String::new();
    BufReader::new(&terminal).read_line(&mut answer)?;
    Ok(answer)
}
