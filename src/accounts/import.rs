//! Importing accounts: check all records against the database, hash all passwords, then write everything atomically.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;

use super::finding::{Finding, Findings, RecordPlace};
use super::{Accounts, Loaded, ParsedAccounts, UserEntry};
use crate::auth::check_new_password;
use crate::hashing::{
    self, Cost, Engine, Password, PasswordHash, Pending, Precedence, default_threads,
};
use crate::store::{self, Import, Imported, KnownHashes, Pins, Store};
use crate::threads;

/// The placeholder for the hashes that a dry run does not compute. It is the hash of no known password.
const ASSUMED_HASH: &str = "$2b$10$.....................................................";

/// The options of an import.
pub struct ImportOptions {
    /// Whether plain passwords that are short or easily guessed are findings.
    pub policy: bool,
    /// Whether records with findings are skipped. Otherwise a single finding prevents the whole import.
    pub skip_bad: bool,
    /// What happens to a pinned token that the file does not mention.
    pub pins: Pins,
    /// The UUID of the organization for users for whom the file names none.
    pub default_org: Option<String>,
}

impl ImportOptions {
    /// The options for a fixture: no password policy, and pinned tokens that the fixture does not mention are removed.
    pub const SEED: Self = Self {
        policy: false,
        skip_bad: false,
        pins: Pins::Remove,
        default_org: None,
    };
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file has findings, by itself or in conflict with the database.
    #[error("the accounts cannot be imported")]
    Findings(#[from] Findings),
    /// The database could not be read or written.
    #[error("cannot import the accounts")]
    Store(#[from] store::Error),
    /// A password could not be hashed.
    #[error("cannot hash the passwords")]
    Hashing(#[from] hashing::Error),
}

/// Accounts that have been checked and can be imported.
pub struct CheckedImport {
    import: Import,
    /// The stored hashes of existing users for whom the file gives a plain password.
    known_hashes: HashMap<RecordPlace, KnownHashes>,
    /// The findings of the records that are skipped.
    pub skipped: Findings,
    file: Box<Path>,
}

/// Called with the number of passwords hashed so far and their total.
pub type HashingProgress<'p> = &'p mut dyn FnMut(u64, u64);

/// Checks all records by themselves and against the database. Hashes and writes nothing.
///
/// # Errors
/// [`Error::Findings`] if a record is wrong and bad records are not skipped, or if the file as a whole is wrong.
/// [`Error::Store`] if the database cannot be read.
pub fn check(
    store: &Store,
    file: &Path,
    read: ParsedAccounts,
    options: &ImportOptions,
) -> Result<CheckedImport, Error> {
    let ParsedAccounts {
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
    let name = file.file_name().unwrap_or(file.as_os_str());
    let mut import = Import {
        accounts,
        pins: options.pins,
        file: name.to_string_lossy().into_owned(),
    };
    let checked = store.check_import(&import)?;
    findings.extend(checked.findings);
    let bad: HashSet<RecordPlace> = findings.iter().map(|finding| finding.place).collect();
    let skipped = Findings::of(file, findings);
    if bad.contains(&RecordPlace::File) || !(bad.is_empty() || options.skip_bad) {
        return Err(skipped.into());
    }
    import
        .accounts
        .users
        .retain(|entry| !bad.contains(&entry.place));
    Ok(CheckedImport {
        import,
        known_hashes: checked.known_hashes,
        skipped,
        file: file.into(),
    })
}

/// Loads the accounts of a fixture.
///
/// # Errors
/// See [`Error`]. Nothing has been written in that case.
pub fn load(
    store: &Store,
    engine: &Engine,
    accounts: Accounts,
    cost: Cost,
    now: Timestamp,
) -> Result<Imported, Error> {
    let read = ParsedAccounts {
        accounts,
        findings: Vec::new(),
    };
    let checked = check(store, Path::new("fixture"), read, &ImportOptions::SEED)?;
    checked.import(store, engine, Some(cost), now, &mut |_, _| {})
}

/// Finds passwords that violate the policy. A check takes about a millisecond, so the work is spread over all cores.
fn easily_guessed(users: &[UserEntry]) -> Vec<Finding> {
    let next = AtomicUsize::new(0);
    let guess = || {
        let mut findings = Vec::new();
        while let Some(UserEntry { place, user, .. }) =
            users.get(next.fetch_add(1, Ordering::Relaxed))
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

impl CheckedImport {
    /// The costs of the password hashes in the file.
    pub fn given_costs(&self) -> impl Iterator<Item = Cost> {
        let users = self.import.accounts.users.iter();
        users.filter_map(|entry| Some(entry.user.password_hash.as_ref()?.cost()))
    }

    /// Hashes all passwords, then writes. Without a cost for new hashes this is a dry run, which only reports what an
    /// import would do: it hashes the passwords of existing users only, to see whether they change.
    ///
    /// # Errors
    /// See [`Error`]. Nothing has been imported in that case. [`Error::Findings`] if another process changed the
    /// accounts after the check.
    pub fn import(
        mut self,
        store: &Store,
        engine: &Engine,
        cost: Option<Cost>,
        now: Timestamp,
        progress: HashingProgress<'_>,
    ) -> Result<Imported, Error> {
        self.replace_passwords(engine, cost, progress)?;
        let outcome = match cost {
            Some(_) => store.import(self.import, now)?,
            None => store.dry_run(&self.import)?,
        };
        outcome.map_err(|findings| Findings::of(&self.file, findings).into())
    }

    /// Replaces plain passwords that the file has changed by their hashes, and removes the others. All hashing is
    /// started before the first result is awaited, so that all lanes are busy.
    fn replace_passwords(
        &mut self,
        engine: &Engine,
        cost: Option<Cost>,
        progress: HashingProgress<'_>,
    ) -> Result<(), Error> {
        let passwords = self.take_passwords()?;
        let users = &mut self.import.accounts.users;
        // If the file has not changed, this finds every password unchanged.
        let (_, others) = verify(engine, passwords, |clear| clear.loaded.as_ref())?;
        let (present, changed) = verify(engine, others, PlainPassword::present_if_other)?;
        for PlainPassword { index, present, .. } in present {
            users[index].loaded = present.map_or(Loaded::Nothing, Loaded::Password);
        }
        let hash = |clear: &PlainPassword| {
            let begin = |cost| engine.start_hash(&clear.password, cost, Precedence::Normal);
            Ok((clear.index, cost.map(begin).transpose()?))
        };
        let hashing: Vec<_> = changed.iter().map(hash).collect::<Result<_, Error>>()?;
        let total = hashing.len() as u64;
        for (number, (index, hashing)) in (1..).zip(hashing) {
            let hash = match hashing {
                Some(hashing) => hashing.wait()?,
                None => ASSUMED_HASH.parse()?,
            };
            users[index].user.password_hash = Some(hash.clone());
            users[index].loaded = Loaded::Password(hash);
            progress(number, total);
        }
        Ok(())
    }

    fn take_passwords(&mut self) -> Result<Vec<PlainPassword>, Error> {
        let mut passwords = Vec::new();
        for (index, entry) in self.import.accounts.users.iter_mut().enumerate() {
            let Some(password) = entry.user.password.take() else {
                continue;
            };
            let known = self.known_hashes.get(&entry.place);
            let parse = |hash: &String| hash.parse::<PasswordHash>();
            let loaded = known.and_then(|known| known.loaded.as_ref());
            passwords.push(PlainPassword {
                index,
                password,
                loaded: loaded.map(parse).transpose()?,
                present: known.map(|known| parse(&known.present)).transpose()?,
            });
        }
        Ok(passwords)
    }
}

/// A plain password from the file.
struct PlainPassword {
    /// The index of its user.
    index: usize,
    password: Password,
    /// The hash of the password that was last loaded, if it is known.
    loaded: Option<PasswordHash>,
    /// The hash of the user's present password, if the user exists.
    present: Option<PasswordHash>,
}

impl PlainPassword {
    /// The hash of the present password, unless it equals that of the password last loaded.
    fn present_if_other(&self) -> Option<&PasswordHash> {
        let loaded = self.loaded.as_ref().map(PasswordHash::as_str);
        let present = self.present.as_ref();
        present.filter(|hash| loaded != Some(hash.as_str()))
    }
}

/// Splits the passwords into those that match the given hash and the others.
fn verify(
    engine: &Engine,
    passwords: Vec<PlainPassword>,
    hash: fn(&PlainPassword) -> Option<&PasswordHash>,
) -> Result<(Vec<PlainPassword>, Vec<PlainPassword>), Error> {
    let begin = |clear: PlainPassword| {
        let verify = |hash| engine.start_verification(&clear.password, Some(hash), hash.cost());
        let verifying = hash(&clear).map(verify);
        (clear, verifying)
    };
    let started: Vec<_> = passwords.into_iter().map(begin).collect();
    let (mut same, mut others) = (Vec::new(), Vec::new());
    for (clear, verifying) in started {
        match verifying.map_or(Ok(false), Pending::wait)? {
            true => same.push(clear),
            false => others.push(clear),
        }
    }
    Ok((same, others))
}
