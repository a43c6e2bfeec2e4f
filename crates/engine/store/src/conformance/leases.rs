//! Leases: granted, renewed, revoked, expired, and what their end does to keys.

use std::time::Duration;

use synod_keyspace::Error as Refusal;

use super::subject::{Subject, line, refusal};
use crate::{
    Attach, EventKind, KeyRange, LeaseChange, LeaseId, LeaseStatus, OnExpiry, Op, Put, SYNOD,
};

const LONG: Duration = Duration::from_secs(600);
/// The shortest time to live there is, for leases that a case waits out.
const SHORT: Duration = Duration::from_secs(1);

async fn grant(subject: &Subject, id: u64, ttl: Duration) -> LeaseId {
    let id = LeaseId::new(id);
    let status = subject.store.lease_grant(Some(id), ttl).await.expect("the id is free");
    assert_eq!((status.id, status.ttl), (id, ttl));
    id
}

fn put(key: &str, lease: LeaseId, on_expiry: OnExpiry) -> Op {
    let lease = LeaseChange::Set(Attach { lease, on_expiry });
    Op::Put(Put { lease, ..Put::new(SYNOD, key, "value") })
}

#[track_caller]
fn assert_fresh(status: LeaseStatus) {
    assert!(status.remaining <= status.ttl, "{status:?}");
    assert!(status.remaining > status.ttl - Duration::from_secs(60), "{status:?}");
}

pub(super) async fn chosen_and_made_ids_are_leases(subject: Subject) {
    let chosen = grant(&subject, 7, LONG).await;
    let one = subject.store.lease_grant(None, LONG).await.expect("granted");
    let other = subject.store.lease_grant(None, LONG).await.expect("granted");
    assert!(one.id != other.id && one.id != chosen && other.id != chosen);
    assert!(one.id != LeaseId::new(0), "zero is never a lease");
    for id in [chosen, one.id, other.id] {
        let status = subject.store.lease_status(id).await.expect("was granted");
        assert_eq!((status.id, status.ttl), (id, LONG));
        assert_fresh(status);
    }
}

pub(super) async fn a_taken_or_missing_lease_is_refused(subject: Subject) {
    let taken = grant(&subject, 7, LONG).await;
    let again = subject.store.lease_grant(Some(taken), LONG).await;
    assert_eq!(refusal(again), Refusal::LeaseExists(taken));
    let missing = LeaseId::new(8);
    let expected = Refusal::LeaseNotFound(missing);
    assert_eq!(refusal(subject.store.lease_keep_alive(missing).await), expected);
    assert_eq!(refusal(subject.store.lease_revoke(missing).await), expected);
    assert_eq!(refusal(subject.store.lease_status(missing).await), expected);
    subject.store.lease_revoke(taken).await.expect("was granted");
    assert_eq!(grant(&subject, 7, LONG).await, taken, "a revoked id is free again");
}

pub(super) async fn times_to_live_out_of_range_are_refused(subject: Subject) {
    let second = Duration::from_secs(1);
    for ttl in
        [Duration::ZERO, second - Duration::from_nanos(1), second * 9_000_000 * 1000 + second]
    {
        let refused = subject.store.lease_grant(None, ttl).await;
        assert_eq!(refusal(refused), Refusal::LeaseTtlOutOfRange, "{ttl:?}");
    }
}

pub(super) async fn keep_alive_restores_the_full_time(subject: Subject) {
    let id = grant(&subject, 7, LONG).await;
    let before = subject.store.lease_status(id).await.expect("was granted");
    let renewed = subject.store.lease_keep_alive(id).await.expect("was granted");
    assert_eq!((renewed.id, renewed.ttl), (id, LONG));
    assert!(renewed.remaining >= before.remaining, "{before:?} then {renewed:?}");
    assert_fresh(renewed);
}

