//! Where a new password comes from: a hidden prompt, standard input, or the random generator. Never an argument, which
//! other users of the machine can read.

use std::io::{self, IsTerminal, Read};

use anyhow::{Context, bail};
use clap::Args;
use zeroize::Zeroizing;

use super::escape::printable;
use super::terminal::Terminal;
use crate::account::Username;
use crate::auth::{check_new_password, random_password};
use crate::hashing::{MAX_PASSWORD_BYTES, Password};
use crate::text::without_mark;

#[derive(Args)]
#[group(skip)]
pub(super) struct PasswordArgs {
    /// Read the password from standard input, of which neither a byte-order mark nor one line break at the end is a part
    #[arg(long, conflicts_with = "generate")]
    password_stdin: bool,
    /// Make a password, and print it this once
    #[arg(long)]
    generate: bool,
    /// Take a password that is short, easily guessed or the username; for stubs
    #[arg(long)]
    no_policy: bool,
}

/// A password that passed the rules.
pub(super) struct NewPassword {
    pub(super) password: Password,
    /// To be printed once, if it was made here.
    pub(super) shown: Option<Zeroizing<String>>,
}

impl PasswordArgs {
    /// Gets the password from where the flags say.
    pub(super) fn get(&self, username: &Username) -> anyhow::Result<NewPassword> {
        if self.generate {
            let text = random_password().context("no random bytes for a password")?;
            return Ok(NewPassword {
                password: Password::new(text.clone()),
                shown: Some(text),
            });
        }
        let text = if self.password_stdin {
            from_standard_input()?
        } else {
            from_prompt(username)?
        };
        let password = Password::new(text);
        check_new_password(&password, Some(username), !self.no_policy)?;
        Ok(NewPassword {
            password,
            shown: None,
        })
    }
}

fn from_standard_input() -> anyhow::Result<Zeroizing<String>> {
    // One byte, a byte-order mark and a line break more than a password may have show that it is too long.
    const MOST: usize = MAX_PASSWORD_BYTES + 6;
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST));
    io::stdin()
        .lock()
        .take(MOST as u64)
        .read_to_end(&mut bytes)
        .context("cannot read the password from standard input")?;
    let text = std::str::from_utf8(without_mark(&bytes))
        .ok()
        .context("the password on standard input is not UTF-8")?;
    let line = text
        .strip_suffix('\n')
        .map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Zeroizing::new(line.to_owned()))
}

fn from_prompt(username: &Username) -> anyhow::Result<Zeroizing<String>> {
    if !io::stdin().is_terminal() {
        bail!("there is no terminal to ask for the password: give --password-stdin or --generate");
    }
    let name = printable(username.as_str());
    let (first, second) = Terminal::open()
        .and_then(|terminal| {
            let first = terminal.ask(format!("Password for {name}: "))?;
            Ok((first, terminal.ask("The same again: ".to_owned())?))
        })
        .context("cannot read the password from the terminal")?;
    if first != second {
        bail!("the two passwords differ");
    }
    Ok(first)
}
