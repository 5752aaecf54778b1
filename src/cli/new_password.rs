//! Reads a new password from a hidden prompt or standard input, or generates one. Never takes it from an argument,
//! which other users of the machine can read.

use std::io::{self, IsTerminal, Read};

use anyhow::{Context, bail};
use clap::Args;
use zeroize::Zeroizing;

use super::escape::printable;
use super::input::Input;
use super::terminal::Terminal;
use crate::account::Username;
use crate::auth::{PasswordFault, check_new_password, random_password};
use crate::hashing::{MAX_PASSWORD_BYTES, Password};
use crate::text::without_mark;

/// How often to ask for a password until an acceptable one is entered.
const PROMPTS: u32 = 3;

#[derive(Args)]
#[group(skip)]
pub(super) struct PasswordArgs {
    /// Read the password from standard input, as one line; a byte-order mark and the line break are removed
    #[arg(long, conflicts_with = "generate")]
    password_stdin: bool,
    /// Generate a password and print it once
    #[arg(long)]
    generate: bool,
    /// Accept a password that is short, easily guessed or the username; for test accounts
    #[arg(long)]
    no_policy: bool,
}

/// A password that complies with the rules.
pub(super) struct NewPassword {
    pub(super) password: Password,
    /// The generated password, to be printed once; `None` if the operator chose it.
    pub(super) shown: Option<Zeroizing<String>>,
}

impl PasswordArgs {
    /// Generates or reads the password, as the flags say.
    pub(super) fn get(&self, username: &Username) -> anyhow::Result<NewPassword> {
        if self.generate {
            let text = random_password().context("no random bytes for a password")?;
            return Ok(NewPassword {
                password: Password::new(text.clone()),
                shown: Some(text),
            });
        }
        let check =
            |password: &Password| check_new_password(password, Some(username), !self.no_policy);
        let password = if self.password_stdin {
            let password = Password::new(from_standard_input()?);
            check(&password)?;
            password
        } else {
            from_prompt(username, check)?
        };
        Ok(NewPassword {
            password,
            shown: None,
        })
    }
}

fn from_standard_input() -> anyhow::Result<Zeroizing<String>> {
    // The longest password, plus a byte-order mark, a line break, and one byte that shows that the password is too
    // long.
    const MOST: usize = MAX_PASSWORD_BYTES + 6;
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST));
    Input
        .take(MOST as u64)
        .read_to_end(&mut bytes)
        .context("cannot read the password from standard input")?;
    let text = std::str::from_utf8(without_mark(&bytes))
        .ok()
        .context("the password on standard input is not UTF-8")?;
    let line = text
        .strip_suffix('\n')
        .map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() {
        bail!("standard input is empty: --password-stdin takes the password as its one line");
    }
    if line.contains('\n') {
        bail!(
            "standard input has more than one line: --password-stdin takes the password as its one line"
        );
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// Asks for the password twice. Reports an unacceptable password at once, and asks again a few times.
fn from_prompt(
    username: &Username,
    check: impl Fn(&Password) -> Result<(), PasswordFault>,
) -> anyhow::Result<Password> {
    if !io::stdin().is_terminal() {
        bail!("there is no terminal to ask for the password: give --password-stdin or --generate");
    }
    let name = printable(username.as_str());
    let cannot_ask = "cannot read the password from the terminal";
    let terminal = Terminal::open().context(cannot_ask)?;
    let mut left = PROMPTS;
    loop {
        let first = terminal
            .ask(format!("Password for {name}: "))
            .context(cannot_ask)?;
        let password = Password::new(first.clone());
        let problem = match check(&password) {
            Err(fault) => fault.to_string(),
            Ok(()) => {
                let again = terminal.ask("Repeat the password: ".to_owned());
                if again.context(cannot_ask)? == first {
                    return Ok(password);
                }
                "the two passwords differ".to_owned()
            }
        };
        left -= 1;
        if left == 0 {
            bail!(problem);
        }
        let written = terminal.write_line(&format!("{problem}; try again"));
        written.context(cannot_ask)?;
    }
}
