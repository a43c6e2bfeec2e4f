//! Real processes, killed or starved of space: whatever they acknowledged must be there.
//!
//! The test starts itself again as the process to be killed. A child prints a line for each
//! acknowledged write, so what its parent has read before the end of the pipe was acknowledged.
//!
//! `SYNOD_KILL_ROUNDS` sets how many processes are killed, for longer runs.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use synod_member::{Member, MemberStore, Options};
use synod_store::{Consistency, Error, KeyRange, Op, Put, RangeRequest, SYNOD, Store, Txn};

const ROUNDS: u64 = 24;
/// Concurrent writers of a child: enough that batches hold several writes.
const WRITERS: u64 = 8;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "child-writer", directory, round] => write_until_killed(directory, round),
        [_, "child-starved", directory, limit] => {
            write_until_full(directory, limit.parse().expect("a number of bytes"));
        }
        // Whatever else is asked of a test binary: there is nothing to list or filter.
        _ => {
            every_acknowledged_write_survives_sigkill();
            println!("test every_acknowledged_write_survives_sigkill ... ok");
            a_full_disk_stops_the_member_and_loses_nothing();
            println!("test a_full_disk_stops_the_member_and_loses_nothing ... ok");
        }
    }
}

fn every_acknowledged_write_survives_sigkill() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut random = u64::from_le_bytes(synod_sys::random::bytes().expect("randomness"));
    println!("seed {random}");
    let mut acknowledged = BTreeMap::new();
    let mut snapshots = 0;
    let rounds = std::env::var("SYNOD_KILL_ROUNDS")
        .map_or(ROUNDS, |rounds| rounds.parse().expect("SYNOD_KILL_ROUNDS is a number"));
    for round in 0..rounds {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Every fourth is killed while it opens.
        let lines = if round % 4 == 0 { 0 } else { (random >> 33) % 1500 };
        let mut child = start("child-writer", directory.path(), &round.to_string());
        let mut output = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        for _ in 0..lines {
            note(&mut acknowledged, &output.next().expect("it writes on").expect("text"));
        }
        child.kill().expect("it runs until it is killed");
        child.wait().expect("it was started here");
        // A line that the kill cut short was printed after its acknowledgement all the same, but
        // it can't be read.
        for line in output {
            note(&mut acknowledged, &line.expect("text"));
        }
        snapshots += u64::from(check(directory.path(), &acknowledged).get() > 0);
    }
    let writes = acknowledged.len() as u64;
    assert!(writes > 100 * rounds, "{writes} writes in {rounds} rounds");
    assert!(snapshots > rounds / 8, "{snapshots} rounds started from a snapshot");
    println!("{writes} writes were acknowledged, {rounds} processes killed");
}

fn a_full_disk_stops_the_member_and_loses_nothing() {
    // Below a segment's size: the segment in use can't be written to its end. Above it: segments
    // can be made and the snapshot can't be written.
    for limit in [40 << 10, 65 << 10] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut child = start("child-starved", directory.path(), &limit.to_string());
        let mut acknowledged = BTreeMap::new();
        let mut reason = None;
        for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
            let line = line.expect("text");
            match line.strip_prefix("stopped ") {
                Some(text) => reason = Some(text.to_owned()),
                None => note(&mut acknowledged, &line),
            }
        }
        assert!(child.wait().expect("it was started here").success());
        let reason = reason.expect("it said why it stopped");
        let named = ["wal-", "snapshot-"].iter().any(|name| reason.contains(name));
        assert!(named && reason.contains("File too large"), "{reason}");
        assert!(acknowledged.len() > 20, "{} writes before: {reason}", acknowledged.len());
        check(directory.path(), &acknowledged);
    }
}

fn start(role: &str, directory: &Path, argument: &str) -> Child {
    let program = std::env::current_exe().expect("this program has a path");
    Command::new(program)
        .args([role, directory.to_str().expect("a plain path"), argument])
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be started again")
}

/// Notes an acknowledgement: key and revision. A line cut short by the kill is none.
fn note(acknowledged: &mut BTreeMap<String, u64>, line: &str) {
    if let Some((key, revision)) = line.strip_suffix('.').and_then(|line| line.split_once(' ')) {
        acknowledged.insert(key.to_owned(), revision.parse().expect("a revision"));
    }
}

/// Opens the directory and looks for every acknowledged write. Answers the snapshot it started
/// from.
fn check(directory: &Path, acknowledged: &BTreeMap<String, u64>) -> synod_store::LogIndex {
    let member = Member::open(options(directory)).expect("a killed process damages nothing");
    runtime().block_on(async {
        let all = RangeRequest::new(SYNOD, KeyRange::all());
        let found = member.store().range(all, Consistency::Linearizable).await.expect("readable");
        let found: BTreeMap<String, u64> =
            found.kvs.iter().map(|kv| (kv.key.to_text_lossy(), kv.mod_revision.get())).collect();
        for (key, revision) in acknowledged {
            assert_eq!(found.get(key), Some(revision), "{key} was acknowledged at {revision}");
        }
    });
    member.recovery_report().snapshot
}

fn options(directory: &Path) -> Options {
    let mut options = Options::new(directory.join("data"));
    options.replica.segment_bytes = 64 << 10;
    options.replica.snapshot_after_bytes = 100 << 10;
    options.replica.snapshot_chunk_bytes = 8 << 10;
    options
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn write_until_killed(directory: &str, round: &str) {
    let member = Member::open(options(Path::new(directory))).expect("the last one was killed");
    runtime().block_on(async {
        let writers = (0..WRITERS).map(|writer| {
            let (store, round) = (member.store(), round.to_owned());
            tokio::spawn(async move {
                for n in 0_u64.. {
                    write(&store, &format!("{round}-{writer}-{n}")).await.expect("written");
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.expect("it writes until it is killed");
        }
    });
}

fn write_until_full(directory: &str, limit: u64) {
    synod_sys::signal::ignore_write_signals();
    let member = Member::open(options(Path::new(directory))).expect("there is space at first");
    runtime().block_on(async {
        let store = member.store();
        // With the first write the first segment is there.
        write(&store, "first").await.expect("there is space at first");
        synod_sys::limit::limit_file_size(Some(limit)).expect("lowering is allowed");
        let mut n = 0;
        let first = loop {
            match write(&store, &format!("key-{n}")).await {
                Ok(()) => n += 1,
                Err(error) => break error,
            }
        };
        let in_doubt = matches!(first, Error::Unknown { .. } | Error::Stopped { .. });
        assert!(in_doubt, "the disk was full: {first}");
        let Err(Error::Stopped { reason }) = write(&store, "later").await else {
            panic!("a stopped member takes no writes")
        };
        assert_eq!(member.stopped().await, reason);
        println!("stopped {reason}");
    });
}

async fn write(store: &MemberStore, key: &str) -> Result<(), Error> {
    let put = Put::new(SYNOD, key, "x".repeat(150));
    let response = store.txn(Txn::new(vec![Op::Put(put)])).await?;
    let mut out = std::io::stdout().lock();
    let line = format!("{key} {}.\n", response.changed[0].1);
    // A parent that is gone reads no more; the kill is on its way.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    Ok(())
}
