//! The warning about hashes that make every login expensive.

use super::stream::STDERR;
use crate::fixture::{Secret, User};
use crate::hashing::Cost;

/// Says how many of these users have a hash of a higher cost than new ones get, if any.
pub(super) fn warn<'u>(users: impl IntoIterator<Item = &'u User>, cost: Cost) {
    let costs = users.into_iter().filter_map(|user| match &user.secret {
        Secret::Hash(hash) => Some(hash.cost()),
        Secret::Password(_) => None,
    });
    let costs: Vec<Cost> = costs.filter(|given| *given > cost).collect();
    let Some(highest) = costs.iter().max() else {
        return;
    };
    let (users, times) = (costs.len(), highest.rounds() / cost.rounds());
    STDERR.message(format_args!(
        "warning: users with a hash of a higher cost than {cost}: {users}, up to cost {highest}; while one of them can log in and has not, every login of everybody takes up to {times} times as long"
    ));
}
