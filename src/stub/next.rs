//! `/__stub/next/`: what becomes of the next API requests, for clients that cannot set headers.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde::Serialize;

use super::documented::Documented;
use super::headers::Steering;
use super::order::Order;
use super::outcome::{Error, Faults};
use crate::http::{Body, Reply};
use crate::server::Call;

/// The orders that are pending.
#[derive(Default)]
pub(super) struct Next(Mutex<Orders>);

#[derive(Default, Serialize)]
struct Orders {
    /// In the order in which they are used.
    pending: VecDeque<Pending>,
    /// How many requests have used one of them, those that are used up included.
    used: u64,
}

#[derive(Serialize)]
struct Pending {
    #[serde(flatten)]
    order: Order,
    /// How many requests have used it.
    used: u32,
}

impl Next {
    /// Replaces what is pending by one order or a list of them, and answers what is pending now.
    pub(super) fn put(
        &self,
        body: &Body,
        documented: &Documented,
        has_call: impl Fn(&str) -> bool,
    ) -> Result<Reply, Error> {
        let read = |object| Order::read(object, documented, &has_call);
        let (orders, reply) = match body.list()? {
            Some(objects) => {
                let orders = all(objects.into_iter().map(read))?;
                let reply = Reply::json(200, &orders);
                (orders, reply)
            }
            None => {
                let order = read(body.object()?)?;
                let reply = Reply::json(200, &order);
                (vec![order], reply)
            }
        };
        let pending = orders.into_iter().map(|order| Pending { order, used: 0 });
        *self.0.lock() = Orders {
            pending: pending.collect(),
            used: 0,
        };
        Ok(reply)
    }

    pub(super) fn clear(&self) {
        *self.0.lock() = Orders::default();
    }

    pub(super) fn reply(&self) -> Reply {
        Reply::json(200, &*self.0.lock())
    }

    /// Uses the first order that is meant for this request, if there is one.
    pub(super) fn take(&self, call: &Call, path: &str, documented: &Documented) -> Steering {
        let mut orders = self.0.lock();
        let found = orders
            .pending
            .iter()
            .enumerate()
            .find_map(|(index, pending)| {
                let steering = pending.order.steering(call, path, documented)?;
                Some((index, steering))
            });
        let Some((index, steering)) = found else {
            return Steering::default();
        };
        orders.used += 1;
        let pending = &mut orders.pending[index];
        pending.used += 1;
        if pending.used == pending.order.times {
            orders.pending.remove(index);
        }
        steering
    }
}

/// The orders of a list, if nothing is wrong with any.
fn all(read: impl Iterator<Item = Result<Order, Error>>) -> Result<Vec<Order>, Error> {
    let (mut orders, mut faults) = (Vec::new(), Vec::new());
    for order in read {
        match order {
            Ok(order) => {
                orders.push(order);
                faults.push(Faults::default());
            }
            Err(Error::Fields(fault)) => faults.push(fault),
            Err(error) => return Err(error),
        }
    }
    if faults.is_empty() {
        let mut fault = Faults::default();
        fault.add("non_field_errors", "This list may not be empty.");
        return Err(Error::Fields(fault));
    }
    if orders.len() < faults.len() {
        return Err(Error::Items(faults));
    }
    Ok(orders)
}
