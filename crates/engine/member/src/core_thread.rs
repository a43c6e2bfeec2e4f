//! The core thread: owns the replica and carries out what it decides.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};

use synod_base::Time;
use synod_keyspace::{Origin, Request};
use synod_replica::{
    Answer as Replied, DiskJob, Input, Lane, Output, Outputs, Replica, Token, WatchId,
};
use synod_store::{Error, WatchBatch};
use tokio::sync::mpsc;

use crate::clock::{Clock, wall_clock};
use crate::mailbox::{Answer, Mailbox, Message, OpenedWatch, Place};

/// Messages taken at a time. They are all stepped before anything is carried out, so that writes
/// that arrive together share a batch; the limit keeps timers on time.
const DRAIN_MAX: usize = 1024;

/// Room in a watch's channel: one batch for the one credit given, and one error.
const WATCH_ROOM: usize = 2;

/// The replica and everyone who waits for it.
pub(crate) struct CoreThread {
    replica: Replica,
    clock: Clock,
    mailbox: Mailbox,
    messages: Receiver<Message>,
    /// `None` once the thread is ending: that ends the writer threads too.
    disk: Option<Disk>,
    waiting: HashMap<Token, (Waiter, Place)>,
    watches: HashMap<WatchId, mpsc::Sender<Result<WatchBatch, Error>>>,
    last_number: u64,
    is_shutting_down: bool,
}

/// A writer thread per lane: nobody may wait for a snapshot's sync but the snapshot.
pub(crate) struct Disk {
    pub(crate) log: Sender<DiskJob>,
    pub(crate) snapshot: Sender<DiskJob>,
}

impl Disk {
    /// A writer that has ended has reported why; the report is on its way.
    fn send(&self, job: DiskJob) {
        let _ = match job.lane {
            Lane::Log => self.log.send(job),
            Lane::Snapshot => self.snapshot.send(job),
        };
    }
}

/// Who waits for an answer, and for which kind.
enum Waiter {
    Applied(Answer<synod_keyspace::Applied>),
    Lease(Answer<synod_replica::LeaseStatus>),
    Range(Answer<synod_keyspace::RangeResponse>),
    Snapshot(Answer<synod_base::LogIndex>),
    Watch(WatchId, Answer<OpenedWatch>),
}

impl CoreThread {
    pub(crate) fn new(
        replica: Replica,
        clock: Clock,
        mailbox: Mailbox,
        messages: Receiver<Message>,
        disk: Disk,
    ) -> Self {
        Self {
            replica,
            clock,
            mailbox,
            messages,
            disk: Some(disk),
            waiting: HashMap::new(),
            watches: HashMap::new(),
            last_number: 0,
            is_shutting_down: false,
        }
    }

    /// Runs until shutdown or an error of the disk; `outputs` are those of the replica's start.
    pub(crate) fn run(mut self, mut outputs: Outputs) {
        self.carry_out(&mut outputs);
        while self.disk.is_some() && !(self.is_shutting_down && self.replica.is_settled()) {
            let first = self.wait();
            let (now, wall) = (self.clock.now(), wall_clock());
            if self.replica.next_timeout().is_some_and(|timeout| timeout <= now) {
                outputs.append(&mut self.replica.step(now, Input::Timeout));
            }
            let more = self.messages.try_iter().take(DRAIN_MAX).collect::<Vec<_>>();
            for message in first.into_iter().chain(more) {
                if let Some(input) = self.input(wall, message) {
                    outputs.append(&mut self.replica.step(now, input));
                }
            }
            self.carry_out(&mut outputs);
        }
        // Whoever still waits is told why, by their senders being dropped.
        self.mailbox.stop("it was shut down");
    }

    /// The next message, or none when a timer is due.
    fn wait(&mut self) -> Option<Message> {
        let received = match self.replica.next_timeout() {
            Some(timeout) => self.messages.recv_timeout(timeout.since(self.clock.now())),
            None => self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => unreachable!("this thread holds a sender"),
        }
    }

