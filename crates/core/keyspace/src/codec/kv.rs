//! Bytes of versions and leases.

use alloc::vec::Vec;

use synod_base::{Bytes, Decode, DecodeError, Encode, LeaseId, Reader, Revision, Time};

use crate::codec::command::{decode_duration, encode_duration};
use crate::{KeyValue, Lease};

impl Encode for KeyValue {
    fn encode(&self, out: &mut Vec<u8>) {
        self.key.encode(out);
        self.value.encode(out);
        self.create_revision.encode(out);
        self.mod_revision.encode(out);
        self.version.encode(out);
        self.lease.encode(out);
    }
}

impl Decode for KeyValue {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            key: Bytes::decode(input)?,
            value: Bytes::decode(input)?,
            create_revision: Revision::decode(input)?,
            mod_revision: Revision::decode(input)?,
            version: u64::decode(input)?,
            lease: Option::<LeaseId>::decode(input)?,
        })
    }
}

impl Encode for Lease {
    fn encode(&self, out: &mut Vec<u8>) {
        self.id.encode(out);
        encode_duration(self.ttl, out);
        self.generation.encode(out);
        self.granted.encode(out);
    }
}

impl Decode for Lease {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: LeaseId::decode(input)?,
            ttl: decode_duration(input)?,
            generation: u64::decode(input)?,
            granted: Time::decode(input)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::codec::assert_golden;

    #[test]
    fn versions_and_leases_have_fixed_bytes() {
        let kv = KeyValue {
            key: "k".into(),
            value: "v".into(),
            create_revision: Revision::new(2),
            mod_revision: Revision::new(3),
            version: 2,
            lease: Some(LeaseId::new(9)),
        };
        let hex = "01000000 6b 01000000 76 0200000000000000 0300000000000000 \
                   0200000000000000 01 0900000000000000";
        assert_golden(&kv, hex);
        let lease = Lease {
            id: LeaseId::new(9),
            ttl: Duration::from_secs(4),
            generation: 1,
            granted: Time::from_nanos(8),
        };
        let hex = "0900000000000000 0400000000000000 00000000 0100000000000000 0800000000000000";
        assert_golden(&lease, hex);
    }
}
