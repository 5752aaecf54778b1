//! The warning about imported hashes that make every login more expensive.

use super::stream::STDERR;
use crate::hashing::Cost;

/// Warns if some of these hashes have a higher cost than new hashes.
pub(super) fn warn(costs: impl Iterator<Item = Cost>, cost: Cost) {
    let costs: Vec<Cost> = costs.filter(|given| *given > cost).collect();
    let Some(highest) = costs.iter().max() else {
        return;
    };
    let (users, times) = (costs.len(), highest.rounds() / cost.rounds());
    STDERR.message(format_args!(
        "warning: users with a hash of a higher cost than {cost}: {users}, up to cost {highest}; until each of them has logged in once or is inactive, each login of any user takes up to {times} times as long"
    ));
}