    fn input(&mut self, wall: Time, message: Message) -> Option<Input> {
        let input = match message {
            Message::Command(command, answer, place) => {
                let token = self.token(Waiter::Applied(answer), place);
                let request = Request { origin: Origin::default(), time: wall, command };
                Input::Propose { token, request }
            }
            Message::Disk(report) => report,
            Message::LeaseKeepAlive(lease, answer, place) => {
                Input::LeaseKeepAlive { token: self.token(Waiter::Lease(answer), place), lease }
            }
            Message::LeaseStatus(lease, answer, place) => {
                Input::LeaseStatus { token: self.token(Waiter::Lease(answer), place), lease }
            }
            Message::Read(request, consistency, answer, place) => {
                let token = self.token(Waiter::Range(answer), place);
                Input::Read { token, request, consistency }
            }
            Message::Shutdown => {
                self.is_shutting_down = true;
                return None;
            }
            Message::Snapshot(answer, place) => {
                Input::Snapshot { token: self.token(Waiter::Snapshot(answer), place) }
            }
            Message::WatchClose(watch) => {
                self.watches.remove(&watch);
                Input::WatchClose { watch }
            }
            Message::WatchCredit(watch) => Input::WatchCredit { watch, batches: 1 },
            Message::WatchOpen(request, answer, place) => {
                let watch = WatchId::new(self.number());
                let token = self.token(Waiter::Watch(watch, answer), place);
                let synod_store::WatchRequest { keyspace, range, from } = request;
                Input::WatchOpen { token, watch, keyspace, range, from, credit: 0 }
            }
        };
        Some(input)
    }

    fn carry_out(&mut self, outputs: &mut Outputs) {
        for output in outputs.drain(..) {
            match output {
                Output::Disk(job) => {
                    self.disk.as_ref().expect("no job comes after a halt").send(job);
                }
                Output::Halt { reason } => {
                    tracing::error!(reason, "the member stopped");
                    self.mailbox.stop(&reason);
                    self.disk = None;
                }
                Output::Reply { token, result } => self.reply(token, result),
                Output::WatchBatch { watch, events, revision } => {
                    if let Some(watch) = self.watches.get(&watch) {
                        // It has room for what it gave credit for; a closed one needs nothing.
                        let _ = watch.try_send(Ok(WatchBatch { events, revision }));
                    }
                }
                Output::WatchEnded { watch, error } => {
                    if let Some(watch) = self.watches.remove(&watch) {
                        let _ = watch.try_send(Err(store_error(error)));
                    }
                }
            }
        }
    }

    /// Answers whoever waits. One who has gone away meanwhile needs no answer.
    fn reply(&mut self, token: Token, result: Result<Replied, synod_replica::Error>) {
        let (waiter, _place) = self.waiting.remove(&token).expect("each token is answered once");
        let result = result.map_err(store_error);
        match waiter {
            Waiter::Applied(answer) => {
                let _ = answer.send(result.map(|replied| match replied {
                    Replied::Applied(applied) => applied,
                    other => unreachable!("a command is answered as applied, not {other:?}"),
                }));
            }
            Waiter::Lease(answer) => {
                let _ = answer.send(result.map(|replied| match replied {
                    Replied::Lease(status) => status,
                    other => unreachable!("a lease is answered with its status, not {other:?}"),
                }));
            }
            Waiter::Range(answer) => {
                let _ = answer.send(result.map(|replied| match replied {
                    Replied::Range(range) => range,
                    other => unreachable!("a read is answered with a range, not {other:?}"),
                }));
            }
            Waiter::Snapshot(answer) => {
                let _ = answer.send(result.map(|replied| match replied {
                    Replied::Snapshot { index } => index,
                    other => unreachable!("a snapshot is answered with its index, not {other:?}"),
                }));
            }
            Waiter::Watch(id, answer) => {
                let _ = answer.send(result.map(|replied| match replied {
                    Replied::WatchOpened { start } => self.opened(id, start),
                    other => unreachable!("a watch is answered as opened, not {other:?}"),
                }));
            }
        }
    }

    fn opened(&mut self, id: WatchId, start: synod_base::Revision) -> OpenedWatch {
        let (sender, batches) = mpsc::channel(WATCH_ROOM);
        self.watches.insert(id, sender);
        OpenedWatch { id, start, batches, mailbox: self.mailbox.clone() }
    }

    fn token(&mut self, waiter: Waiter, place: Place) -> Token {
        let token = Token::new(self.number());
        self.waiting.insert(token, (waiter, place));
        token
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

fn store_error(error: synod_replica::Error) -> Error {
    match error {
        synod_replica::Error::Busy => Error::Busy,
        synod_replica::Error::Refused(refusal) => Error::Refused(refusal),
        synod_replica::Error::Stopped { reason } => Error::Stopped { reason },
        synod_replica::Error::TooLarge { len, max } => Error::TooLarge { len, max },
        synod_replica::Error::Unknown { reason } => Error::Unknown { reason },
        other => Error::Unknown { reason: other.to_string() },
    }
}
