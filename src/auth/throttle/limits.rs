//! The configured limits on failed logins, and the network of a client.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use jiff::Timestamp;

use crate::hashing::Group;
use crate::store::{FailedLogins, LimitKind};

/// The limits on failed logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedLoginLimits {
    /// The length of the window, which starts with its first failure.
    pub window: Duration,
    /// Failures of one username from one client network; 0 means no limit.
    pub per_pair: u32,
    /// Failures from one client network; 0 means no limit.
    pub per_address: u32,
    /// Failures of one username from all addresses; 0 means no limit. The right password from an address that has
    /// logged in to the account is exempt, so that a stranger's failures do not lock the owner out.
    pub per_username: u32,
}

/// The network that the limits count as one client: an IPv4 address, or an IPv6 /64, the smallest network of one
/// customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientNetwork(pub(super) IpAddr);

impl FailedLoginLimits {
    /// The default limits for real accounts.
    pub const DEFAULT: FailedLoginLimits = FailedLoginLimits {
        window: Duration::from_secs(15 * 60),
        per_pair: 10,
        per_address: 100,
        per_username: 100,
    };
    /// No limits: nothing is counted.
    pub const NONE: FailedLoginLimits = FailedLoginLimits {
        per_pair: 0,
        per_address: 0,
        per_username: 0,
        ..FailedLoginLimits::DEFAULT
    };

    pub(in crate::auth) fn of(&self, kind: LimitKind) -> Option<u32> {
        let limit = match kind {
            LimitKind::Pair => self.per_pair,
            LimitKind::Address => self.per_address,
            LimitKind::Username => self.per_username,
        };
        (limit > 0).then_some(limit)
    }

    /// Whether nothing is counted.
    pub(super) fn is_none(&self) -> bool {
        LimitKind::ALL.iter().all(|kind| self.of(*kind).is_none())
    }

    /// The remaining time of a window that started at `first_failure`; `None` if it has ended.
    pub(super) fn remaining(&self, first_failure: Timestamp, now: Timestamp) -> Option<Duration> {
        // If the date was set back, the window is treated as starting now.
        let age = Duration::try_from(now.duration_since(first_failure));
        let remaining = self.window.checked_sub(age.unwrap_or_default());
        remaining.filter(|remaining| !remaining.is_zero())
    }

    /// The counter as the database stores it under these limits, with a window that started no later than now.
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

/// Whether failures counted when the user had been unlocked `counted` times are lifted now that the number is
/// `unlocks`. The numbers are compared for equality, since a restored database may have a lower one. Failures of an
/// address do not concern a user, and are never lifted.
pub(super) fn is_lifted(kind: LimitKind, counted: i64, unlocks: i64) -> bool {
    kind != LimitKind::Address && counted != unlocks
}

/// The limits that refuse an attempt before its password is hashed. [`LimitKind::Username`] is applied after hashing:
/// before hashing, the answer would show whether an address is exempt.
pub(in crate::auth) const BEFORE_HASHING: [LimitKind; 2] = [LimitKind::Pair, LimitKind::Address];

/// The group whose turns a client takes in the hashing queue.
impl From<ClientNetwork> for Group {
    fn from(network: ClientNetwork) -> Self {
        Self(match network.0 {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        })
    }
}

/// The form for operators: an IPv6 network has its prefix length.
impl fmt::Display for ClientNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(address) => write!(f, "{address}/64"),
        }
    }
}

impl ClientNetwork {
    /// The first address of the network.
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
