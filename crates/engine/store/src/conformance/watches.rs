//! Watches: ordered, complete, whole revisions, or an error; never a silent skip.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use synod_keyspace::Error as Refusal;
use tokio::task::JoinSet;

use super::subject::{Subject, after, delete, line, put, refusal, text};
use crate::{Error, EventKind, KeyRange, Revision, SYNOD, WatchRequest};

pub(super) async fn a_watch_from_now_sees_only_what_follows(subject: Subject) {
    let before = subject.put("old", "1").await;
    let mut events = subject.watch(KeyRange::all(), None).await;
    assert_eq!(events.start(), after(before, 1));
    let at = subject.put("new", "2").await;
    assert_eq!(events.take(1).await, [format!("{at} new=2")]);
}

pub(super) async fn a_watch_from_an_old_revision_replays_history_then_follows(subject: Subject) {
    let first = subject.put("a", "1").await;
    let mut expected = vec![format!("{first} a=1")];
    expected.push(format!("{} b=2", subject.put("b", "2").await));
    expected.push(format!("{} a=3", subject.put("a", "3").await));
    expected.push(format!("{} a deleted", subject.delete("a").await));
    let mut whole = subject.watch(KeyRange::all(), Some(first)).await;
    assert_eq!(whole.start(), first);
    let mut middle = subject.watch(KeyRange::all(), Some(after(first, 1))).await;
    expected.push(format!("{} c=4", subject.put("c", "4").await));
    expected.push(format!("{} b deleted", subject.delete("b").await));
    assert_eq!(whole.take(expected.len()).await, expected);
    assert_eq!(middle.take(expected.len() - 1).await, expected[1..]);
}

pub(super) async fn a_watch_from_a_future_revision_sees_nothing_before_it(subject: Subject) {
    let newest = subject.put("key", "0").await;
    let from = after(newest, 3);
    let mut events = subject.watch(KeyRange::all(), Some(from)).await;
    assert_eq!(events.start(), from);
    let mut expected = Vec::new();
    for n in 1..6 {
        let at = subject.put("key", &n.to_string()).await;
        if at >= from {
            expected.push(format!("{at} key={n}"));
        }
    }
    assert_eq!(events.take(expected.len()).await, expected);
}

pub(super) async fn a_watch_of_a_range_sees_only_its_keys(subject: Subject) {
    let first = subject.put("x", "0").await;
    let mut one = subject.watch(KeyRange::key("a/1"), Some(first)).await;
    let mut prefix = subject.watch(KeyRange::prefix("a/"), Some(first)).await;
    let mut expected = Vec::new();
    for key in ["a", "a/1", "b", "a/2", "a0", "a/1"] {
        expected.push((key, format!("{} {key}=v", subject.put(key, "v").await)));
    }
    let at = subject.write(vec![delete(KeyRange::all())]).await;
    expected.extend(["a/1", "a/2"].map(|key| (key, format!("{at} {key} deleted"))));
    let of = |wanted: fn(&str) -> bool| -> Vec<_> {
        let lines = expected.iter().filter(|(key, _)| wanted(key));
        lines.map(|(_, line)| line.clone()).collect()
    };
    let (ones, prefixed) = (of(|key| key == "a/1"), of(|key| key.starts_with("a/")));
    assert_eq!(one.take(ones.len()).await, ones);
    assert_eq!(prefix.take(prefixed.len()).await, prefixed);
}

pub(super) async fn events_carry_the_version_before(subject: Subject) {
    let mut events = subject.watch(KeyRange::key("key"), None).await;
    let created = subject.put("key", "1").await;
    let changed = subject.put("key", "2").await;
    let deleted = subject.delete("key").await;
    let event = events.next().await;
    assert_eq!((event.kind(), event.prev.as_ref()), (EventKind::Put, None));
    assert_eq!(event.kv.create_revision, created);
    let index = event.index;
    let event = events.next().await;
    let prev = event.prev.as_ref().expect("there was a version before");
    assert_eq!((text(&prev.value).as_str(), prev.mod_revision), ("1", created));
    assert_eq!((event.kv.version, event.kv.mod_revision), (2, changed));
    assert!(event.index > index, "the index of entries increases");
    let event = events.next().await;
    let prev = event.prev.as_ref().expect("there was a version before");
    assert_eq!((event.kind(), text(&prev.value).as_str()), (EventKind::Delete, "2"));
    assert_eq!((event.kv.mod_revision, event.kv.version), (deleted, 0));
}

