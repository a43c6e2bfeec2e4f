//! The records that snapshot chunks are made of.

use alloc::string::String;
use alloc::vec::Vec;

use synod_base::{
    Bytes, Decode, DecodeError, Digest, Encode, KeyspaceId, LeaseId, LogIndex, Reader, Revision,
    Time,
};

use crate::lease::AttachmentKey;
use crate::snapshot::{Header, Meta};
use crate::{Config, Held, KeyValue, Lease, OnExpiry};

/// A record to write.
#[derive(Clone, Copy, Debug)]
pub(super) enum Record<'a> {
    Attachment(&'a AttachmentKey, OnExpiry),
    Counter(&'a (KeyspaceId, Bytes), u64),
    End(Digest),
    Header(&'a Header),
    /// Begins the versions of a key, or goes on with them in a new chunk.
    Key(&'a Bytes),
    /// Begins a keyspace.
    Keyspace(&'a Meta),
    Lease(&'a Lease),
    /// The key of the next event of the revision.
    Order(&'a Bytes),
    /// The next revision; with more than one event, its keys follow.
    Revision {
        index: LogIndex,
        time: Time,
        count: usize,
    },
    /// A version of the key, oldest first.
    Version(&'a KeyValue),
}

/// A record as it was read.
#[derive(Debug)]
pub(super) enum Found {
    Attachment(AttachmentKey, OnExpiry),
    Counter((KeyspaceId, Bytes), u64),
    End(Digest),
    Header(Header),
    Key(Bytes),
    Keyspace(Meta),
    Lease(Lease),
    Order(Bytes),
    Revision { index: LogIndex, time: Time, count: usize },
    Tombstone { mod_revision: Revision },
    Version(VersionFields),
}

/// A version without its key.
#[derive(Debug)]
pub(super) struct VersionFields {
    pub(super) create_revision: Revision,
    pub(super) mod_revision: Revision,
    pub(super) version: u64,
    pub(super) lease: Option<LeaseId>,
    pub(super) value: Bytes,
}

impl Record<'_> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Header(header) => {
                out.push(0);
                header.applied.encode(out);
                header.clock.encode(out);
                header.lease_generation.encode(out);
                header.config.encode_agreed(out);
            }
            Self::Lease(lease) => {
                out.push(1);
                lease.encode(out);
            }
            Self::Keyspace(meta) => {
                out.push(2);
                meta.id.encode(out);
                meta.name.encode(out);
                meta.quota_bytes.encode(out);
                meta.revision.encode(out);
                meta.compaction.encode(out);
            }
            Self::Revision { index, time, count } => {
                out.push(3);
                index.encode(out);
                time.encode(out);
                u32::try_from(*count).expect("a revision has less than 4 Gi events").encode(out);
            }
            Self::Order(key) => {
                out.push(4);
                key.encode(out);
            }
            Self::Key(key) => {
                out.push(5);
                key.encode(out);
            }
            Self::Version(kv) if kv.is_tombstone() => {
                out.push(6);
                kv.mod_revision.encode(out);
            }
            Self::Version(kv) => {
                out.push(7);
                kv.create_revision.encode(out);
                kv.mod_revision.encode(out);
                kv.version.encode(out);
                kv.lease.encode(out);
                kv.value.encode(out);
            }
            Self::Attachment((lease, keyspace, key), on_expiry) => {
                out.push(8);
                lease.encode(out);
                keyspace.encode(out);
                key.encode(out);
                on_expiry.encode(out);
            }
            Self::Counter(counter, next) => {
                out.push(9);
                counter.encode(out);
                next.encode(out);
            }
            Self::End(digest) => {
                out.push(10);
                digest.encode(out);
            }
        }
    }
}

impl Found {
    pub(super) fn decode(input: &mut Reader<'_>, held: Held) -> Result<Self, DecodeError> {
        let at = input.clone();
        Ok(match u8::decode(input)? {
            0 => Self::Header(Header {
                applied: LogIndex::decode(input)?,
                clock: Time::decode(input)?,
                lease_generation: u64::decode(input)?,
                config: Config::decode_agreed(input, held)?,
            }),
            1 => Self::Lease(Lease::decode(input)?),
            2 => Self::Keyspace(Meta {
                id: KeyspaceId::decode(input)?,
                name: String::decode(input)?,
                quota_bytes: u64::decode(input)?,
                revision: Revision::decode(input)?,
                compaction: Revision::decode(input)?,
            }),
            3 => Self::Revision {
                index: LogIndex::decode(input)?,
                time: Time::decode(input)?,
                count: u32::decode(input)? as usize,
            },
            4 => Self::Order(Bytes::decode(input)?),
            5 => Self::Key(Bytes::decode(input)?),
            6 => Self::Tombstone { mod_revision: Revision::decode(input)? },
            7 => Self::Version(VersionFields {
                create_revision: Revision::decode(input)?,
                mod_revision: Revision::decode(input)?,
                version: u64::decode(input)?,
                lease: Option::decode(input)?,
                value: Bytes::decode(input)?,
            }),
            8 => {
                let at = Decode::decode(input)?;
                let (lease, (keyspace, key)): (LeaseId, (KeyspaceId, Bytes)) = at;
                Self::Attachment((lease, keyspace, key), OnExpiry::decode(input)?)
            }
            9 => Self::Counter(Decode::decode(input)?, u64::decode(input)?),
            10 => Self::End(Digest::decode(input)?),
            _ => return Err(at.error("a snapshot record's tag (0 to 10)")),
        })
    }
}
