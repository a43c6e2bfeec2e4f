//! Random requests over few keys, so that they meet.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use synod_base::{ClientId, KeyspaceId, LeaseId, Revision, Time};
use synod_keyspace::{
    Attach, Check, Command, Compare, DeleteRange, Expiry, KeyRange, LeaseChange, OnExpiry, Op,
    Ordering, Origin, Put, RangeRequest, Request, Suffix, Txn, ValueChange,
};

/// Prefixes of each other, neighbours, the last byte, and (rarely) none.
const KEYS: [&[u8]; 9] = [b"a", b"a/", b"a/0", b"a/1", b"b", b"b\0", b"c", b"\xff", b"\xff\xff"];

pub(crate) fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![60 => select(&KEYS[..]).prop_map(<[u8]>::to_vec), 1 => Just(Vec::new())]
}

fn keyspace() -> impl Strategy<Value = KeyspaceId> {
    prop_oneof![20 => Just(1_u32), 10 => Just(2), 1 => Just(3)].prop_map(KeyspaceId::new)
}

pub(crate) fn key_range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        key().prop_map(KeyRange::key),
        key().prop_map(|key| KeyRange::From(key.into())),
        (key(), key()).prop_map(|(start, end)| KeyRange::Span(start.into(), end.into())),
        key().prop_map(KeyRange::prefix),
        Just(KeyRange::all()),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

fn lease() -> impl Strategy<Value = LeaseId> {
    (1_u64..5).prop_map(LeaseId::new)
}

/// A revision near those that short runs reach.
fn revision() -> impl Strategy<Value = Revision> {
    (0_u64..60).prop_map(Revision::new)
}

fn ordering() -> impl Strategy<Value = Ordering> {
    select(&[Ordering::Equal, Ordering::Greater, Ordering::Less, Ordering::NotEqual][..])
}

fn check() -> impl Strategy<Value = Check> {
    prop_oneof![
        Just(Check::Absent),
        (ordering(), revision()).prop_map(|(o, n)| Check::CreateRevision(o, n)),
        (ordering(), 0_u64..5).prop_map(|(o, n)| Check::Lease(o, n)),
        (ordering(), revision()).prop_map(|(o, n)| Check::ModRevision(o, n)),
        (ordering(), value()).prop_map(|(o, v)| Check::Value(o, v.into())),
        (ordering(), 0_u64..4).prop_map(|(o, n)| Check::Version(o, n)),
    ]
}

fn compare() -> impl Strategy<Value = Compare> {
    (keyspace(), key_range(), check()).prop_map(|(keyspace, range, check)| Compare {
        keyspace,
        range,
        check,
    })
}

pub(crate) fn range_request() -> impl Strategy<Value = RangeRequest> {
    (
        keyspace(),
        key_range(),
        option::weighted(0.3, revision()),
        option::of(0_usize..4),
        any::<u8>(),
    )
        .prop_map(|(keyspace, range, revision, limit, count)| RangeRequest {
            revision,
            limit,
            count_only: count < 30,
            ..RangeRequest::new(keyspace, range)
        })
}

fn put() -> impl Strategy<Value = Put> {
    let suffix = select(&[Suffix::Counter, Suffix::Revision][..]);
    let value = prop_oneof![
        8 => value().prop_map(|value| ValueChange::Set(value.into())),
        1 => Just(ValueChange::Keep),
    ];
    let on_expiry = select(&[OnExpiry::Delete, OnExpiry::Detach][..]);
    let attach = (lease(), on_expiry).prop_map(|(lease, on_expiry)| Attach { lease, on_expiry });
    let lease = prop_oneof![
        8 => Just(LeaseChange::Clear),
        1 => Just(LeaseChange::Keep),
        3 => attach.prop_map(LeaseChange::Set),
    ];
    (keyspace(), key(), option::weighted(0.15, suffix), value, lease, any::<bool>()).prop_map(
        |(keyspace, key, suffix, value, lease, return_prev)| Put {
            keyspace,
            key: key.into(),
            suffix,
            value,
            lease,
            return_prev,
        },
    )
}

fn delete() -> impl Strategy<Value = DeleteRange> {
    (keyspace(), key_range(), any::<bool>())
        .prop_map(|(keyspace, range, return_prev)| DeleteRange { keyspace, range, return_prev })
}

fn txn() -> impl Strategy<Value = Txn> {
    let op = prop_oneof![
        6 => put().prop_map(Op::Put),
        2 => delete().prop_map(Op::Delete),
        2 => range_request().prop_map(Op::Range),
    ];
    let flat = (vec(compare(), 0..3), vec(op.clone(), 0..3), vec(op, 0..3))
        .prop_map(|(compares, then, otherwise)| Txn { compares, then, otherwise });
    flat.prop_recursive(2, 12, 3, |inner| {
        let op = prop_oneof![
            3 => put().prop_map(Op::Put),
            1 => delete().prop_map(Op::Delete),
            1 => range_request().prop_map(Op::Range),
            3 => inner.prop_map(Op::Txn),
        ];
        (vec(compare(), 0..2), vec(op.clone(), 0..3), vec(op, 0..2))
            .prop_map(|(compares, then, otherwise)| Txn { compares, then, otherwise })
    })
}

pub(crate) fn command() -> impl Strategy<Value = Command> {
    let one_put = put().prop_map(|put| Command::Txn(Txn::new(vec![Op::Put(put)])));
    let expiry = (lease(), 1_u64..12).prop_map(|(lease, generation)| Expiry { lease, generation });
    prop_oneof![
        20 => one_put,
        20 => txn().prop_map(Command::Txn),
        1 => Just(Command::Noop),
        3 => (keyspace(), revision())
            .prop_map(|(keyspace, revision)| Command::Compact { keyspace, revision }),
        5 => lease().prop_map(|id| Command::LeaseGrant { id, ttl: Duration::from_secs(9) }),
        1 => lease().prop_map(|id| Command::LeaseRevoke { id }),
        2 => vec(expiry, 0..12).prop_map(|expired| Command::LeaseExpire { expired }),
    ]
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    (any::<u64>(), any::<u64>(), option::of(value()), 0_u64..1 << 40, command()).prop_map(
        |(client, sequence, signature, time, command)| Request {
            origin: Origin {
                client: ClientId::new(client),
                sequence,
                signature: signature.map(Into::into),
            },
            time: Time::from_nanos(time),
            command,
        },
    )
}
