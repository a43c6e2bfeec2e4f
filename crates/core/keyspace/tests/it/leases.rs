//! Leases, one claim at a time.

use std::time::Duration;

use synod_base::{LeaseId, Revision};
use synod_keyspace::{
    Command, Error, Expiry, KeyRange, LeaseChange, OnExpiry, Op, Outcome, Put, RangeRequest, Txn,
};

use crate::group::{Group, SYNOD, leased};

#[test]
fn leases_are_granted_within_bounds_and_with_made_up_ids() {
    let mut group = Group::new();
    let grant = |id: u64, ttl: Duration| Command::LeaseGrant { id: LeaseId::new(id), ttl };
    let five = Duration::from_secs(5);
    for ttl in [Duration::ZERO, Duration::from_millis(999), Duration::from_secs(9_000_000_001)] {
        assert_eq!(group.apply(grant(1, ttl)), Err(Error::LeaseTtlOutOfRange));
    }
    group.apply(grant(1, five)).expect("granted");
    assert_eq!(group.apply(grant(1, five)), Err(Error::LeaseExists(LeaseId::new(1))));
    group.apply(grant(0, five)).expect("granted");
    group.apply(grant(0, five)).expect("granted");
    let ids: Vec<_> = group.state.leases().map(|lease| lease.id.get()).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| (1..1 << 63).contains(id)));
}

#[test]
fn a_lease_ends_by_deleting_or_detaching_its_keys() {
    let mut group = Group::new();
    let generation = group.lease(7);
    let ops = vec![leased("gone", 7, OnExpiry::Delete), leased("stays", 7, OnExpiry::Detach)];
    group.txn(Txn::new(ops)).expect("accepted");
    let attached = group.state.lease_keys(LeaseId::new(7)).expect("known");
    let attached: Vec<_> =
        attached.iter().map(|at| (at.key.to_text_lossy(), at.on_expiry)).collect();
    let wanted = [("gone".into(), OnExpiry::Delete), ("stays".into(), OnExpiry::Detach)];
    assert_eq!(attached, wanted);

    // E14: an expiry seen of an earlier grant ends nothing.
    let stale = Expiry { lease: LeaseId::new(7), generation: generation - 1 };
    let missing = Expiry { lease: LeaseId::new(8), generation };
    let applied = group.apply(Command::LeaseExpire { expired: vec![stale, missing] });
    let applied = applied.expect("accepted");
    assert_eq!(applied.outcome, Outcome::LeaseExpired(vec![]));
    assert_eq!(applied.changed, []);

    let due = Expiry { lease: LeaseId::new(7), generation };
    let applied = group.apply(Command::LeaseExpire { expired: vec![due] }).expect("accepted");
    assert_eq!(applied.outcome, Outcome::LeaseExpired(vec![LeaseId::new(7)]));
    assert_eq!(applied.changed, [(SYNOD, Revision::new(3))]);
    assert_eq!(group.watch(3).expect("readable"), ["3-gone=<v", "3+stays=v<v"]);
    assert_eq!(group.state.lease(LeaseId::new(7)), None);
    let request = RangeRequest::new(SYNOD, KeyRange::key("stays"));
    assert_eq!(group.state.range(&request).expect("readable").kvs[0].lease, None);
}

#[test]
fn writing_a_key_moves_its_lease() {
    let mut group = Group::new();
    group.lease(1);
    group.lease(2);
    let keys = |group: &Group, lease: u64| {
        group.state.lease_keys(LeaseId::new(lease)).expect("known").len()
    };
    group.txn(Txn::new(vec![leased("k", 1, OnExpiry::Delete)])).expect("accepted");
    group.txn(Txn::new(vec![leased("k", 2, OnExpiry::Delete)])).expect("accepted");
    assert_eq!((keys(&group, 1), keys(&group, 2)), (0, 1));
    let mut keep = Put::new(SYNOD, "k", "w");
    keep.lease = LeaseChange::Keep;
    group.txn(Txn::new(vec![Op::Put(keep)])).expect("accepted");
    assert_eq!(keys(&group, 2), 1);
    group.apply(Command::LeaseRevoke { id: LeaseId::new(1) }).expect("revoked");
    assert_eq!(group.value("k").as_deref(), Some("w"), "it hangs on another lease now");
    group.put("k", "x");
    assert_eq!(keys(&group, 2), 0);
    group.txn(Txn::new(vec![leased("k", 2, OnExpiry::Delete)])).expect("accepted");
    group.delete(KeyRange::key("k"));
    assert_eq!(keys(&group, 2), 0);
    let missing = LeaseId::new(9);
    let error = group.apply(Command::LeaseRevoke { id: missing });
    assert_eq!(error, Err(Error::LeaseNotFound(missing)));
}
