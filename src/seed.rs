//! Loading a fixture: check it against the database, do all hashing, then write everything in one transaction.
//!
//! Idempotent by UUID: what stands in the database as the fixture says is left alone.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::auth::Token;
use crate::fixture::{Finding, Findings, Fixture, Organization, Secret, User};
use crate::hashing::{self, Cost, Engine, Password, PasswordHash, Pending, Precedence};
use crate::store::{
    self, Claim, LoadedUser, NewOrganization, NewPassword, NewUser, Pin, Store, Summary,
};

/// Why nothing was loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another row holds what the fixture claims.
    #[error("the fixture claims what others have")]
    Held(#[from] Findings),
    /// The database could not be read or written.
    #[error("cannot load the fixture")]
    Store(#[from] store::Error),
    /// A password could not be hashed.
    #[error("cannot hash the passwords")]
    Hashing(#[from] hashing::Error),
}

/// A user of an organization that is there already.
pub struct PlacedUser {
    /// The row of the organization.
    pub org_id: i64,
    /// What it shall be.
    pub user: User,
}

/// Told how many passwords are hashed, of how many.
pub type Progress<'p> = &'p mut dyn FnMut(u64, u64);

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
    load(
        store,
        engine,
        fixture,
        cost,
        now,
        &Unpinned::End,
        &mut |_, _| {},
    )
}

/// Does what [`seed`] does, but a user for whom the fixture has no token keeps a pinned one: exported files have none.
///
/// # Errors
/// See [`Error`]; nothing is written then.
pub fn import_fixture(
    store: &Store,
    engine: &Engine,
    fixture: Fixture,
    cost: Cost,
    now: Timestamp,
    progress: Progress<'_>,
) -> Result<(Summary, Summary), Error> {
    load(store, engine, fixture, cost, now, &Unpinned::Keep, progress)
}

/// Makes users stand as described, all hashing first, then in one transaction. Their claims must have been checked with
/// [`find_user_claims`]; should another process take one meanwhile, nothing is written.
///
/// # Errors
/// See [`Error`]; nothing is written then.
pub fn import_users(
    store: &Store,
    engine: &Engine,
    users: Vec<PlacedUser>,
    cost: Cost,
    now: Timestamp,
    progress: Progress<'_>,
) -> Result<Summary, Error> {
    let described: Vec<&User> = users.iter().map(|placed| &placed.user).collect();
    let passwords = passwords(store, engine, &described, cost, progress)?;
    let users = users
        .into_iter()
        .zip(passwords)
        .map(|(placed, password)| {
            let user = new_user(placed.user, password, &Unpinned::Keep);
            (placed.org_id, user)
        })
        .collect();
    Ok(store.load_users(users, now)?)
}

/// What a user claims that another row of the database has, each with its place below `place`.
///
/// # Errors
/// When the database cannot be read.
pub fn find_user_claims(
    store: &Store,
    place: &str,
    user: &User,
) -> Result<Vec<Finding>, store::Error> {
    let mut claims = Vec::new();
    claim_user(&mut claims, place, user);
    held_by_others(store, claims)
}

/// What becomes of a pinned token that the file says nothing of.
enum Unpinned {
    Keep,
    End,
}

fn load(
    store: &Store,
    engine: &Engine,
    fixture: Fixture,
    cost: Cost,
    now: Timestamp,
    unpinned: &Unpinned,
    progress: Progress<'_>,
) -> Result<(Summary, Summary), Error> {
    check_claims(store, &fixture)?;
    let users: Vec<&User> = fixture
        .organizations
        .iter()
        .flat_map(|organization| &organization.users)
        .collect();
    let mut passwords = passwords(store, engine, &users, cost, progress)?.into_iter();
    let organizations = fixture
        .organizations
        .into_iter()
        .map(|organization| new_organization(organization, &mut passwords, unpinned))
        .collect();
    Ok(store.load(organizations, now)?)
}

fn check_claims(store: &Store, fixture: &Fixture) -> Result<(), Error> {
    let findings = held_by_others(store, claims(fixture))?;
    if findings.is_empty() {
        Ok(())
    } else {
        Err(Findings(findings).into())
    }
}

fn held_by_others(
    store: &Store,
    claims: Vec<(String, Claim)>,
) -> Result<Vec<Finding>, store::Error> {
    let mut findings = Vec::new();
    for (place, claim) in claims {
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
    Ok(findings)
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

/// What becomes of each user's password, in the order of the fixture. Everything is begun before anything is waited for, so
/// that all lanes have work.
fn passwords(
    store: &Store,
    engine: &Engine,
    users: &[&User],
    cost: Cost,
    progress: Progress<'_>,
) -> Result<Vec<NewPassword>, Error> {
    let compared: Vec<Compared<'_>> = users
        .iter()
        .map(|user| compare(store, engine, user))
        .collect::<Result<_, _>>()?;
    let begun: Vec<Begun<'_>> = compared
        .into_iter()
        .map(|compared| begin(engine, compared, cost))
        .collect::<Result<_, _>>()?;
    let total = begun.len() as u64;
    (1..)
        .zip(begun)
        .map(|(number, begun)| {
            let password = finish(begun)?;
            progress(number, total);
            Ok(password)
        })
        .collect()
}

/// A user's password beside what the database holds.
enum Compared<'a> {
    Decided(NewPassword),
    /// In clear, and new.
    New(&'a Password),
    /// In clear, while the database holds a hash, perhaps of the same password.
    Known(&'a Password, Pending<'a, bool>),
}

/// A password whose hash is on its way, where it needs one.
enum Begun<'a> {
    Decided(NewPassword),
    Hashing(Pending<'a, PasswordHash>),
}

fn compare<'a>(store: &Store, engine: &'a Engine, user: &'a User) -> Result<Compared<'a>, Error> {
    let loaded = store.loaded_user(&user.uuid)?;
    Ok(match (&user.secret, loaded) {
        (Secret::Hash(hash), loaded) => Compared::Decided(from_hash(hash, loaded)),
        (Secret::Password(password), None) => Compared::New(password),
        (Secret::Password(password), Some(loaded)) => {
            let hash: PasswordHash = loaded.password_hash.parse()?;
            Compared::Known(
                password,
                engine.begin_verify(password, Some(&hash), hash.cost()),
            )
        }
    })
}

/// A password that still verifies keeps its hash, whatever its cost.
fn begin<'a>(engine: &'a Engine, compared: Compared<'a>, cost: Cost) -> Result<Begun<'a>, Error> {
    let password = match compared {
        Compared::Decided(password) => return Ok(Begun::Decided(password)),
        Compared::New(password) => password,
        Compared::Known(password, matches) => {
            if matches.wait()? {
                return Ok(Begun::Decided(NewPassword::Keep));
            }
            password
        }
    };
    Ok(Begun::Hashing(engine.begin_hash(
        password,
        cost,
        Precedence::Normal,
    )?))
}

fn finish(begun: Begun<'_>) -> Result<NewPassword, Error> {
    match begun {
        Begun::Decided(password) => Ok(password),
        Begun::Hashing(hash) => Ok(NewPassword::Replace {
            hash: hash.wait()?.as_str().to_owned(),
            loaded_hash_digest: None,
        }),
    }
}

/// Compared with the hash that was loaded last: a login may have rehashed it since. One that is there as it is given, as in
/// a file that was exported, is kept too.
fn from_hash(hash: &PasswordHash, loaded: Option<LoadedUser>) -> NewPassword {
    let digest: [u8; 32] = Sha256::digest(hash.as_str()).into();
    let stands = |loaded: LoadedUser| {
        loaded.loaded_hash_digest == Some(digest) || loaded.password_hash == hash.as_str()
    };
    if loaded.is_some_and(stands) {
        return NewPassword::Keep;
    }
    NewPassword::Replace {
        hash: hash.as_str().to_owned(),
        loaded_hash_digest: Some(digest),
    }
}

fn new_organization(
    organization: Organization,
    passwords: &mut impl Iterator<Item = NewPassword>,
    unpinned: &Unpinned,
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
            .map(|(user, password)| new_user(user, password, unpinned))
            .collect(),
    }
}

fn new_user(user: User, password: NewPassword, unpinned: &Unpinned) -> NewUser {
    let pin = match (user.auth_token, unpinned) {
        (Some(token), _) => {
            let digest = Token::from_text(token.clone()).digest().0;
            Pin::Set(token, digest)
        }
        (None, Unpinned::Keep) => Pin::Keep,
        (None, Unpinned::End) => Pin::End,
    };
    NewUser {
        uuid: user.uuid,
        username: user.username,
        status: user.status,
        password,
        person: user.person,
        permissions: user.permissions,
        pin,
    }
}
