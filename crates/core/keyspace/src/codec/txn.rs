//! Bytes of transactions. The tag for appending to a stream is reserved.

use alloc::vec::Vec;

use synod_base::{Bytes, Decode, DecodeError, Encode, KeyspaceId, LeaseId, Reader, Revision};

use crate::check::NESTING_MAX;
use crate::codec::{list, unit_enum};
use crate::{
    Attach, Check, Compare, DeleteRange, KeyRange, LeaseChange, OnExpiry, Op, Ordering, Put,
    RangeRequest, Suffix, Txn, ValueChange,
};

// The least bytes that an item of a list takes.
const COMPARE_LEN_MIN: usize = 10;
const OP_LEN_MIN: usize = 11;

unit_enum!(OnExpiry, "what a lease's end does (0 or 1)", { Delete = 0, Detach = 1 });
unit_enum!(Ordering, "an ordering (0 to 3)", { Equal = 0, Greater = 1, Less = 2, NotEqual = 3 });
unit_enum!(Suffix, "a suffix (0 or 1)", { Counter = 0, Revision = 1 });

impl Encode for Txn {
    fn encode(&self, out: &mut Vec<u8>) {
        self.compares.encode(out);
        self.then.encode(out);
        self.otherwise.encode(out);
    }
}

impl Decode for Txn {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        decode_txn(input, NESTING_MAX)
    }
}

fn decode_txn(input: &mut Reader<'_>, levels: usize) -> Result<Txn, DecodeError> {
    Ok(Txn {
        compares: list(input, COMPARE_LEN_MIN, Compare::decode)?,
        then: list(input, OP_LEN_MIN, |input| decode_op(input, levels))?,
        otherwise: list(input, OP_LEN_MIN, |input| decode_op(input, levels))?,
    })
}

impl Encode for Op {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Range(range) => {
                out.push(0);
                range.encode(out);
            }
            Self::Put(put) => {
                out.push(1);
                put.encode(out);
            }
            Self::Delete(delete) => {
                out.push(2);
                delete.encode(out);
            }
            Self::Txn(txn) => {
                out.push(3);
                txn.encode(out);
            }
        }
    }
}

/// Reads an operation with `levels` of transactions from the outermost one down left.
fn decode_op(input: &mut Reader<'_>, levels: usize) -> Result<Op, DecodeError> {
    let at = input.clone();
    Ok(match u8::decode(input)? {
        0 => Op::Range(RangeRequest::decode(input)?),
        1 => Op::Put(Put::decode(input)?),
        2 => Op::Delete(DeleteRange::decode(input)?),
        3 if levels > 1 => Op::Txn(decode_txn(input, levels - 1)?),
        3 => return Err(at.error("no deeper nesting")),
        // 4 is kept for appending a record to a stream.
        4 => return Err(at.error("an operation known here (4 is reserved for streams)")),
        _ => return Err(at.error("an operation's tag (0 to 3)")),
    })
}

impl Encode for Compare {
    fn encode(&self, out: &mut Vec<u8>) {
        self.keyspace.encode(out);
        self.range.encode(out);
        self.check.encode(out);
    }
}

impl Decode for Compare {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            keyspace: KeyspaceId::decode(input)?,
            range: KeyRange::decode(input)?,
            check: Check::decode(input)?,
        })
    }
}

impl Encode for Check {
    fn encode(&self, out: &mut Vec<u8>) {
        let (tag, ordering) = match self {
            Self::Version(ordering, _) => (0, Some(ordering)),
            Self::CreateRevision(ordering, _) => (1, Some(ordering)),
            Self::ModRevision(ordering, _) => (2, Some(ordering)),
            Self::Value(ordering, _) => (3, Some(ordering)),
            Self::Lease(ordering, _) => (4, Some(ordering)),
            Self::Absent => (5, None),
        };
        out.push(tag);
        if let Some(ordering) = ordering {
            ordering.encode(out);
        }
        match self {
            Self::Absent => {}
            Self::CreateRevision(_, revision) | Self::ModRevision(_, revision) => {
                revision.encode(out);
            }
            Self::Lease(_, number) | Self::Version(_, number) => number.encode(out),
            Self::Value(_, value) => value.encode(out),
        }
    }
}

impl Decode for Check {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = input.clone();
        Ok(match u8::decode(input)? {
            0 => Self::Version(Ordering::decode(input)?, u64::decode(input)?),
            1 => Self::CreateRevision(Ordering::decode(input)?, Revision::decode(input)?),
            2 => Self::ModRevision(Ordering::decode(input)?, Revision::decode(input)?),
            3 => Self::Value(Ordering::decode(input)?, Bytes::decode(input)?),
            4 => Self::Lease(Ordering::decode(input)?, u64::decode(input)?),
            5 => Self::Absent,
            // 6 is kept for the revision of a stream.
            _ => return Err(at.error("a check's tag (0 to 5)")),
        })
    }
}

impl Encode for Put {
    fn encode(&self, out: &mut Vec<u8>) {
        self.keyspace.encode(out);
        self.key.encode(out);
        self.suffix.encode(out);
        match &self.value {
            ValueChange::Set(value) => {
                out.push(0);
                value.encode(out);
            }
            ValueChange::Keep => out.push(1),
        }
        match &self.lease {
            LeaseChange::Clear => out.push(0),
            LeaseChange::Keep => out.push(1),
            LeaseChange::Set(attach) => {
                out.push(2);
                attach.lease.encode(out);
                attach.on_expiry.encode(out);
            }
        }
        self.return_prev.encode(out);
    }
}

