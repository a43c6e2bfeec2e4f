//! Bytes of key ranges and range requests.

use alloc::vec::Vec;

use synod_base::{Bytes, Decode, DecodeError, Encode, KeyspaceId, Reader, Revision};

use crate::codec::config::size;
use crate::codec::unit_enum;
use crate::{KeyRange, Order, RangeRequest, RevisionFilter, Sort, SortTarget};

unit_enum!(Order, "an order (0 or 1)", { Ascending = 0, Descending = 1 });
unit_enum!(SortTarget, "a sort target (0 to 4)", {
    Key = 0, Version = 1, CreateRevision = 2, ModRevision = 3, Value = 4,
});

impl Encode for KeyRange {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Key(key) => {
                out.push(0);
                key.encode(out);
            }
            Self::Span(start, end) => {
                out.push(1);
                start.encode(out);
                end.encode(out);
            }
            Self::From(start) => {
                out.push(2);
                start.encode(out);
            }
        }
    }
}

impl Decode for KeyRange {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = input.clone();
        Ok(match u8::decode(input)? {
            0 => Self::Key(Bytes::decode(input)?),
            1 => Self::Span(Bytes::decode(input)?, Bytes::decode(input)?),
            2 => Self::From(Bytes::decode(input)?),
            _ => return Err(at.error("a key range's tag (0 to 2)")),
        })
    }
}

impl Encode for RangeRequest {
    fn encode(&self, out: &mut Vec<u8>) {
        self.keyspace.encode(out);
        self.range.encode(out);
        self.revision.encode(out);
        self.limit.map(|limit| limit as u64).encode(out);
        self.sort.encode(out);
        self.keys_only.encode(out);
        self.count_only.encode(out);
        self.filter.encode(out);
    }
}

impl Decode for RangeRequest {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            keyspace: KeyspaceId::decode(input)?,
            range: KeyRange::decode(input)?,
            revision: Option::decode(input)?,
            limit: if bool::decode(input)? { Some(size(input)?) } else { None },
            sort: Option::decode(input)?,
            keys_only: bool::decode(input)?,
            count_only: bool::decode(input)?,
            filter: RevisionFilter::decode(input)?,
        })
    }
}

impl Encode for Sort {
    fn encode(&self, out: &mut Vec<u8>) {
        self.target.encode(out);
        self.order.encode(out);
    }
}

impl Decode for Sort {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { target: SortTarget::decode(input)?, order: Order::decode(input)? })
    }
}

impl Encode for RevisionFilter {
    fn encode(&self, out: &mut Vec<u8>) {
        self.min_create.encode(out);
        self.max_create.encode(out);
        self.min_mod.encode(out);
        self.max_mod.encode(out);
    }
}

impl Decode for RevisionFilter {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut bound = || Option::<Revision>::decode(input);
        Ok(Self {
            min_create: bound()?,
            max_create: bound()?,
            min_mod: bound()?,
            max_mod: bound()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::assert_golden;

    #[test]
    fn ranges_have_fixed_bytes() {
        assert_golden(&KeyRange::key("a"), "00 01000000 61");
        assert_golden(&KeyRange::prefix("a"), "01 01000000 61 01000000 62");
        assert_golden(&KeyRange::all(), "02 00000000");
    }

    #[test]
    fn range_requests_have_fixed_bytes() {
        let mut request = RangeRequest::new(KeyspaceId::new(1), KeyRange::key("a"));
        assert_golden(&request, "01000000 00 01000000 61 00 00 00 00 00 00 00 00 00");
        request.revision = Some(Revision::new(5));
        request.limit = Some(6);
        request.sort = Some(Sort { target: SortTarget::Value, order: Order::Descending });
        request.keys_only = true;
        request.filter.max_mod = Some(Revision::new(7));
        let hex = "01000000 00 01000000 61 01 0500000000000000 01 0600000000000000 \
                   01 04 01 01 00 00 00 00 01 0700000000000000";
        assert_golden(&request, hex);
    }
}
