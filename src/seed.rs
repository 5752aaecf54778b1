//! Loading a fixture: check it against the database, do all hashing, then write everything in one transaction.
//!
//! Idempotent by UUID: what stands in the database as the fixture says is left alone.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::auth::Token;
use crate::fixture::{Finding, Findings, Fixture, Organization, Secret, User};
use crate::hashing::{self, Cost, Engine, Password, PasswordHash, Precedence};
use crate::store::{
    self, Claim, LoadedUser, NewOrganization, NewPassword, NewUser, Store, Summary,
};

/// Hashes asked for at once; more than any engine does at a time, so that no lane of it idles.
const CONCURRENCY: usize = 64;

/// Why nothing was loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another row holds what the fixture claims.
    #[error(transparent)]
    Held(#[from] Findings),
    /// The database could not be read or written.
    #[error("cannot load the fixture")]
    Store(#[from] store::Error),
    /// A password could not be hashed.
    #[error("cannot hash the passwords")]
    Hashing(#[from] hashing::Error),
}

/// Makes the database hold what the fixture says. Gives what happened to organizations, then to users.
///
/// # Errors
/// See [`Error`]; nothing is written then.
pub fn seed(
    store: &Store,
    engine: &Engine,
    fixture: Fixture,
    cost: Cost,
    now: Timestamp,
) -> Result<(Summary, Summary), Error> {
    check_claims(store, &fixture)?;
    let mut passwords = passwords(store, engine, &fixture, cost)?.into_iter();
    let organizations = fixture
        .organizations
        .into_iter()
        .map(|organization| new_organization(organization, &mut passwords))
        .collect();
    Ok(store.load(organizations, now)?)
}

fn check_claims(store: &Store, fixture: &Fixture) -> Result<(), Error> {
    let mut findings = Vec::new();
    for (place, claim) in claims(fixture) {
        if store.is_held_by_another(&claim)? {
            let what = match claim {
                Claim::Username(..) => "username",
                Claim::Token(..) => "token",
                _ => "UUID",
            };
            let message = format!("another row of the database has this {what}");
            findings.push(Finding { place, message });
        }
    }
    if findings.is_empty() {
        Ok(())
    } else {
        Err(Findings(findings).into())
    }
}

/// Everything in the fixture that only one row may have, with its place.
fn claims(fixture: &Fixture) -> Vec<(String, Claim)> {
    let mut claims = Vec::new();
    for (index, organization) in fixture.organizations.iter().enumerate() {
        let place = format!("organizations[{index}]");
        let own = || organization.uuid.clone();
        let party = Claim::Party(organization.party_uuid.clone(), own());
        claims.push((format!("{place}.uuid"), Claim::Organization(own())));
        claims.push((format!("{place}.{}", organization.party_key()), party));
        if let Some(manager) = &organization.account_manager {
            let claim = Claim::Person(manager.uuid.clone(), own());
            claims.push((format!("{place}.account_manager.uuid"), claim));
        }
        for (index, user) in organization.users.iter().enumerate() {
            claim_user(&mut claims, &format!("{place}.users[{index}]"), user);
        }
    }
    claims
}

fn claim_user(claims: &mut Vec<(String, Claim)>, place: &str, user: &User) {
    let own = || user.uuid.clone();
    claims.push((
        format!("{place}.username"),
        Claim::Username(user.username.clone(), own()),
    ));
    claims.push((format!("{place}.uuid"), Claim::User(own())));
    claims.push((
        format!("{place}.person.uuid"),
        Claim::Person(user.person.uuid.clone(), own()),
    ));
    if let Some(token) = &user.auth_token {
        let digest = Token::from_text(token.clone()).digest().0;
        claims.push((format!("{place}.auth_token"), Claim::Token(digest, own())));
    }
    for (index, assignment) in user.permissions.iter().enumerate() {
        let claim = Claim::Permission(assignment.permission.uuid.clone());
        claims.push((format!("{place}.permissions[{index}].uuid"), claim));
    }
}

/// What becomes of each user's password, in the order of the fixture.
fn passwords(
    store: &Store,
    engine: &Engine,
    fixture: &Fixture,
    cost: Cost,
) -> Result<Vec<NewPassword>, Error> {
    let users: Vec<&User> = fixture
        .organizations
        .iter()
        .flat_map(|organization| &organization.users)
        .collect();
    in_parallel(&users, |user| {
        let loaded = store.loaded_user(&user.uuid)?;
        match &user.secret {
            Secret::Hash(hash) => Ok(from_hash(hash, loaded)),
            Secret::Password(password) => from_password(engine, password, cost, loaded),
        }
    })
}

/// Compared with the hash that was loaded last and not with the one that is there: a login may have rehashed it since.
fn from_hash(hash: &PasswordHash, loaded: Option<LoadedUser>) -> NewPassword {
    let digest: [u8; 32] = Sha256::digest(hash.as_str()).into();
    if loaded.is_some_and(|loaded| loaded.loaded_hash_digest == Some(digest)) {
        return NewPassword::Keep;
    }
    NewPassword::Replace {
        hash: hash.as_str().to_owned(),
        loaded_hash_digest: Some(digest),
    }
}

/// A password that still verifies keeps its hash, whatever its cost.
fn from_password(
    engine: &Engine,
    password: &Password,
    cost: Cost,
    loaded: Option<LoadedUser>,
) -> Result<NewPassword, Error> {
    if let Some(loaded) = loaded {
        let hash: PasswordHash = loaded.password_hash.parse()?;
        if engine.matches(password, &hash)? {
            return Ok(NewPassword::Keep);
        }
    }
    let hash = engine.hash(password, cost, Precedence::Normal)?;
    Ok(NewPassword::Replace {
        hash: hash.as_str().to_owned(),
        loaded_hash_digest: None,
    })
}

/// Maps in the order of `items`, with several calls at a time; the first error ends it.
fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    map: impl Fn(&T) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let work = || -> Result<(), Error> {
        while let Some(index) =
            Some(next.fetch_add(1, Ordering::Relaxed)).filter(|index| *index < items.len())
        {
            let result =
                map(&items[index]).inspect_err(|_| next.store(items.len(), Ordering::Relaxed))?;
            done.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((index, result));
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..CONCURRENCY.min(items.len()))
            .map(|_| scope.spawn(work))
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or(Err(hashing::Error::Stopped.into())))
    })?;
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

fn new_organization(
    organization: Organization,
    passwords: &mut impl Iterator<Item = NewPassword>,
) -> NewOrganization {
    NewOrganization {
        uuid: organization.uuid,
        name: organization.name,
        org_type: organization.org_type,
        party_uuid: organization.party_uuid,
        status: organization.status,
        created_date: organization.created_date,
        active_date: organization.active_date,
        account_manager: organization.account_manager,
        users: organization
            .users
            .into_iter()
            .zip(passwords)
            .map(|(user, password)| new_user(user, password))
            .collect(),
    }
}

fn new_user(user: User, password: NewPassword) -> NewUser {
    NewUser {
        uuid: user.uuid,
        username: user.username,
        status: user.status,
        password,
        person: user.person,
        permissions: user.permissions,
        pinned_token: user.auth_token.map(|token| {
            let digest = Token::from_text(token.clone()).digest().0;
            (token, digest)
        }),
    }
}