pub(super) async fn revoking_deletes_or_detaches_at_one_revision(subject: Subject) {
    let lease = grant(&subject, 7, LONG).await;
    let ops = vec![
        put("delete/1", lease, OnExpiry::Delete),
        put("delete/2", lease, OnExpiry::Delete),
        put("detach", lease, OnExpiry::Detach),
    ];
    subject.write(ops).await;
    subject.put("bystander", "value").await;
    assert_eq!(subject.get("detach").await.expect("was put").lease, Some(lease));
    let mut events = subject.watch(KeyRange::all(), None).await;
    subject.store.lease_revoke(lease).await.expect("was granted");
    let at = subject.revision().await;
    let mut seen = events.take(3).await;
    seen.sort();
    let expected = ["delete/1 deleted", "delete/2 deleted", "detach=value"];
    assert_eq!(seen, expected.map(|event| format!("{at} {event}")));
    let kept = subject.get("detach").await.expect("detached keys stay");
    assert_eq!((kept.lease, kept.mod_revision, kept.version), (None, at, 2));
    assert_eq!(subject.get("delete/1").await, None);
    assert_eq!(subject.get("bystander").await.map(|kv| kv.version), Some(1));
}

pub(super) async fn a_put_without_the_lease_detaches_the_key(subject: Subject) {
    let (old, new) = (grant(&subject, 7, LONG).await, grant(&subject, 8, LONG).await);
    for key in ["cleared", "moved", "deleted"] {
        subject.write(vec![put(key, old, OnExpiry::Delete)]).await;
    }
    subject.put("cleared", "value").await;
    subject.write(vec![put("moved", new, OnExpiry::Delete)]).await;
    subject.delete("deleted").await;
    subject.put("deleted", "made again").await;
    subject.store.lease_revoke(old).await.expect("was granted");
    for key in ["cleared", "moved", "deleted"] {
        assert!(subject.get(key).await.is_some(), "{key} no longer hangs on the lease");
    }
    subject.store.lease_revoke(new).await.expect("was granted");
    assert_eq!(subject.get("moved").await, None);
}

pub(super) async fn an_expired_lease_deletes_or_detaches_its_keys(subject: Subject) {
    let lease = grant(&subject, 7, SHORT).await;
    let ops =
        vec![put("deleted", lease, OnExpiry::Delete), put("detached", lease, OnExpiry::Detach)];
    subject.write(ops).await;
    let mut events = subject.watch(KeyRange::all(), None).await;
    let mut seen = [events.next().await, events.next().await];
    seen.sort_by_key(|event| event.kind() == EventKind::Put);
    let [deleted, detached] = seen;
    assert_eq!(deleted.kind(), EventKind::Delete, "{}", line(&deleted));
    assert_eq!((detached.kv.lease, detached.kv.mod_revision), (None, deleted.kv.mod_revision));
    assert_eq!(subject.value("detached").await.as_deref(), Some("value"));
    let gone = subject.store.lease_status(lease).await;
    assert_eq!(refusal(gone), Refusal::LeaseNotFound(lease));
    let late = subject.store.lease_keep_alive(lease).await;
    assert_eq!(refusal(late), Refusal::LeaseNotFound(lease), "a renewal does not revive");
}

pub(super) async fn a_lease_that_is_kept_alive_outlives_one_that_is_not(subject: Subject) {
    // The kept one has the longer time only so that a slow machine does not lose it between two
    // renewals; without renewals it would end long before the third lease's event below.
    let kept = grant(&subject, 7, SHORT * 2).await;
    subject.write(vec![put("kept", kept, OnExpiry::Delete)]).await;
    let mut events = subject.watch(KeyRange::all(), None).await;
    for round in 0..3 {
        let lost = grant(&subject, 10 + round, SHORT).await;
        let key = format!("lost-{round}");
        let at = subject.write(vec![put(&key, lost, OnExpiry::Delete)]).await;
        assert_eq!(events.take(1).await, [format!("{at} {key}=value")]);
        let expired = events.next();
        tokio::pin!(expired);
        let event = loop {
            tokio::select! {
                event = &mut expired => break event,
                () = tokio::time::sleep(SHORT / 10) => {
                    subject.store.lease_keep_alive(kept).await.expect("is kept alive");
                }
            }
        };
        assert_eq!(line(&event), format!("{} {key} deleted", event.kv.mod_revision));
    }
    assert!(subject.get("kept").await.is_some());
}
