//! The format file: which cluster a data directory belongs to, and in which format it is.

use alloc::vec;
use alloc::vec::Vec;

use synod_base::{
    ClusterId, Decode, DecodeError, Encode, MemberId, Reader, checksum, decode_all, encode_to_vec,
};
use synod_wal::{DiskOp, FileName};

/// The version that this release writes and reads.
pub(crate) const FORMAT_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"SYNODDIR";

/// Whose data a directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The member.
    pub member: MemberId,
}

/// The file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) version: u32,
    pub(crate) identity: Identity,
}

impl Format {
    /// The format of a new directory.
    pub(crate) fn new(identity: Identity) -> Self {
        Self { version: FORMAT_VERSION, identity }
    }

    /// What puts the file in place.
    pub(crate) fn ops(&self) -> Vec<DiskOp> {
        let (from, to) = (FileName::FormatDraft, FileName::Format);
        vec![
            DiskOp::Create { file: from, len: 0 },
            DiskOp::Write { file: from, offset: 0, bytes: encode_to_vec(self) },
            DiskOp::Sync { file: from },
            DiskOp::Rename { from, to },
            DiskOp::SyncDirectory,
        ]
    }

    /// Reads the file. The version is readable in every format to come.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_all(bytes)
    }
}

impl Encode for Format {
    fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        self.version.encode(out);
        self.identity.cluster.encode(out);
        self.identity.member.encode(out);
        checksum(0, &out[start..]).encode(out);
    }
}

impl Decode for Format {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = input.clone();
        if input.array()? != MAGIC {
            return Err(at.error("the magic of a data directory"));
        }
        let format = Self {
            version: u32::decode(input)?,
            identity: Identity {
                cluster: ClusterId::decode(input)?,
                member: MemberId::decode(input)?,
            },
        };
        let at = input.clone();
        // What a newer version appends, only it can check.
        if format.version > FORMAT_VERSION {
            input.take(input.remaining())?;
            return Ok(format);
        }
        let mut body = encode_to_vec(&format);
        body.truncate(body.len() - 8);
        if u64::decode(input)? != checksum(0, &body) {
            return Err(at.error("the checksum of what comes before"));
        }
        Ok(format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: Format = Format {
        version: 1,
        identity: Identity { cluster: ClusterId::new(0x1122), member: MemberId::new(3) },
    };

    #[test]
    fn golden_bytes() {
        #[rustfmt::skip]
        let golden = [
            b'S', b'Y', b'N', b'O', b'D', b'D', b'I', b'R',
            1, 0, 0, 0, // version
            0x22, 0x11, 0, 0, 0, 0, 0, 0, // cluster
            3, 0, 0, 0, 0, 0, 0, 0, // member
        ];
        let bytes = encode_to_vec(&FORMAT);
        assert_eq!(bytes[..28], golden);
        assert_eq!(bytes[28..], checksum(0, &golden).to_le_bytes());
        assert_eq!(Format::read(&bytes), Ok(FORMAT));
    }

    #[test]
    fn every_flipped_bit_and_cut_is_seen_and_a_newer_version_is_named() {
        let bytes = encode_to_vec(&FORMAT);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = Format::read(&flipped);
            assert!(read.is_err() || read.is_ok_and(|format| format.version != 1), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert!(Format::read(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
