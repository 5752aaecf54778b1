//! How many failed logins are too many, and of whom.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use jiff::Timestamp;

use crate::hashing::Group;
use crate::store::{FailedLogins, LimitKind};

/// How many failed logins are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The length of the window, which starts with its first failure.
    pub window: Duration,
    /// Failures of one username from one client address; 0 is no limit.
    pub per_user: u32,
    /// Failures from one client address; 0 is no limit.
    pub per_address: u32,
    /// Failures of one username from all addresses; 0 is no limit. The right password from an address that has logged in to
    /// the account is let through, so that a stranger's failures do not lock its owner out.
    pub per_account: u32,
}

/// A client as the limits see it: an IPv4 address, or the /64 that one IPv6 customer has at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientNetwork(pub(super) IpAddr);

impl Limits {
    /// What guards real accounts unless the operator says otherwise.
    pub const DEFAULT: Limits = Limits {
        window: Duration::from_secs(15 * 60),
        per_user: 10,
        per_address: 100,
        per_account: 100,
    };
    /// Nothing is counted.
    pub const NONE: Limits = Limits {
        per_user: 0,
        per_address: 0,
        per_account: 0,
        ..Limits::DEFAULT
    };

    pub(in crate::auth) fn of(&self, kind: LimitKind) -> Option<u32> {
        let limit = match kind {
            LimitKind::User => self.per_user,
            LimitKind::Address => self.per_address,
            LimitKind::Account => self.per_account,
        };
        (limit > 0).then_some(limit)
    }

    /// Whether nothing is counted.
    pub(super) fn is_none(&self) -> bool {
        LimitKind::ALL.iter().all(|kind| self.of(*kind).is_none())
    }

    /// The rest of the window that started at a date; `None` when it is over.
    pub(super) fn remaining(&self, first_failure: Timestamp, now: Timestamp) -> Option<Duration> {
        // A date that was set back makes it no older than now.
        let age = Duration::try_from(now.duration_since(first_failure));
        let remaining = self.window.checked_sub(age.unwrap_or_default());
        remaining.filter(|remaining| !remaining.is_zero())
    }

    /// A counter of these limits as the database keeps it: its window started no later than now.
    pub(super) fn dated(&self, counter: FailedLogins, now: Timestamp) -> FailedLogins {
        let first_failure = counter.first_failure.min(now);
        let limit = self.of(counter.kind);
        let is_reached = limit.is_some_and(|limit| counter.failures >= limit)
            && self.remaining(first_failure, now).is_some();
        let end = || first_failure.checked_add(self.window);
        FailedLogins {
            first_failure,
            locked_until: is_reached.then(|| end().unwrap_or(Timestamp::MAX)),
            ..counter
        }
    }
}

/// Whether failures that found a user unlocked `counted` times are lifted for one unlocked `unlocks` times. Compared for
/// equality, since a database that is put back may count from less. What is counted against an address is not about a user,
/// and stays.
pub(super) fn is_lifted(kind: LimitKind, counted: i64, unlocks: i64) -> bool {
    kind != LimitKind::Address && counted != unlocks
}

/// The limits that refuse a try before its password is hashed. [`LimitKind::Account`] does so afterwards: were it sooner, an
/// exempt address would be seen by its answer.
pub(in crate::auth) const BEFORE_HASHING: [LimitKind; 2] = [LimitKind::User, LimitKind::Address];

/// For the turns at hashing.
impl From<ClientNetwork> for Group {
    fn from(network: ClientNetwork) -> Self {
        Self(match network.0 {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        })
    }
}

/// As operators read it: with the length of its prefix, unless that is all of it.
impl fmt::Display for ClientNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(address) => write!(f, "{address}/64"),
        }
    }
}

impl ClientNetwork {
    /// The first address of it, which stands for all.
    pub fn first(self) -> IpAddr {
        self.0
    }
}

impl From<IpAddr> for ClientNetwork {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        })
    }
}
