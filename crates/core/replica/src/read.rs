//! Reads, and whatever else must not see the state before it is known to be durable.
//!
//! After a restart the state holds every entry found in the log, some of which may be in the page
//! cache only. The first entry of the new term follows them, so once that is durable all are.

use alloc::vec::Vec;
use core::mem;

use synod_base::{LogIndex, Time};
use synod_keyspace::RangeRequest;

use crate::{Answer, Consistency, Error, Input, Replica, Token};

/// Inputs that wait until an entry is applied, in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    inputs: Vec<(LogIndex, Input)>,
}

impl Waiting {
    /// The inputs, given up.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Input> + use<> {
        mem::take(&mut self.inputs).into_iter().map(|(_, input)| input)
    }
}

impl Replica {
    /// Keeps `input` for later unless the state may be seen now.
    pub(crate) fn wait_until_readable(&mut self, input: Input) -> Option<Input> {
        let index = self.protocol.read_index();
        if self.keyspaces.applied_index() >= index {
            return Some(input);
        }
        self.waiting.inputs.push((index, input));
        None
    }

    /// Serves what waited for the entries applied by now.
    pub(crate) fn release_waiting(&mut self, now: Time) {
        let applied = self.keyspaces.applied_index();
        if self.waiting.inputs.iter().all(|(index, _)| *index > applied) {
            return;
        }
        let waiting = mem::take(&mut self.waiting.inputs);
        let (ready, later) = waiting.into_iter().partition(|(index, _)| *index <= applied);
        self.waiting.inputs = later;
        let ready: Vec<(LogIndex, Input)> = ready;
        for (_, input) in ready {
            self.on_readable(now, input);
        }
    }

    /// The consistencies differ in what they wait for. With one voter there is nothing to wait for
    /// but readability, which the caller has seen to.
    pub(crate) fn on_read(&mut self, token: Token, request: &RangeRequest, _: Consistency) {
        let result = self.keyspaces.range(request);
        self.reply(token, result.map(Answer::Range).map_err(Error::Refused));
    }
}