pub(super) async fn a_revision_is_never_split(subject: Subject) {
    const KEYS: usize = 100;
    let first = subject.revision().await;
    let mut live = subject.watch(KeyRange::all(), None).await;
    let mut written = Vec::new();
    for n in 0..10 {
        let ops = (0..KEYS).map(|key| put(&format!("key-{key:03}"), &n.to_string())).collect();
        written.push(subject.write(ops).await);
    }
    let mut replay = subject.watch(KeyRange::all(), Some(first)).await;
    for events in [&mut live, &mut replay] {
        let mut seen = Vec::new();
        while seen.len() < written.len() {
            let batch = events.batch().await;
            for revision in batch.chunk_by(|a, b| a.kv.mod_revision == b.kv.mod_revision) {
                assert_eq!(revision.len(), KEYS, "all events of a revision come together");
                seen.push(revision[0].kv.mod_revision);
            }
        }
        assert_eq!(seen, written);
    }
}

pub(super) async fn watches_are_complete_and_ordered_under_concurrent_writers(subject: Subject) {
    const WRITERS: usize = 4;
    const PUTS: usize = 100;
    let first = after(subject.revision().await, 1);
    let mut early = subject.watch(KeyRange::all(), None).await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let subject = subject.clone();
        writers.spawn(async move {
            let mut acknowledged = Vec::new();
            for n in 0..PUTS {
                let key = format!("key-{}", (writer + n) % 3);
                let value = format!("{writer}.{n}");
                let at = subject.put(&key, &value).await;
                acknowledged.push((at, format!("{at} {key}={value}")));
            }
            acknowledged
        });
    }
    // Registered somewhere in the middle of the writes, whose beginning it must replay.
    let mut middle = subject.watch(KeyRange::all(), Some(first)).await;
    let mut acknowledged = Vec::new();
    while let Some(writer) = writers.join_next().await {
        acknowledged.extend(writer.expect("a writer does not panic"));
    }
    acknowledged.sort();
    assert!(acknowledged.is_sorted_by(|(a, _), (b, _)| a < b), "one revision per transaction");
    let expected: Vec<_> = acknowledged.into_iter().map(|(_, line)| line).collect();
    let mut late = subject.watch(KeyRange::all(), Some(first)).await;
    for events in [&mut early, &mut middle, &mut late] {
        assert_eq!(events.take(expected.len()).await, expected);
    }
}

pub(super) async fn a_compacted_start_is_refused_with_the_compaction_revision(subject: Subject) {
    let first = subject.put("key", "1").await;
    let second = subject.put("key", "2").await;
    let third = subject.put("key", "3").await;
    subject.store.compact(SYNOD, second).await.expect("the revision is there");
    let watch = WatchRequest { keyspace: SYNOD, range: KeyRange::all(), from: Some(first) };
    // A body may notice at once or with the first batch; it may not stay silent.
    let refused = match subject.store.watch(watch).await {
        Ok(mut watch) => refusal(watch.next().await),
        Err(error) => refusal::<()>(Err(error)),
    };
    assert_eq!(refused, Refusal::Compacted { requested: first, compacted: second });
    let mut events = subject.watch(KeyRange::all(), Some(third)).await;
    assert_eq!(events.take(1).await, [format!("{third} key=3")]);
    let empty = WatchRequest { keyspace: SYNOD, range: KeyRange::key(""), from: None };
    assert_eq!(refusal(subject.store.watch(empty).await.map(|_| ())), Refusal::EmptyKey);
}

pub(super) async fn a_compaction_never_makes_a_watch_skip_silently(subject: Subject) {
    const PUTS: usize = 2000;
    const WRITERS: usize = 4;
    let first = after(subject.revision().await, 1);
    // Never read while the writes go on, so that a body with a short buffer is overtaken.
    let mut events = subject.watch(KeyRange::all(), None).await;
    let next = Arc::new(AtomicUsize::new(0));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (subject, next) = (subject.clone(), next.clone());
        writers.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < PUTS {
                subject.put("key", "value").await;
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.expect("a writer does not panic");
    }
    let last = subject.revision().await;
    subject.store.compact(SYNOD, last).await.expect("the revision is there");
    let mut seen = Revision::new(first.get() - 1);
    let mut count = 0;
    let ended = loop {
        match events.try_next().await {
            Ok(event) => {
                assert!(event.kv.mod_revision > seen, "out of order: {}", line(&event));
                assert_eq!(event.kv.version, count + 1, "skipped up to {}", line(&event));
                (seen, count) = (event.kv.mod_revision, count + 1);
                if seen == last {
                    break None;
                }
            }
            Err(error) => break Some(error),
        }
    };
    match ended {
        None => assert_eq!(count as usize, PUTS),
        Some(Error::Refused(Refusal::Compacted { compacted, .. })) => assert_eq!(compacted, last),
        Some(other) => panic!("expected Compacted, got {other:?}"),
    }
}
