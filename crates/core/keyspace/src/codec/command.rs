//! Bytes of requests: what the log holds.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use synod_base::{
    Bytes, ClientId, Decode, DecodeError, Encode, KeyspaceId, LeaseId, Reader, Revision, Time,
};

use crate::codec::list;
use crate::{Command, Expiry, Origin, Request, Txn};

/// Version of the request format, its first byte.
const VERSION: u8 = 1;

impl Encode for Request {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.origin.encode(out);
        self.time.encode(out);
        self.command.encode(out);
    }
}

impl Decode for Request {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = input.clone();
        if u8::decode(input)? != VERSION {
            return Err(at.error("request format version 1"));
        }
        Ok(Self {
            origin: Origin::decode(input)?,
            time: Time::decode(input)?,
            command: Command::decode(input)?,
        })
    }
}

impl Encode for Origin {
    fn encode(&self, out: &mut Vec<u8>) {
        self.client.encode(out);
        self.sequence.encode(out);
        self.signature.encode(out);
    }
}

impl Decode for Origin {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            client: ClientId::decode(input)?,
            sequence: u64::decode(input)?,
            signature: Option::<Bytes>::decode(input)?,
        })
    }
}

impl Encode for Command {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Noop => out.push(0),
            Self::Txn(txn) => {
                out.push(1);
                txn.encode(out);
            }
            Self::Compact { keyspace, revision } => {
                out.push(2);
                keyspace.encode(out);
                revision.encode(out);
            }
            Self::CreateKeyspace { name, quota_bytes } => {
                out.push(3);
                name.encode(out);
                quota_bytes.encode(out);
            }
            Self::LeaseGrant { id, ttl } => {
                out.push(4);
                id.encode(out);
                encode_duration(*ttl, out);
            }
            Self::LeaseRevoke { id } => {
                out.push(5);
                id.encode(out);
            }
            Self::LeaseExpire { expired } => {
                out.push(6);
                expired.encode(out);
            }
        }
    }
}

impl Decode for Command {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = input.clone();
        Ok(match u8::decode(input)? {
            0 => Self::Noop,
            1 => Self::Txn(Txn::decode(input)?),
            2 => Self::Compact {
                keyspace: KeyspaceId::decode(input)?,
                revision: Revision::decode(input)?,
            },
            3 => Self::CreateKeyspace {
                name: String::decode(input)?,
                quota_bytes: u64::decode(input)?,
            },
            4 => Self::LeaseGrant { id: LeaseId::decode(input)?, ttl: decode_duration(input)? },
            5 => Self::LeaseRevoke { id: LeaseId::decode(input)? },
            6 => Self::LeaseExpire { expired: list(input, 16, Expiry::decode)? },
            _ => return Err(at.error("a command's tag (0 to 6)")),
        })
    }
}

impl Encode for Expiry {
    fn encode(&self, out: &mut Vec<u8>) {
        self.lease.encode(out);
        self.generation.encode(out);
    }
}

impl Decode for Expiry {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { lease: LeaseId::decode(input)?, generation: u64::decode(input)? })
    }
}

/// Whole seconds, then nanoseconds below one second.
pub(crate) fn encode_duration(duration: Duration, out: &mut Vec<u8>) {
    duration.as_secs().encode(out);
    duration.subsec_nanos().encode(out);
}

pub(crate) fn decode_duration(input: &mut Reader<'_>) -> Result<Duration, DecodeError> {
    let secs = u64::decode(input)?;
    let at = input.clone();
    let nanos = u32::decode(input)?;
    if nanos >= 1_000_000_000 {
        return Err(at.error("nanoseconds below one second"));
    }
    Ok(Duration::new(secs, nanos))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::codec::assert_golden;

    #[test]
    fn commands_have_fixed_bytes() {
        assert_golden(&Command::Noop, "00");
        let compact = Command::Compact { keyspace: KeyspaceId::new(1), revision: Revision::new(9) };
        assert_golden(&compact, "02 01000000 0900000000000000");
        let create = Command::CreateKeyspace { name: "kv".into(), quota_bytes: 256 };
        assert_golden(&create, "03 02000000 6b76 0001000000000000");
        let ttl = Duration::new(5, 1);
        let grant = Command::LeaseGrant { id: LeaseId::new(7), ttl };
        assert_golden(&grant, "04 0700000000000000 0500000000000000 01000000");
        assert_golden(&Command::LeaseRevoke { id: LeaseId::new(7) }, "05 0700000000000000");
        let expired = vec![Expiry { lease: LeaseId::new(7), generation: 2 }];
        let expire = Command::LeaseExpire { expired };
        assert_golden(&expire, "06 01000000 0700000000000000 0200000000000000");
        assert_golden(&Command::Txn(Txn::default()), "01 00000000 00000000 00000000");
    }

    #[test]
    fn requests_begin_with_their_version() {
        let mut request = Request {
            origin: Origin { client: ClientId::new(3), sequence: 4, signature: None },
            time: Time::from_nanos(5),
            command: Command::Noop,
        };
        let unsigned = "01 0300000000000000 0400000000000000 00 0500000000000000 00";
        assert_golden(&request, unsigned);
        request.origin.signature = Some(Bytes::from("s"));
        let signed = "01 0300000000000000 0400000000000000 01 01000000 73 0500000000000000 00";
        assert_golden(&request, signed);
        let mut bytes = synod_base::encode_to_vec(&request);
        bytes[0] = 2;
        assert!(synod_base::decode_all::<Request>(&bytes).is_err());
    }

    #[test]
    fn durations_have_one_encoding() {
        let mut bytes = Vec::new();
        0_u64.encode(&mut bytes);
        1_000_000_000_u32.encode(&mut bytes);
        assert!(decode_duration(&mut Reader::new(&bytes)).is_err());
    }
}
