//! One login: count the attempt, find the account, verify the password, check the statuses, issue the token.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::recorder::{Record, Recorder, login_event};
use super::rehash::Rehasher;
use super::restart;
use super::throttle::{BEFORE_HASHING, Subject, Throttle};
use super::{Admission, Attempt, Error, Policy, QueuedAttempt, Rehash, Token};
use crate::account::{OrgType, Username};
use crate::clock::Now;
use crate::hashing::{Cost, Engine, Member, Password, PasswordHash, Permit};
use crate::store::{
    self, Account, Event, Identity, LimitKind, LoginOutcome, Lookup, NewToken, Store, VerifiedLogin,
};

/// The credentials that a login presents.
pub struct Credentials {
    /// The username, in the spelling of the client.
    pub username: Username,
    /// The password in clear text.
    pub password: Password,
}

/// A login that succeeded.
pub struct Login {
    /// The pinned token, or a new token that is already on disk.
    pub token: Token,
    /// The UUID of the organization.
    pub org_uuid: String,
    /// The UUID of the user.
    pub user_uuid: String,
    /// The type of the organization: retailer or supplier.
    pub org_type: OrgType,
    /// The organization's `retailer_uuid` or `supplier_uuid`, depending on its type.
    pub party_uuid: String,
    /// To be started once the login is answered. `None` if the password's hash already has the configured cost.
    pub rehash: Option<Rehash>,
}

/// Why [`Auth`] cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operating system could not start a thread.
    #[error("cannot start a background thread for logins")]
    Thread(#[from] std::io::Error),
    /// The state of earlier servers could not be read from the database.
    #[error("cannot read failed logins and events")]
    Store(#[from] store::Error),
}

/// An account whose password was verified, and the cost of that password's hash.
struct Verified {
    account: Account,
    cost: Cost,
}

/// Decides logins, with the accounts of the store and the verifications of the engine.
pub struct Auth {
    rehasher: Rehasher,
    recorder: Recorder,
    throttle: Arc<Throttle>,
    pub(super) store: Arc<Store>,
    engine: Arc<Engine>,
    policy: Policy,
}

impl Auth {
    /// Starts the background threads, and restores the failed logins of earlier servers.
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

    /// The lifetime of a token; `None` means that tokens do not expire.
    pub fn token_ttl(&self) -> Option<Duration> {
        self.policy.token_ttl
    }

    /// Counts a login attempt before any work is done for it, or queues it behind attempts in progress.
    ///
    /// If the limits refuse the attempt, the database is asked whether an operator has unlocked the user. So unlocking
    /// works from another process and without a signal, and costs nothing for a login that is not refused.
    ///
    /// # Errors
    /// [`Error::Throttled`], or [`Error::Hashing`] after [`Auth::stop_waiting`]. [`Error::Store`] if the attempts are
    /// counted in the database.
    pub fn admit(&self, username: &Username, client: IpAddr, now: Now) -> Result<Admission, Error> {
        self.admit_by(Throttle::admit, username, client, now)
    }

    /// Does what [`Auth::admit`] does, for an attempt without a permit. `None` if the database has to decide, for which
    /// the attempt needs a permit first.
    ///
    /// # Errors
    /// See [`Auth::admit`].
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
            // If the database cannot be read, the attempt stays refused.
            let identity = self.store.identity(username);
            let is_unlocked = identity
                .as_ref()
                .is_ok_and(|identity| self.throttle.unlock(&subject, unlocks(identity.as_ref())));
            let identity = identity.ok().flatten();
            let admitted = if is_unlocked { admit() } else { Err(error) };
            admitted.map_err(|error| self.refuse(error, &BEFORE_HASHING, subject, identity, now))
        })
    }

    /// Waits until attempts in progress leave space for one more. `None` when the attempt has to be admitted again.
    ///
    /// # Errors
    /// [`Error::Hashing`] when the wait takes longer than a login may wait for its hashing.
    pub fn wait(&self, queued: QueuedAttempt, permit: &Permit) -> Result<Option<Attempt>, Error> {
        queued.wait(self.engine.time_left(permit))
    }

    /// The configured cost of new hashes.
    pub fn bcrypt_cost(&self) -> Cost {
        self.policy.bcrypt_cost
    }

    /// Ends all waits for attempts in progress and for hashing. Later attempts do not wait.
    pub fn stop_waiting(&self) {
        self.throttle.stop();
        self.engine.give_up_waiting();
    }

    /// Restores the state before the first login: removes tokens, counters and events. Pinned tokens stay valid.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn forget_logins(&self) -> Result<(), Error> {
        // The throttle first, so that logins that wait to be recorded are not written afterwards.
        self.throttle.clear();
        Ok(self.store.reset_logins()?)
    }

    /// Verifies the credentials and issues a token. Only wrong credentials leave the attempt counted as failed.
    ///
    /// # Errors
    /// See [`Error`]. Neither the error nor the amount of work shows whether the username exists.
    pub fn authenticate(
        &self,
        attempt: Attempt,
        permit: &Permit,
        credentials: &Credentials,
        now: Now,
    ) -> Result<Login, Error> {
        let lookup = self.store.look_up(&credentials.username)?;
        let (subject, identity) = (attempt.subject(), lookup.identity().cloned());
        let attempt = attempt.with_user(identity.as_ref());
        self.decide(attempt, permit, lookup, &credentials.password, now)
            .map_err(|error| self.refuse(error, &[LimitKind::Username], subject, identity, now))
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
                // A failure that was counted meanwhile may be written after this login, so the counters are written
                // again.
                if attempt.succeed() {
                    self.record(None, subject, Some(identity), now);
                }
                Ok(login)
            }
            Err(Error::BadCredentials { .. }) => Err(attempt.fail(now.uptime, unlocks)),
            Err(error) => Err(error),
        }
    }

    /// Logs and records a refused login, and adds the user to the error.
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
            // The password or status was changed after this login had read the account.
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

    /// Verifies the password; `None` means wrong credentials.
    ///
    /// Every login takes the same statements and the same amount of hashing: the cost of new hashes, or that of the
    /// most expensive hash of a user who can log in, whichever is higher. An inactive user's hash that costs more is
    /// not verified, since the time would show it; so the right password of such a user is answered like a wrong one.
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
            // A date beyond the range of dates means that the token does not expire.
            expires_at: self
                .policy
                .token_ttl
                .and_then(|ttl| now.checked_add(ttl).ok()),
            max_per_user: self.policy.max_tokens_per_user,
        };
        Ok((token, Some(kept)))
    }
}

/// How often operators have unlocked the user; 0 for an unknown user.
fn unlocks(identity: Option<&Identity>) -> i64 {
    identity.map_or(0, |identity| identity.unlocks)
}

#[cfg(test)]
mod tests;
