//! Proposals: from a request to a log entry, and from a committed entry to its answer.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use synod_base::{Encode, LogIndex, Ticket, Time};
use synod_keyspace::{Command, Origin, Request};
use synod_wal::Record;

use crate::protocol::Position;
use crate::watch::Woken;
use crate::{Answer, Error, Replica, Token};

/// Entries that are appended and not applied.
#[derive(Debug, Default)]
pub(crate) struct Proposals {
    queue: VecDeque<Pending>,
    /// Encoded bytes of the queue.
    bytes: usize,
    /// The newest time given to an entry.
    time: Time,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Pending {
    position: Position,
    /// Who waits for the answer; none for the replica's own proposals.
    token: Option<Token>,
    request: Request,
    bytes: usize,
}

impl Proposals {
    /// Proposals after a restart; `time` is that of the newest entry.
    pub(crate) fn after(time: Time) -> Self {
        Self { time, ..Self::default() }
    }

    fn pop_committed(&mut self, commit: LogIndex) -> Option<Pending> {
        self.queue.front().filter(|next| next.position.index <= commit)?;
        let pending = self.queue.pop_front()?;
        self.bytes -= pending.bytes;
        Some(pending)
    }

    /// Those who wait for an answer, in order.
    pub(crate) fn drain_tokens(&mut self) -> Vec<Token> {
        self.bytes = 0;
        self.queue.drain(..).filter_map(|pending| pending.token).collect()
    }
}

impl Replica {
    pub(crate) fn on_propose(&mut self, token: Token, request: Request) {
        // Before anything is written: what is nested too deeply could not be read back.
        let result = match request.command.check(&self.options.keyspaces().limits) {
            Err(refusal) => Err(Error::Refused(refusal)),
            Ok(()) if self.proposals.bytes >= self.options.pending_bytes_max => Err(Error::Busy),
            Ok(()) => self.append(Some(token), request),
        };
        if let Err(error) = result {
            self.reply(token, Err(error));
        }
    }

    /// Proposes what the replica itself wants. Not bounded: it is one entry at a time.
    pub(crate) fn propose_own(&mut self, time: Time, command: Command) {
        let request = Request { origin: Origin::default(), time, command };
        self.append(None, request).expect("only requests of others have a bound");
    }

    /// The newest time given to an entry.
    pub(crate) fn entry_time(&self) -> Time {
        self.proposals.time
    }

    fn append(&mut self, token: Option<Token>, mut request: Request) -> Result<(), Error> {
        request.time = request.time.max(self.proposals.time);
        let mut payload = mem::take(&mut self.proposals.scratch);
        payload.clear();
        request.encode(&mut payload);
        let (len, max) = (payload.len(), self.options.request_bytes_max);
        if len > max && token.is_some() {
            self.proposals.scratch = payload;
            return Err(Error::TooLarge { len, max });
        }
        let position = self.protocol.next_position();
        let (index, term) = (position.index, position.term);
        let ticket = self.wal.append(Record::Entry { index, term, payload: &payload });
        self.protocol.on_appended(position, ticket);
        self.proposals.time = request.time;
        self.proposals.bytes += len;
        self.proposals.queue.push_back(Pending { position, token, request, bytes: len });
        self.proposals.scratch = payload;
        self.cutter.log_grew(len);
        Ok(())
    }

    pub(crate) fn on_log_durable(&mut self, now: Time, ticket: Ticket) {
        self.wal.on_durable(ticket);
        self.protocol.on_durable(ticket);
        self.apply_committed(now);
        self.resume_snapshot(now);
        self.schedule_trim(now);
    }

    fn apply_committed(&mut self, now: Time) {
        let commit = self.protocol.commit();
        let mut woken = Woken::default();
        while let Some(pending) = self.proposals.pop_committed(commit) {
            if let Command::Compact { .. } = pending.request.command {
                // Watchers are to lose nothing because it shares a batch with what it compacts.
                self.feed_woken(now, &mem::take(&mut woken));
            }
            self.applied_term = pending.position.term;
            let clock = self.keyspaces.clock();
            let result = self.keyspaces.apply(pending.position.index, &pending.request);
            if self.keyspaces.clock() > clock {
                self.clock_moved = now;
            }
            if let Ok(applied) = &result {
                self.on_lease_outcome(now, &applied.outcome);
                for (keyspace, revision) in &applied.changed {
                    self.wake_watches(&mut woken, *keyspace, *revision);
                }
            }
            if let Some(token) = pending.token {
                self.reply(token, result.map(Answer::Applied).map_err(Error::Refused));
            }
        }
        self.feed_woken(now, &woken);
        self.release_waiting(now);
    }
}
