//! Cutting snapshots: the state at one entry, written in chunks while later entries apply.
//!
//! The keyspaces pin their state; each step encodes one chunk of it and waits for the disk, so that
//! nobody waits long behind a snapshot. The file is made under a draft name and renamed when all
//! of it is durable. Two snapshots are kept, and the log from the older one on: should the newer
//! one turn out to be damaged, the older one and the log still hold everything.

use alloc::vec;
use alloc::vec::Vec;

use synod_base::{
    ClusterId, Decode, DecodeError, Digest, Encode, GroupId, LogIndex, Reader, Term, Ticket, Time,
    encode_to_vec,
};
use synod_keyspace::{SnapshotCursor, SnapshotLost};
use synod_wal::{DiskOp, FileName, FrameHead, FrameKind, FrameStream, Record};

use crate::{Answer, DiskJob, Error, Lane, Output, Replica, Token};

const MAGIC: [u8; 8] = *b"SYNODSNP";

/// A snapshot is synced whenever this much has been written, so that its end does not come as one
/// long stall of the disk, in which the log would wait too. Larger syncs make the snapshot faster
/// and the slowest puts beside it slower: at 1 MiB their p99 was four times the usual one, at this
/// size less than twice.
const SYNC_AFTER_BYTES: u64 = 64 << 10;

/// Snapshots kept.
const KEPT: usize = 2;

/// The first frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotHeader {
    pub(crate) cluster: ClusterId,
    pub(crate) group: GroupId,
    pub(crate) index: LogIndex,
    pub(crate) term: Term,
}

impl Encode for SnapshotHeader {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        self.cluster.encode(out);
        self.group.encode(out);
        self.index.encode(out);
        self.term.encode(out);
    }
}

impl Decode for SnapshotHeader {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = input.clone();
        if input.array()? != MAGIC {
            return Err(at.error("the magic of a snapshot"));
        }
        Ok(Self {
            cluster: ClusterId::decode(input)?,
            group: GroupId::decode(input)?,
            index: LogIndex::decode(input)?,
            term: Term::decode(input)?,
        })
    }
}

/// The last frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotTrailer {
    pub(crate) chunks: u64,
    /// The digest of the whole state.
    pub(crate) digest: Digest,
}

impl Encode for SnapshotTrailer {
    fn encode(&self, out: &mut Vec<u8>) {
        self.chunks.encode(out);
        self.digest.encode(out);
    }
}

impl Decode for SnapshotTrailer {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { chunks: u64::decode(input)?, digest: Digest::decode(input)? })
    }
}

/// The snapshot being cut, and those that are there.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    /// Bytes of entries since the last cut began.
    grown: u64,
    cutting: Option<Cutting>,
    /// Who asked for a snapshot while another one was being cut.
    wanted: Vec<Token>,
    /// Durable snapshots, oldest first.
    kept: Vec<LogIndex>,
    /// Files that go when the next snapshot is durable.
    stale: Vec<FileName>,
    last_ticket: Ticket,
}

#[derive(Debug)]
struct Cutting {
    header: SnapshotHeader,
    cursor: SnapshotCursor,
    chunks: u64,
    /// Where the next frame goes.
    offset: u64,
    /// How far it is synced.
    synced: u64,
    /// The job on its way.
    ticket: Ticket,
    /// That job is done, and the next waits for the log.
    is_waiting: bool,
    /// Whether that job is the last.
    is_last: bool,
    /// Who waits for it.
    tokens: Vec<Token>,
}

impl Cutter {
    /// A cutter over the snapshots found at the start.
    pub(crate) fn over(kept: Vec<LogIndex>, stale: Vec<FileName>, grown: u64) -> Self {
        Self { grown, kept, stale, ..Self::default() }
    }

    /// The log has grown by an entry of this many bytes.
    pub(crate) fn log_grew(&mut self, bytes: usize) {
        self.grown += bytes as u64;
    }

    /// Ends the cut for good; answers who waits for a snapshot.
    pub(crate) fn give_up(&mut self) -> Vec<Token> {
        let mut tokens = self.cutting.take().map(|cutting| cutting.tokens).unwrap_or_default();
        tokens.append(&mut self.wanted);
        tokens
    }

