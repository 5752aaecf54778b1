//! `/__stub/next/`: instructions for the next API requests, for clients that cannot set headers.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde::Serialize;

use super::documented::Documented;
use super::error::{Error, FieldErrors};
use super::headers::Steering;
use super::instruction::Instruction;
use crate::http::{Body, Reply};
use crate::server::MatchedRoute;

/// The pending instructions.
#[derive(Default)]
pub(super) struct InstructionQueue(Mutex<QueuedInstructions>);

#[derive(Default, Serialize)]
struct QueuedInstructions {
    /// In the order of their use.
    pending: VecDeque<PendingInstruction>,
    /// How many requests have used an instruction, including instructions that are used up.
    used: u64,
}

#[derive(Serialize)]
struct PendingInstruction {
    #[serde(flatten)]
    instruction: Instruction,
    /// How many requests have used this instruction.
    used: u32,
}

impl InstructionQueue {
    /// Replaces the pending instructions by one instruction or a list of them, and answers with the new ones.
    pub(super) fn put(
        &self,
        body: &Body,
        documented: &Documented,
        has_call: impl Fn(&str) -> bool,
    ) -> Result<Reply, Error> {
        let read = |object| Instruction::read(object, documented, &has_call);
        let (instructions, reply) = match body.list()? {
            Some(objects) => {
                let instructions = all(objects.into_iter().map(read))?;
                let reply = Reply::json(200, &instructions);
                (instructions, reply)
            }
            None => {
                let instruction = read(body.object()?)?;
                let reply = Reply::json(200, &instruction);
                (vec![instruction], reply)
            }
        };
        let pending = instructions
            .into_iter()
            .map(|instruction| PendingInstruction {
                instruction,
                used: 0,
            });
        *self.0.lock() = QueuedInstructions {
            pending: pending.collect(),
            used: 0,
        };
        Ok(reply)
    }

    pub(super) fn clear(&self) {
        *self.0.lock() = QueuedInstructions::default();
    }

    pub(super) fn reply(&self) -> Reply {
        Reply::json(200, &*self.0.lock())
    }

    /// Uses the first instruction that applies to this request, if there is one.
    pub(super) fn take(
        &self,
        route: &MatchedRoute,
        path: &str,
        documented: &Documented,
    ) -> Steering {
        let mut instructions = self.0.lock();
        let found = instructions
            .pending
            .iter()
            .enumerate()
            .find_map(|(index, pending)| {
                let steering = pending.instruction.steering_for(route, path, documented)?;
                Some((index, steering))
            });
        let Some((index, steering)) = found else {
            return Steering::default();
        };
        instructions.used += 1;
        let pending = &mut instructions.pending[index];
        pending.used += 1;
        if pending.used == pending.instruction.times {
            instructions.pending.remove(index);
        }
        steering
    }
}

/// The instructions of a list, if all of them are valid.
fn all(read: impl Iterator<Item = Result<Instruction, Error>>) -> Result<Vec<Instruction>, Error> {
    let (mut instructions, mut faults) = (Vec::new(), Vec::new());
    for instruction in read {
        match instruction {
            Ok(instruction) => {
                instructions.push(instruction);
                faults.push(FieldErrors::default());
            }
            Err(Error::Fields(fault)) => faults.push(fault),
            Err(error) => return Err(error),
        }
    }
    if faults.is_empty() {
        let mut fault = FieldErrors::default();
        fault.add("non_field_errors", "This list may not be empty.");
        return Err(Error::Fields(fault));
    }
    if instructions.len() < faults.len() {
        return Err(Error::Items(faults));
    }
    Ok(instructions)
}
