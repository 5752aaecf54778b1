//! One login: count the try, find the account, verify the password, check the statuses, issue the token.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::recording::{Record, Recorder, login_event};
use super::rehash::Rehasher;
use super::restart;
use super::throttle::{BEFORE_HASHING, Subject, Throttle};
use super::{Admission, Attempt, Error, Policy, Rehash, Token, Turn};
use crate::account::{OrgType, Username};
use crate::clock::Now;
use crate::hashing::{Cost, Engine, Member, Password, PasswordHash, Permit};
use crate::store::{
    self, Account, Event, Identity, LimitKind, LoginOutcome, Lookup, NewToken, Store, VerifiedLogin,
};

/// What a login presents.
pub struct Credentials {
    /// Who it says it is.
    pub username: Username,
    /// What shows that.
    pub password: Password,
}

/// A login that succeeded.
pub struct Login {
    /// The pinned token, or a fresh one that is on disk by now.
    pub token: Token,
    /// The organization.
    pub org_uuid: String,
    /// The user.
    pub user_uuid: String,
    /// Retailer or supplier.
    pub org_type: OrgType,
    /// The organization's `retailer_uuid` or `supplier_uuid`, by its type.
    pub party_uuid: String,
    /// To be started once the login is answered, where the password's hash has another cost than it should.
    pub rehash: Option<Rehash>,
}

