//! Lease timers. Which leases exist is replicated; when one expires is decided here.
//!
//! Renewals move a timer and nothing else. When timers run out, one entry expires all their leases
//! at once, each fenced by its generation: a lease granted anew under the same id is not touched.
//! After a restart each lease has its full time again, since renewals were not written down.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use synod_base::{LeaseId, Time};
use synod_keyspace::{Command, Expiry, Lease, Outcome};

use crate::{Answer, Error, LeaseStatus, Replica, Token};

/// The most leases that one entry expires; the rest follows in the next.
const EXPIRY_BATCH_MAX: usize = 1000;

/// A timer per lease.
#[derive(Debug, Default)]
pub(crate) struct LeaseTimers {
    timers: BTreeMap<LeaseId, Timer>,
    /// Running timers by deadline.
    deadlines: BTreeSet<(Time, LeaseId)>,
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    generation: u64,
    ttl: Duration,
    deadline: Time,
    /// Its expiry is in the log, so it can't be renewed any more.
    expiring: bool,
}

impl LeaseTimers {
    /// Gives a lease its full time.
    pub(crate) fn start(&mut self, now: Time, lease: &Lease) {
        self.stop(lease.id);
        let deadline = now + lease.ttl;
        let (generation, ttl) = (lease.generation, lease.ttl);
        self.timers.insert(lease.id, Timer { generation, ttl, deadline, expiring: false });
        self.deadlines.insert((deadline, lease.id));
    }

    fn stop(&mut self, id: LeaseId) {
        if let Some(timer) = self.timers.remove(&id) {
            self.deadlines.remove(&(timer.deadline, id));
        }
    }

    /// When the next lease runs out.
    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    fn renew(&mut self, now: Time, id: LeaseId) -> Option<LeaseStatus> {
        let timer = self.timers.get_mut(&id).filter(|timer| !timer.expiring)?;
        self.deadlines.remove(&(timer.deadline, id));
        timer.deadline = now + timer.ttl;
        self.deadlines.insert((timer.deadline, id));
        Some(LeaseStatus { lease: id, ttl: timer.ttl, remaining: timer.ttl })
    }

    fn status(&self, now: Time, id: LeaseId) -> Option<LeaseStatus> {
        let timer = self.timers.get(&id).filter(|timer| !timer.expiring)?;
        let remaining = timer.deadline.since(now);
        Some(LeaseStatus { lease: id, ttl: timer.ttl, remaining })
    }

    /// The leases that ran out, no more than one entry takes; each is answered once.
    fn take_expired(&mut self, now: Time) -> Vec<Expiry> {
        let mut expired = Vec::new();
        while expired.len() < EXPIRY_BATCH_MAX
            && let Some((deadline, id)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.deadlines.pop_first();
            let timer = self.timers.get_mut(&id).expect("a deadline has a timer");
            timer.expiring = true;
            expired.push(Expiry { lease: id, generation: timer.generation });
        }
        expired
    }
}

impl Replica {
    pub(crate) fn on_lease_timeout(&mut self, now: Time) {
        let expired = self.leases.take_expired(now);
        if !expired.is_empty() {
            let time = self.entry_time();
            self.propose_own(time, Command::LeaseExpire { expired });
        }
    }

    pub(crate) fn on_lease_keep_alive(&mut self, now: Time, token: Token, lease: LeaseId) {
        let status = self.leases.renew(now, lease);
        self.reply_lease(token, lease, status);
    }

    pub(crate) fn on_lease_status(&mut self, now: Time, token: Token, lease: LeaseId) {
        let status = self.leases.status(now, lease);
        self.reply_lease(token, lease, status);
    }

    /// Follows what an entry did to leases.
    pub(crate) fn on_lease_outcome(&mut self, now: Time, outcome: &Outcome) {
        match outcome {
            Outcome::LeaseExpired(ended) => ended.iter().for_each(|id| self.leases.stop(*id)),
            Outcome::LeaseGranted(lease) => self.leases.start(now, lease),
            Outcome::LeaseRevoked(id) => self.leases.stop(*id),
            Outcome::Compacted | Outcome::Keyspace { .. } | Outcome::Noop | Outcome::Txn(_) => (),
        }
    }

    fn reply_lease(&mut self, token: Token, lease: LeaseId, status: Option<LeaseStatus>) {
        let missing = Error::Refused(synod_keyspace::Error::LeaseNotFound(lease));
        self.reply(token, status.map(Answer::Lease).ok_or(missing));
    }
}
