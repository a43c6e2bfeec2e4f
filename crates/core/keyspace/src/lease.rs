//! Leases: what is replicated of them. When one expires is the replica's to decide.

use core::time::Duration;

use alloc::vec::Vec;

use synod_base::{Bytes, Digest, Encode, KeyspaceId, LeaseId, LogIndex, Time};

use crate::ledger::Ledger;
use crate::{Attach, Error, OnExpiry};

const TTL_MIN: Duration = Duration::from_secs(1);
const TTL_MAX: Duration = Duration::from_secs(9_000_000_000);

/// A granted lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// How long it lives without a renewal.
    pub ttl: Duration,
    /// Which grant this is, counted over the group. An expiry names it, so that it cannot end a
    /// later lease with the same id.
    pub generation: u64,
    /// The agreed time of the grant.
    pub granted: Time,
}

/// A key attached to a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedKey {
    /// The key's keyspace.
    pub keyspace: KeyspaceId,
    /// The key.
    pub key: Bytes,
    /// What the lease's end does to it.
    pub on_expiry: OnExpiry,
}

/// Lease, keyspace and key.
pub(crate) type AttachmentKey = (LeaseId, KeyspaceId, Bytes);

/// All leases of a group with their attachments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leases {
    pub(crate) table: Ledger<LeaseId, Lease>,
    pub(crate) attachments: Ledger<AttachmentKey, OnExpiry>,
    /// The newest generation given out.
    pub(crate) generation: u64,
    digest: Digest,
    scratch: Vec<u8>,
}

impl Leases {
    pub(crate) fn get(&self, id: LeaseId) -> Option<&Lease> {
        self.table.get(&id)
    }

    /// The keys attached to `id`, by keyspace and key.
    pub(crate) fn keys(&self, id: LeaseId) -> Vec<AttachedKey> {
        let from = (id, KeyspaceId::new(0), Bytes::default());
        self.attachments
            .from(&from)
            .take_while(|((lease, ..), _)| *lease == id)
            .map(|((_, keyspace, key), on_expiry)| AttachedKey {
                keyspace: *keyspace,
                key: key.clone(),
                on_expiry: *on_expiry,
            })
            .collect()
    }

    /// Grants a lease; id zero takes one made from the entry's index.
    pub(crate) fn grant(
        &mut self,
        index: LogIndex,
        id: LeaseId,
        ttl: Duration,
        now: Time,
    ) -> Result<Lease, Error> {
        if !(TTL_MIN..=TTL_MAX).contains(&ttl) {
            return Err(Error::LeaseTtlOutOfRange);
        }
        let id = if id == LeaseId::new(0) { self.free_id(index) } else { id };
        if self.table.get(&id).is_some() {
            return Err(Error::LeaseExists(id));
        }
        self.generation += 1;
        let lease = Lease { id, ttl, generation: self.generation, granted: now };
        self.restore(lease.clone());
        Ok(lease)
    }

    /// Puts back a lease as it was.
    pub(crate) fn restore(&mut self, lease: Lease) {
        lease_item(&lease, &mut self.scratch);
        self.digest.add(&self.scratch);
        self.table.insert(lease.id, lease);
    }

    /// Removes a lease whose keys are detached already.
    pub(crate) fn remove(&mut self, id: LeaseId) {
        if let Some(lease) = self.table.remove(&id) {
            lease_item(&lease, &mut self.scratch);
            self.digest.remove(&self.scratch);
        }
    }

    pub(crate) fn attach(&mut self, keyspace: KeyspaceId, key: &Bytes, attach: Attach) {
        let at = (attach.lease, keyspace, key.clone());
        attachment_item(&at, attach.on_expiry, &mut self.scratch);
        self.digest.add(&self.scratch);
        if let Some(old) = self.attachments.insert(at.clone(), attach.on_expiry) {
            attachment_item(&at, old, &mut self.scratch);
            self.digest.remove(&self.scratch);
        }
    }

    pub(crate) fn detach(&mut self, keyspace: KeyspaceId, key: &Bytes, lease: LeaseId) {
        let at = (lease, keyspace, key.clone());
        if let Some(old) = self.attachments.remove(&at) {
            attachment_item(&at, old, &mut self.scratch);
            self.digest.remove(&self.scratch);
        }
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// The digest computed anew.
    pub(crate) fn recomputed(&self) -> Digest {
        let mut digest = Digest::default();
        let mut item = Vec::new();
        for (_, lease) in self.table.iter() {
            lease_item(lease, &mut item);
            digest.add(&item);
        }
        for (at, on_expiry) in self.attachments.iter() {
            attachment_item(at, *on_expiry, &mut item);
            digest.add(&item);
        }
        digest
    }

    /// An id that is free, not zero, positive in signed arithmetic too (as etcd's clients want),
    /// and the same on every member.
    fn free_id(&self, index: LogIndex) -> LeaseId {
        // The finalizer of SplitMix64: a bijection, so ids of different entries differ.
        let mut mixed = index.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        loop {
            mixed &= u64::MAX >> 1;
            if mixed != 0 && self.table.get(&LeaseId::new(mixed)).is_none() {
                return LeaseId::new(mixed);
            }
            mixed += 1;
        }
    }
}

fn lease_item(lease: &Lease, item: &mut Vec<u8>) {
    item.clear();
    item.push(crate::digest::LEASE);
    lease.encode(item);
}

fn attachment_item(at: &AttachmentKey, on_expiry: OnExpiry, item: &mut Vec<u8>) {
    item.clear();
    item.push(crate::digest::ATTACHMENT);
    at.0.encode(item);
    at.1.encode(item);
    at.2.encode(item);
    on_expiry.encode(item);
}