/// Why logins cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operating system gave no thread.
    #[error("cannot start a thread that works behind logins")]
    Thread(#[from] std::io::Error),
    /// What earlier servers left behind could not be read.
    #[error("cannot read failed logins and events")]
    Store(#[from] store::Error),
}

/// An account whose password was presented, and the cost of that password's hash.
struct Verified {
    account: Account,
    cost: Cost,
}

/// Decides logins, by what the store holds and what the engine verifies.
pub struct Auth {
    rehasher: Rehasher,
    recorder: Recorder,
    throttle: Arc<Throttle>,
    pub(super) store: Arc<Store>,
    engine: Arc<Engine>,
    policy: Policy,
}

impl Auth {
    /// Puts it together, and goes on with the failed logins of an earlier run.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn new(
        store: Arc<Store>,
        engine: Arc<Engine>,
        policy: Policy,
        now: Now,
    ) -> Result<Self, StartError> {
        let limits = policy.failed_logins;
        let throttle = Arc::new(match store.is_shared() {
            false => restart::throttle(&store, limits, now)?,
            true => {
                let (secret, store) = (store.throttle_secret()?, Arc::clone(&store));
                Throttle::in_database(secret, limits, store, engine.max_wait())?
            }
        });
        Ok(Self {
            rehasher: Rehasher::start(Arc::clone(&store), Arc::clone(&engine), policy.bcrypt_cost)?,
            recorder: Recorder::start(
                Arc::clone(&store),
                Arc::clone(&throttle),
                policy.keep_events.is_some(),
            )?,
            throttle,
            store,
            engine,
            policy,
        })
    }

    /// How long a token lives; `None` is for ever.
    pub fn token_ttl(&self) -> Option<Duration> {
        self.policy.token_ttl
    }

    /// Counts a try to log in, before anything is spent on it, or queues it behind tries in flight.
    ///
    /// A try that the limits refuse asks the database whether an operator has unlocked the user meanwhile: so that works
    /// from another process, needs no signal, and costs a login that is not refused nothing.
    ///
    /// # Errors
    /// [`Error::Throttled`], or [`Error::Hashing`] after [`Auth::stop_waiting`]. [`Error::Store`] where the tries are counted
    /// in the database.
    pub fn admit(&self, username: &Username, client: IpAddr, now: Now) -> Result<Admission, Error> {
        self.admit_by(Throttle::admit, username, client, now)
    }

    /// The same for a try that has no permit. `None` where it needs one first, since the database is to decide.
    ///
    /// # Errors
    /// Those of [`Auth::admit`].
    pub fn admit_at_once(
        &self,
        username: &Username,
        client: IpAddr,
        now: Now,
    ) -> Result<Option<Admission>, Error> {
        self.admit_by(Throttle::admit_at_once, username, client, now)
    }

    fn admit_by<T>(
        &self,
        admit: fn(&Arc<Throttle>, Subject, Duration) -> Result<T, Error>,
        username: &Username,
        client: IpAddr,
        now: Now,
    ) -> Result<T, Error> {
        let subject = self.throttle.subject(username, client);
        let admit = || admit(&self.throttle, subject, now.uptime);
        admit().or_else(|error| {
            if !matches!(error, Error::Throttled { .. }) {
                return Err(error);
            }
            // Without a database nobody is known, and nobody to be unlocked.
            let identity = self.store.identity(username);
            let is_unlocked = identity
                .as_ref()
                .is_ok_and(|identity| self.throttle.unlock(&subject, unlocks(identity.as_ref())));
            let identity = identity.ok().flatten();
            let admitted = if is_unlocked { admit() } else { Err(error) };
            admitted.map_err(|error| self.refuse(error, &BEFORE_HASHING, subject, identity, now))
        })
    }

    /// Waits until tries in flight leave room for one more. `None` when the try is to be admitted once more.
    ///
    /// # Errors
    /// [`Error::Hashing`] when the wait takes longer than a login may wait for its hashing.
    pub fn wait(&self, turn: Turn, permit: &Permit) -> Result<Option<Attempt>, Error> {
        turn.wait(self.engine.time_left(permit))
    }

    /// The cost of new hashes.
    pub fn bcrypt_cost(&self) -> Cost {
        self.policy.bcrypt_cost
    }

    /// Ends the wait for tries in flight, now and later, and that for hashing.
    pub fn stop_waiting(&self) {
        self.throttle.stop();
        self.engine.give_up_waiting();
    }

    /// Puts everything that logins left behind back to what it was before the first one; pinned tokens go on.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn forget_logins(&self) -> Result<(), Error> {
        // First, so that logins which wait to be recorded find themselves forgotten.
        self.throttle.clear();
        Ok(self.store.reset_logins()?)
    }

    /// Verifies the credentials and issues a token. Only wrong credentials leave the try counted.
    ///
    /// # Errors
    /// See [`Error`]. Whether the name is known shows in neither the error nor the work.
    pub fn authenticate(
        &self,
        attempt: Attempt,
        permit: &Permit,
        credentials: &Credentials,
        now: Now,
    ) -> Result<Login, Error> {
        let lookup = self.store.look_up(&credentials.username)?;
        let (subject, identity) = (attempt.subject(), lookup.identity().cloned());
        let attempt = attempt.by(identity.as_ref());
        self.decide(attempt, permit, lookup, &credentials.password, now)
            .map_err(|error| self.refuse(error, &[LimitKind::Account], subject, identity, now))
    }

    fn decide(
        &self,
        attempt: Attempt,
        permit: &Permit,
        lookup: Lookup,
        password: &Password,
        now: Now,
    ) -> Result<Login, Error> {
        let (subject, unlocks) = (attempt.subject(), unlocks(lookup.identity()));
        let verified = self.verify(lookup, permit, attempt.member(), password)?;
        let Some(verified) = verified else {
            return Err(attempt.fail(now.uptime, unlocks));
        };
        let attempt = attempt.pass(now.uptime, unlocks)?;
        let identity = verified.account.identity.clone();
        match self.log_in(verified, password, &attempt, now) {
            Ok(login) => {
                // One that failed meanwhile may be written after the login.
                if attempt.succeed() {
                    self.record(None, subject, Some(identity), now);
                }
                Ok(login)
            }
            Err(Error::BadCredentials { .. }) => Err(attempt.fail(now.uptime, unlocks)),
            Err(error) => Err(error),
        }
    }

    /// Logs and records a login that was refused, and says whose it was.
    fn refuse(
        &self,
        error: Error,
        kinds: &[LimitKind],
        subject: Subject,
        identity: Option<Identity>,
        now: Now,
    ) -> Error {
        let error = error.about(identity.as_ref().map(|identity| &*identity.user_uuid));
        let outcome = error.outcome();
        if outcome == Some(LoginOutcome::Throttled) {
            let user = error.user_uuid();
            self.throttle.log_refusal(kinds, &subject, user, now.uptime);
        }
        if outcome.is_some() {
            self.record(outcome, subject, identity, now);
        }
        error
    }

    fn record(
        &self,
        outcome: Option<LoginOutcome>,
        subject: Subject,
        identity: Option<Identity>,
        now: Now,
    ) {
        self.recorder.record(Record {
            subject,
            identity,
            outcome,
            now,
        });
    }

    fn log_in(
        &self,
        verified: Verified,
        password: &Password,
        attempt: &Attempt,
        now: Now,
    ) -> Result<Login, Error> {
        let subject = &attempt.subject();
        let Verified { account, cost } = verified;
        let is_active = account.is_active();
        let identity = account.identity;
        if !is_active {
            return Err(Error::NotActive {
                user_uuid: identity.user_uuid,
            });
        }
        let (token, kept) = match &account.pinned_token {
            Some(pinned) => (Token::from_text(pinned.clone()), None),
            None => self.new_token(now.date)?,
        };
        let succeeded = || login_event(LoginOutcome::Succeeded, subject, Some(&identity), now, 1);
        let event = self.policy.keep_events.map(|_| succeeded());
        let login = VerifiedLogin {
            user_id: account.user_id,
            revision: account.revision,
            token: kept,
            counter: subject.pair(),
            attempt: attempt.reserved(),
            event: event.clone(),
        };
        if !self.store.complete_login(login, now.date)? {
            // The password or status was changed while this login verified the old one.
            return Err(Error::BadCredentials { user_uuid: None });
        }
        event.iter().for_each(Event::log);
        let rehash = (cost != self.policy.bcrypt_cost)
            .then(|| {
                self.rehasher
                    .prepare(account.user_id, account.revision, password)
            })
            .flatten();
        Ok(Login {
            token,
            org_uuid: identity.org_uuid,
            user_uuid: identity.user_uuid,
            org_type: account.org_type,
            party_uuid: account.party_uuid,
            rehash,
        })
    }

    /// The same statements and the same amount of hashing for everybody: as much as a new hash takes, or the most expensive
    /// of those that somebody can log in with. An inactive user's that takes more is not verified, since the time would show it; so
    /// its right password is answered like a wrong one. `None` is wrong credentials.
    fn verify(
        &self,
        lookup: Lookup,
        permit: &Permit,
        member: Member,
        password: &Password,
    ) -> Result<Option<Verified>, Error> {
        let work = lookup
            .highest_cost
            .and_then(|cost| Cost::new(cost).ok())
            .map_or(self.policy.bcrypt_cost, |cost| {
                cost.max(self.policy.bcrypt_cost)
            });
        let hash = lookup
            .account
            .as_ref()
            .map(|account| account.password_hash.parse::<PasswordHash>())
            .transpose()?;
        let is_active = lookup.account.as_ref().is_some_and(Account::is_active);
        let hash = hash.filter(|hash| is_active || hash.cost() <= work);
        let matches = self
            .engine
            .verify(permit, member, password, hash.as_ref(), work)?;
        Ok(match (lookup.account, hash) {
            (Some(account), Some(hash)) if matches => Some(Verified {
                account,
                cost: hash.cost(),
            }),
            _ => None,
        })
    }

    fn new_token(&self, now: Timestamp) -> Result<(Token, Option<NewToken>), Error> {
        let token = Token::random().map_err(Error::Random)?;
        let kept = NewToken {
            digest: token.digest().0,
            // A time too far away to be written is for ever.
            expires_at: self
                .policy
                .token_ttl
                .and_then(|ttl| now.checked_add(ttl).ok()),
            max_per_user: self.policy.max_tokens_per_user,
        };
        Ok((token, Some(kept)))
    }
}

/// How often operators have unlocked somebody; never, when nobody has the name.
fn unlocks(identity: Option<&Identity>) -> i64 {
    identity.map_or(0, |identity| identity.unlocks)
}

#[cfg(test)]
mod tests;