    fn next_ticket(&mut self) -> Ticket {
        self.last_ticket = self.last_ticket.next();
        self.last_ticket
    }
}

impl Cutting {
    fn draft(&self) -> FileName {
        FileName::SnapshotDraft(self.header.index)
    }

    /// A write of one frame at the end.
    fn write(&mut self, kind: FrameKind, payload: &[u8]) -> DiskOp {
        let SnapshotHeader { cluster, group, index, term } = self.header;
        let head = FrameHead { kind, group, batch: 0, index, term };
        let mut bytes = Vec::with_capacity(payload.len() + 64);
        FrameStream::snapshot(cluster, index)
            .encode(&mut bytes, self.offset, &head, |out| out.extend_from_slice(payload));
        let offset = self.offset;
        self.offset += bytes.len() as u64;
        DiskOp::Write { file: self.draft(), offset, bytes }
    }
}

impl Replica {
    pub(crate) fn on_snapshot(&mut self, token: Token) {
        let index = self.keyspaces.applied_index();
        match &mut self.cutter.cutting {
            Some(cutting) if cutting.header.index == index => return cutting.tokens.push(token),
            // That one stands at an earlier entry than the one asked for.
            Some(_) => return self.cutter.wanted.push(token),
            None => {}
        }
        // One at this very entry is there already, and is as good.
        if self.cutter.kept.last() == Some(&index) {
            return self.reply(token, Ok(Answer::Snapshot { index }));
        }
        self.begin_snapshot(vec![token]);
    }

    pub(crate) fn begin_snapshot_when_due(&mut self) {
        let is_due = self.cutter.grown >= self.options.snapshot_after_bytes;
        let is_newer = self.cutter.kept.last() < Some(&self.keyspaces.applied_index());
        let is_readable = self.keyspaces.applied_index() >= self.protocol.read_index();
        if is_due && is_newer && is_readable && self.cutter.cutting.is_none() {
            self.begin_snapshot(Vec::new());
        }
    }

    fn begin_snapshot(&mut self, tokens: Vec<Token>) {
        let header = SnapshotHeader {
            cluster: self.identity.cluster,
            group: self.options.group,
            index: self.keyspaces.applied_index(),
            term: self.applied_term,
        };
        self.cutter.grown = 0;
        let ticket = self.cutter.next_ticket();
        let mut cutting = Cutting {
            header,
            cursor: self.keyspaces.begin_snapshot(),
            chunks: 0,
            offset: 0,
            synced: 0,
            ticket,
            is_waiting: false,
            is_last: false,
            tokens,
        };
        let create = DiskOp::Create { file: cutting.draft(), len: 0 };
        let write = cutting.write(FrameKind::SnapshotHeader, &encode_to_vec(&header));
        self.cutter.cutting = Some(cutting);
        self.send_snapshot_job(ticket, vec![create, write]);
    }

    /// Other jobs of the lane only remove files; nothing follows them.
    pub(crate) fn on_snapshot_durable(&mut self, now: Time, ticket: Ticket) {
        let Some(mut cutting) = self.cutter.cutting.take_if(|cutting| cutting.ticket == ticket)
        else {
            return;
        };
        if cutting.is_last {
            self.end_snapshot(&cutting);
        } else if self.wal.is_settled() {
            self.continue_snapshot(now, cutting);
        } else {
            // While the log is busy each of its batches makes way for one chunk, so that a
            // snapshot takes a share of the disk and not as much as it can get.
            cutting.is_waiting = true;
            self.cutter.cutting = Some(cutting);
        }
    }

    /// A batch of the log is durable: the snapshot may go on.
    pub(crate) fn resume_snapshot(&mut self, now: Time) {
        if let Some(cutting) = self.cutter.cutting.take_if(|cutting| cutting.is_waiting) {
            self.continue_snapshot(now, cutting);
        }
    }

