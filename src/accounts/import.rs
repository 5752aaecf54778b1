//! Importing accounts: what the database says against them, then all hashing, and then everything counts at once or nothing
//! does.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;

use super::finding::{Finding, Findings, Place};
use super::{Accounts, Entry, Read};
use crate::auth::check_new_password;
use crate::hashing::{self, Cost, Engine, PasswordHash, Pending, Precedence, default_threads};
use crate::store::{self, Import, Imported, Pins, Store};
use crate::threads;

/// Of no known password, for a dry run.
const ASSUMED_HASH: &str = "$2b$10$.....................................................";

/// What an import takes, and what becomes of the rest.
pub struct Options {
    /// Whether passwords in clear that are short or easily guessed are findings.
    pub policy: bool,
    /// Whether records with findings are left out; otherwise one finding keeps everything from being imported.
    pub skip_bad: bool,
    /// What becomes of a pinned token that the file says nothing of.
    pub pins: Pins,
    /// The UUID of the organization of users for whom the file has none.
    pub default_org: Option<String>,
}

impl Options {
    /// For a fixture that the operator of a database, or of a stub, has written.
    pub const SEED: Self = Self {
        policy: false,
        skip_bad: false,
        pins: Pins::End,
        default_org: None,
    };
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file, or the file and the database together, are wrong.
    #[error("the accounts cannot be imported")]
    Findings(#[from] Findings),
    /// The database could not be read or written.
    #[error("cannot import the accounts")]
    Store(#[from] store::Error),
    /// A password could not be hashed.
    #[error("cannot hash the passwords")]
    Hashing(#[from] hashing::Error),
}

/// Accounts against which nothing is said.
pub struct Checked {
    import: Import,
    /// Of users who exist and have a password in clear.
    present_hashes: HashMap<Place, String>,
    /// What is said against the records that are left out.
    pub skipped: Findings,
    file: Box<Path>,
}

/// Hears how many passwords are hashed, of how many.
pub type Progress<'p> = &'p mut dyn FnMut(u64, u64);

/// Looks at all records, in the file and beside the database; hashes and writes nothing.
///
/// # Errors
/// [`Error::Findings`], unless bad records are skipped and the file as a whole is readable; [`Error::Store`].
pub fn check(store: &Store, file: &Path, read: Read, options: &Options) -> Result<Checked, Error> {
    let Read {
        mut accounts,
        mut findings,
    } = read;
    for entry in &mut accounts.users {
        if entry.place.organization().is_none() && entry.user.org.is_none() {
            entry.user.org.clone_from(&options.default_org);
        }
    }
    if options.policy {
        findings.extend(easily_guessed(&accounts.users));
    }
    let mut import = Import {
        accounts,
        pins: options.pins,
    };
    let checked = store.check_import(&import)?;
    findings.extend(checked.findings);
    let bad: HashSet<Place> = findings.iter().map(|finding| finding.place).collect();
    let skipped = Findings::of(file, findings);
    if bad.contains(&Place::File) || !(bad.is_empty() || options.skip_bad) {
        return Err(skipped.into());
    }
    import
        .accounts
        .users
        .retain(|entry| !bad.contains(&entry.place));
    Ok(Checked {
        import,
        present_hashes: checked.present_hashes,
        skipped,
        file: file.into(),
    })
}

/// Loads the accounts of a fixture.
///
/// # Errors
/// See [`Error`]; nothing is written then.
pub fn load(
    store: &Store,
    engine: &Engine,
    accounts: Accounts,
    cost: Cost,
    now: Timestamp,
) -> Result<Imported, Error> {
    let read = Read {
        accounts,
        findings: Vec::new(),
    };
    let checked = check(store, Path::new("fixture"), read, &Options::SEED)?;
    checked.import(store, engine, Some(cost), now, &mut |_, _| {})
}

/// Guessing takes about a millisecond for each, so every core takes part.
fn easily_guessed(users: &[Entry]) -> Vec<Finding> {
    let next = AtomicUsize::new(0);
    let guess = || {
        let mut findings = Vec::new();
        while let Some(Entry { place, user, .. }) = users.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let check = |password| check_new_password(password, user.username.as_ref(), true).err();
            if let Some(fault) = user.password.as_ref().and_then(check) {
                findings.push(Finding::new(*place, "password", fault.to_string()));
            }
        }
        findings
    };
    let findings = threads::share(default_threads().min(users.len()), guess);
    findings.into_iter().flatten().collect()
}

impl Checked {
    /// The costs of the hashes that the file gives.
    pub fn given_costs(&self) -> impl Iterator<Item = Cost> {
        let users = self.import.accounts.users.iter();
        users.filter_map(|entry| Some(entry.user.password_hash.as_ref()?.cost()))
    }

    /// Hashes all passwords, then writes. Without a cost for new hashes this is a dry run, which reports what an import would
    /// do now: only passwords of users who exist are hashed, to see whether they change.
    ///
    /// # Errors
    /// See [`Error`]; nothing counts then. [`Error::Findings`] for what another process changed since the check.
    pub fn import(
        mut self,
        store: &Store,
        engine: &Engine,
        cost: Option<Cost>,
        now: Timestamp,
        progress: Progress<'_>,
    ) -> Result<Imported, Error> {
        self.replace_passwords(engine, cost, progress)?;
        let outcome = match cost {
            Some(_) => store.import(self.import, now)?,
            None => store.dry_run(&self.import)?,
        };
        outcome.map_err(|findings| Findings::of(&self.file, findings).into())
    }

    /// Replaces passwords in clear by their hashes, where they are not the present ones: those are left out. Much work is
    /// started before any is waited for, so that all lanes have some.
    fn replace_passwords(
        &mut self,
        engine: &Engine,
        cost: Option<Cost>,
        progress: Progress<'_>,
    ) -> Result<(), Error> {
        let users = &mut self.import.accounts.users;
        let mut started = Vec::new();
        for (index, entry) in users.iter_mut().enumerate() {
            if let Some(password) = entry.user.password.take() {
                let present = self.present_hashes.get(&entry.place);
                let present: Option<PasswordHash> = present.map(|hash| hash.parse()).transpose()?;
                let verify =
                    |hash: &PasswordHash| engine.begin_verify(&password, Some(hash), hash.cost());
                let verifying = present.as_ref().map(verify);
                started.push((index, password, verifying));
            }
        }
        let mut changed = Vec::with_capacity(started.len());
        for (index, password, verifying) in started {
            if !verifying.map_or(Ok(false), Pending::wait)? {
                let hash = |cost| engine.begin_hash(&password, cost, Precedence::Normal);
                changed.push((index, cost.map(hash).transpose()?));
            }
        }
        let total = changed.len() as u64;
        for (number, (index, hashing)) in (1..).zip(changed) {
            let hash = match hashing {
                Some(hashing) => hashing.wait()?,
                None => ASSUMED_HASH.parse()?,
            };
            users[index].user.password_hash = Some(hash);
            users[index].is_hashed_here = true;
            progress(number, total);
        }
        Ok(())
    }
}