impl Decode for Put {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            keyspace: KeyspaceId::decode(input)?,
            key: Bytes::decode(input)?,
            suffix: Option::decode(input)?,
            value: decode_value(input)?,
            lease: decode_lease(input)?,
            return_prev: bool::decode(input)?,
        })
    }
}

fn decode_value(input: &mut Reader<'_>) -> Result<ValueChange, DecodeError> {
    let at = input.clone();
    Ok(match u8::decode(input)? {
        0 => ValueChange::Set(Bytes::decode(input)?),
        1 => ValueChange::Keep,
        _ => return Err(at.error("a value change's tag (0 or 1)")),
    })
}

fn decode_lease(input: &mut Reader<'_>) -> Result<LeaseChange, DecodeError> {
    let at = input.clone();
    Ok(match u8::decode(input)? {
        0 => LeaseChange::Clear,
        1 => LeaseChange::Keep,
        2 => LeaseChange::Set(Attach {
            lease: LeaseId::decode(input)?,
            on_expiry: OnExpiry::decode(input)?,
        }),
        _ => return Err(at.error("a lease change's tag (0 to 2)")),
    })
}

impl Encode for DeleteRange {
    fn encode(&self, out: &mut Vec<u8>) {
        self.keyspace.encode(out);
        self.range.encode(out);
        self.return_prev.encode(out);
    }
}

impl Decode for DeleteRange {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            keyspace: KeyspaceId::decode(input)?,
            range: KeyRange::decode(input)?,
            return_prev: bool::decode(input)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::codec::assert_golden;

    const KEYSPACE: KeyspaceId = KeyspaceId::new(1);

    fn when(check: Check) -> Txn {
        let range = KeyRange::key("k");
        Txn::default().when(Compare { keyspace: KEYSPACE, range, check })
    }

    #[test]
    fn checks_have_fixed_bytes() {
        let check = |check: Check, hex: &str| {
            let around = alloc::format!("01000000 01000000 00010000006b {hex} 00000000 00000000");
            assert_golden(&when(check), &around);
        };
        check(Check::Version(Ordering::Equal, 1), "00 00 0100000000000000");
        check(Check::CreateRevision(Ordering::Greater, Revision::new(2)), "01 01 0200000000000000");
        check(Check::ModRevision(Ordering::Less, Revision::new(3)), "02 02 0300000000000000");
        check(Check::Value(Ordering::NotEqual, "v".into()), "03 03 01000000 76");
        check(Check::Lease(Ordering::Equal, 4), "04 00 0400000000000000");
        check(Check::Absent, "05");
    }

    #[test]
    fn operations_have_fixed_bytes() {
        let check = |op: Op, hex: &str| {
            let around = alloc::format!("00000000 01000000 {hex} 00000000");
            assert_golden(&Txn::new(vec![op]), &around);
        };
        let mut put = Put::new(KEYSPACE, "k", "v");
        check(Op::Put(put.clone()), "01 01000000 01000000 6b 00 00 01000000 76 00 00");
        put = put.with_lease(LeaseId::new(5));
        put.suffix = Some(Suffix::Revision);
        put.return_prev = true;
        let hex = "01 01000000 01000000 6b 01 01 00 01000000 76 02 0500000000000000 00 01";
        check(Op::Put(put.clone()), hex);
        put.suffix = None;
        (put.value, put.lease) = (ValueChange::Keep, LeaseChange::Keep);
        check(Op::Put(put), "01 01000000 01000000 6b 00 01 01 01");
        let delete = DeleteRange::new(KEYSPACE, KeyRange::key("k"));
        check(Op::Delete(delete), "02 01000000 00 01000000 6b 00");
        check(Op::Txn(Txn::default()), "03 00000000 00000000 00000000");
        let range = RangeRequest::new(KEYSPACE, KeyRange::all());
        check(Op::Range(range), "00 01000000 02 00000000 00 00 00 00 00 00 00 00 00");
    }

    #[test]
    fn the_tag_of_stream_appends_is_reserved() {
        let mut bytes = synod_base::encode_to_vec(&Txn::new(vec![Op::Txn(Txn::default())]));
        bytes[8] = 4;
        let error = synod_base::decode_all::<Txn>(&bytes).expect_err("a reserved tag");
        assert_eq!(error.offset, 8);
        assert!(error.expected.contains("streams"), "{error}");
    }

    #[test]
    fn nesting_beyond_the_limit_does_not_decode() {
        let nested =
            |levels: usize| (1..levels).fold(Txn::default(), |txn, _| Txn::new(vec![Op::Txn(txn)]));
        assert_golden_round_trip(&nested(NESTING_MAX));
        let bytes = synod_base::encode_to_vec(&nested(NESTING_MAX + 1));
        assert!(synod_base::decode_all::<Txn>(&bytes).is_err());
        let deep = synod_base::encode_to_vec(&nested(5_000));
        assert!(synod_base::decode_all::<Txn>(&deep).is_err());
    }

    fn assert_golden_round_trip(txn: &Txn) {
        let bytes = synod_base::encode_to_vec(txn);
        assert_eq!(&synod_base::decode_all::<Txn>(&bytes).expect("decodes"), txn);
    }
}
