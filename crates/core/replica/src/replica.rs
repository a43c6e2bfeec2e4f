//! The replica: its parts, and the step function that leads each input to the part it concerns.

use alloc::string::String;
use core::mem;

use synod_base::{LogIndex, Term, Time};
use synod_keyspace::Keyspaces;
use synod_wal::Wal;

use crate::lease::LeaseTimers;
use crate::proposal::Proposals;
use crate::protocol::Protocol;
use crate::read::Waiting;
use crate::snapshot::Cutter;
use crate::trim::Trimmer;
use crate::watch::{WatchRequest, Watches};
use crate::{
    Answer, DiskJob, Error, Identity, Input, Lane, Options, Output, Outputs, RecoveryReport, Token,
};

/// A member of a group, as a value.
#[derive(Debug)]
pub struct Replica {
    pub(crate) options: Options,
    pub(crate) identity: Identity,
    pub(crate) wal: Wal,
    pub(crate) protocol: Protocol,
    pub(crate) keyspaces: Keyspaces,
    /// When the keyspaces' clock last moved.
    pub(crate) clock_moved: Time,
    /// The term of the last entry applied.
    pub(crate) applied_term: Term,
    pub(crate) proposals: Proposals,
    pub(crate) waiting: Waiting,
    pub(crate) leases: LeaseTimers,
    pub(crate) watches: Watches,
    pub(crate) cutter: Cutter,
    pub(crate) trimmer: Trimmer,
    pub(crate) report: RecoveryReport,
    pub(crate) outputs: Outputs,
    pub(crate) halted: Option<String>,
}

impl Replica {
    /// Takes one input and answers what it wants done, in order. `now` comes from a clock that
    /// never goes back; its origin must stay the same for the replica's life.
    pub fn step(&mut self, now: Time, input: Input) -> Outputs {
        match self.halted.clone() {
            Some(reason) => self.refuse(&input, &reason),
            None => self.on_input(now, input),
        }
        mem::take(&mut self.outputs)
    }

    /// When [`Input::Timeout`] is due, if ever.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        if self.halted.is_some() {
            return None;
        }
        let timers =
            [self.leases.next_timeout(), self.trimmer.next_timeout(), self.watches.next_timeout()];
        timers.into_iter().flatten().min()
    }

    /// Whose data it holds.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The state after the last applied entry.
    #[must_use]
    pub fn keyspaces(&self) -> &Keyspaces {
        &self.keyspaces
    }

    /// The last entry applied.
    #[must_use]
    pub fn applied(&self) -> LogIndex {
        self.keyspaces.applied_index()
    }

    /// Whether every proposal taken is durable and answered. A snapshot may still be on its way.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.halted.is_some() || self.wal.is_settled()
    }

    /// What was found at the start.
    #[must_use]
    pub fn recovery_report(&self) -> &RecoveryReport {
        &self.report
    }

    fn on_input(&mut self, now: Time, input: Input) {
        match input {
            Input::DiskDone { lane: Lane::Log, ticket } => self.on_log_durable(now, ticket),
            Input::DiskDone { lane: Lane::Snapshot, ticket } => {
                self.on_snapshot_durable(now, ticket);
            }
            Input::DiskFailed { reason } => return self.halt(&reason),
            Input::Propose { token, request } => self.on_propose(token, request),
            Input::Timeout => self.on_timeout(now),
            Input::WatchClose { watch } => self.on_watch_close(watch),
            Input::WatchCredit { watch, batches } => self.on_watch_credit(now, watch, batches),
            Input::LeaseKeepAlive { .. }
            | Input::LeaseStatus { .. }
            | Input::Read { .. }
            | Input::Snapshot { .. }
            | Input::WatchOpen { .. } => {
                if let Some(input) = self.wait_until_readable(input) {
                    self.on_readable(now, input);
                }
            }
        }
        self.begin_snapshot_when_due();
        self.flush_log();
    }

    /// Each timer knows whether it is due.
    fn on_timeout(&mut self, now: Time) {
        self.on_lease_timeout(now);
        self.on_scan_timeout(now);
        self.on_trim_timeout(now);
    }

    /// Serves an input that needed a readable state.
    pub(crate) fn on_readable(&mut self, now: Time, input: Input) {
        match input {
            Input::LeaseKeepAlive { token, lease } => self.on_lease_keep_alive(now, token, lease),
            Input::LeaseStatus { token, lease } => self.on_lease_status(now, token, lease),
            Input::Read { token, request, consistency } => {
                self.on_read(token, &request, consistency);
            }
            Input::Snapshot { token } => self.on_snapshot(token),
            Input::WatchOpen { token, watch, keyspace, range, from, credit } => {
                let request = WatchRequest { keyspace, range, from, credit };
                self.on_watch_open(now, token, watch, request);
            }
            Input::DiskDone { .. }
            | Input::DiskFailed { .. }
            | Input::Propose { .. }
            | Input::Timeout
            | Input::WatchClose { .. }
            | Input::WatchCredit { .. } => unreachable!("these do not wait"),
        }
    }

    /// Sends the next batch to the disk, unless one is on its way.
    pub(crate) fn flush_log(&mut self) {
        if let Some(batch) = self.wal.next_batch() {
            let (ticket, ops) = (batch.ticket, batch.ops);
            self.outputs.push(Output::Disk(DiskJob { lane: Lane::Log, ticket, ops }));
        }
    }

    pub(crate) fn reply(&mut self, token: Token, result: Result<Answer, Error>) {
        self.outputs.push(Output::Reply { token, result });
    }

    /// An fsync that failed may have dropped the bytes, and asking again would not tell: what is
    /// on disk is known only after a restart has read it.
    fn halt(&mut self, reason: &str) {
        self.halted = Some(reason.into());
        for token in self.proposals.drain_tokens() {
            self.reply(token, Err(Error::Unknown { reason: reason.into() }));
        }
        for input in self.waiting.drain() {
            self.refuse(&input, reason);
        }
        for token in self.cutter.give_up() {
            self.reply(token, Err(Error::Stopped { reason: reason.into() }));
        }
        for watch in self.watches.drain() {
            let error = Error::Stopped { reason: reason.into() };
            self.outputs.push(Output::WatchEnded { watch, error });
        }
        self.outputs.push(Output::Halt { reason: reason.into() });
    }

    fn refuse(&mut self, input: &Input, reason: &str) {
        let token = match *input {
            Input::LeaseKeepAlive { token, .. }
            | Input::LeaseStatus { token, .. }
            | Input::Propose { token, .. }
            | Input::Read { token, .. }
            | Input::Snapshot { token }
            | Input::WatchOpen { token, .. } => token,
            Input::DiskDone { .. }
            | Input::DiskFailed { .. }
            | Input::Timeout
            | Input::WatchClose { .. }
            | Input::WatchCredit { .. } => return,
        };
        self.reply(token, Err(Error::Stopped { reason: reason.into() }));
    }
}