    fn continue_snapshot(&mut self, now: Time, mut cutting: Cutting) {
        let bytes_max = self.options.snapshot_chunk_bytes;
        let ticket = self.cutter.next_ticket();
        cutting.ticket = ticket;
        cutting.is_waiting = false;
        let file = cutting.draft();
        let ops = match self.keyspaces.next_chunk(&mut cutting.cursor, bytes_max) {
            Ok(Some(chunk)) => {
                cutting.chunks += 1;
                let mut ops = vec![cutting.write(FrameKind::SnapshotChunk, &chunk)];
                if cutting.offset - cutting.synced >= SYNC_AFTER_BYTES {
                    cutting.synced = cutting.offset;
                    ops.push(DiskOp::Sync { file });
                }
                ops
            }
            Ok(None) => {
                self.keyspaces.end_snapshot(&cutting.cursor);
                self.schedule_trim(now);
                cutting.is_last = true;
                let digest = cutting.cursor.digest();
                let trailer = SnapshotTrailer { chunks: cutting.chunks, digest };
                let to = FileName::Snapshot(cutting.header.index);
                vec![
                    cutting.write(FrameKind::SnapshotTrailer, &encode_to_vec(&trailer)),
                    DiskOp::Sync { file },
                    DiskOp::Rename { from: file, to },
                    DiskOp::SyncDirectory,
                ]
            }
            // The keyspaces let go of the pinned state rather than hold too much memory for it.
            // The next cut is tried when the log has grown enough again.
            Err(SnapshotLost) => {
                self.schedule_trim(now);
                for token in cutting.tokens {
                    self.reply(token, Err(Error::Busy));
                }
                self.send_snapshot_job(ticket, vec![DiskOp::Remove { file }]);
                return self.begin_wanted_snapshot();
            }
        };
        self.cutter.cutting = Some(cutting);
        self.send_snapshot_job(ticket, ops);
    }

    fn end_snapshot(&mut self, cutting: &Cutting) {
        let SnapshotHeader { index, term, .. } = cutting.header;
        self.wal.append(Record::SnapshotMarker { index, term });
        for token in &cutting.tokens {
            self.reply(*token, Ok(Answer::Snapshot { index }));
        }
        self.cutter.kept.push(index);
        let mut ops: Vec<DiskOp> = Vec::new();
        while self.cutter.kept.len() > KEPT {
            let file = FileName::Snapshot(self.cutter.kept.remove(0));
            ops.push(DiskOp::Remove { file });
        }
        ops.extend(self.cutter.stale.drain(..).map(|file| DiskOp::Remove { file }));
        if !ops.is_empty() {
            ops.push(DiskOp::SyncDirectory);
        }
        if self.cutter.kept.len() == KEPT {
            ops.extend(self.wal.remove_until(self.cutter.kept[0]));
        }
        if !ops.is_empty() {
            let ticket = self.cutter.next_ticket();
            self.send_snapshot_job(ticket, ops);
        }
        self.begin_wanted_snapshot();
    }

    fn begin_wanted_snapshot(&mut self) {
        for token in core::mem::take(&mut self.cutter.wanted) {
            self.on_snapshot(token);
        }
    }

    fn send_snapshot_job(&mut self, ticket: Ticket, ops: Vec<DiskOp>) {
        self.outputs.push(Output::Disk(DiskJob { lane: Lane::Snapshot, ticket, ops }));
    }
}

#[cfg(test)]
mod tests {
    use synod_base::decode_all;

    use super::*;

    #[test]
    fn golden_bytes() {
        let header = SnapshotHeader {
            cluster: ClusterId::new(1),
            group: GroupId::new(2),
            index: LogIndex::new(3),
            term: Term::new(4),
        };
        #[rustfmt::skip]
        let golden = [
            b'S', b'Y', b'N', b'O', b'D', b'S', b'N', b'P',
            1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(encode_to_vec(&header), golden);
        assert_eq!(decode_all(&golden), Ok(header));

        let trailer = SnapshotTrailer { chunks: 5, digest: Digest::default() };
        let mut golden = vec![5, 0, 0, 0, 0, 0, 0, 0];
        golden.resize(24, 0);
        assert_eq!(encode_to_vec(&trailer), golden);
        assert_eq!(decode_all(&golden), Ok(trailer));
    }
}
