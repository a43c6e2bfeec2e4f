//! The store of a member in this process, on a real disk.
//!
//! Not a harness of short samples: each figure is one long run over real files, and the second part
//! builds the state that the third needs. `cargo bench -p synod-member`; `SYNOD_BENCH_DIR` names
//! the directory to use, by default the system's temporary one, which must not be in memory.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use synod_member::{Member, MemberStore, Options};
use synod_store::{Consistency, KeyRange, Op, Put, RangeRequest, SYNOD, Store, Txn};

const IN_FLIGHT: usize = 64;
const PUTS: usize = 200_000;
/// Puts per round while the snapshot's end is looked out for, and in what it is compared with.
const ROUND: usize = 10_000;
const KEYS: usize = 1_000_000;
const VALUE_LEN: usize = 256;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|role| role == "restart") {
        let directory = args.next().expect("the directory to open");
        return runtime.block_on(restart(Path::new(&directory)));
    }
    let parent = std::env::var_os("SYNOD_BENCH_DIR").unwrap_or(std::env::temp_dir().into());
    let directory = tempfile::tempdir_in(parent).expect("a directory");
    runtime.block_on(async {
        durable_puts(&directory.path().join("puts")).await;
        large_state(&directory.path().join("large")).await;
    });
}

async fn durable_puts(directory: &Path) {
    let member = Member::open(Options::new(directory)).expect("an empty directory");
    let cpu = cpu_seconds();
    let (elapsed, mut latencies) = put_keys(&member.store(), 0..PUTS, KEYS).await;
    let cpu = (cpu_seconds() - cpu) / PUTS as f64 * 1e6;
    report("put/durable/1-in-flight", &mut put_one_by_one(&member.store()).await);
    let rate = PUTS as f64 / elapsed.as_secs_f64();
    println!("put/durable/64-in-flight: {rate:.0}/s, {cpu:.1} us of CPU per put");
    report("put/durable/64-in-flight", &mut latencies);
    member.shutdown().await;
}

async fn large_state(directory: &Path) {
    let mut options = Options::new(directory);
    // The snapshot is cut when asked for, so that what it costs can be told apart.
    options.replica.snapshot_after_bytes = u64::MAX;
    let member = Member::open(options.clone()).expect("an empty directory");
    let store = member.store();
    let started = Instant::now();
    fill(&store).await;
    println!("fill/1M-keys: {:.1} s", started.elapsed().as_secs_f64());
    println!("rss/1M-keys: {} MB", resident_mb());

    let mut before = Vec::new();
    for round in 0..PUTS / ROUND {
        before.append(&mut put_keys(&store, round * ROUND..(round + 1) * ROUND, KEYS).await.1);
    }
    report("put/64-in-flight/before-snapshot", &mut before);
    let snapshot = {
        let store = store.clone();
        tokio::spawn(async move {
            let started = Instant::now();
            store.snapshot().await.expect("a snapshot");
            started.elapsed()
        })
    };
    let mut during = Vec::new();
    let mut round = 0;
    while !snapshot.is_finished() {
        let from = round * ROUND % KEYS;
        during.append(&mut put_keys(&store, from..from + ROUND, KEYS).await.1);
        round += 1;
    }
    let took = snapshot.await.expect("it ran");
    println!("snapshot/1M-keys: {:.1} s, {} puts meanwhile", took.as_secs_f64(), during.len());
    report("put/64-in-flight/during-snapshot", &mut during);
    println!("rss/after-snapshot: {} MB", resident_mb());
    drop(store);
    member.shutdown().await;

    for file in fs::read_dir(directory).expect("it is there").flatten() {
        let len = file.metadata().map_or(0, |metadata| metadata.len());
        if len > 1 << 20 {
            println!("  {} {} MB", file.file_name().display(), len >> 20);
        }
    }
    // In a process of its own, so that its memory is what a restarted member needs.
    let program = std::env::current_exe().expect("this program has a path");
    let child = std::process::Command::new(program).arg("restart").arg(directory).status();
    assert!(child.expect("this program can be started again").success());
}

async fn restart(directory: &Path) {
    let started = Instant::now();
    let member = Member::open(Options::new(directory)).expect("intact");
    let all = RangeRequest { count_only: true, ..RangeRequest::new(SYNOD, KeyRange::all()) };
    let found = member.store().range(all, Consistency::Linearizable).await.expect("readable");
    println!(
        "restart/1M-keys: {:.2} s until the first read, {:.2} s of CPU ({} keys, {} entries replayed)",
        started.elapsed().as_secs_f64(),
        cpu_seconds(),
        found.count,
        member.recovery_report().replayed
    );
    println!("rss/after-restart: {} MB (peak {} MB)", resident_mb(), peak_mb());
    member.shutdown().await;
}

/// A million keys of 24 bytes, a hundred to a transaction.
async fn fill(store: &MemberStore) {
    let writers = (0..IN_FLIGHT).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for batch in (writer..KEYS / 100).step_by(IN_FLIGHT) {
                let puts = (batch * 100..batch * 100 + 100).map(|n| Op::Put(put(n))).collect();
                store.txn(Txn::new(puts)).await.expect("filled");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("it ran");
    }
}

async fn put_keys(
    store: &MemberStore,
    range: std::ops::Range<usize>,
    keys: usize,
) -> (Duration, Vec<Duration>) {
    let started = Instant::now();
    let writers = (0..IN_FLIGHT).map(|writer| {
        let (store, range) = (store.clone(), range.clone());
        tokio::spawn(async move {
            let mut latencies = Vec::with_capacity(range.len() / IN_FLIGHT + 1);
            for n in range.skip(writer).step_by(IN_FLIGHT) {
                // Scattered over the keys by a multiplier that is prime to their number.
                let txn = Txn::new(vec![Op::Put(put(n * 7919 % keys))]);
                let started = Instant::now();
                store.txn(txn).await.expect("put");
                latencies.push(started.elapsed());
            }
            latencies
        })
    });
    let mut latencies = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        latencies.append(&mut writer.await.expect("it ran"));
    }
    (started.elapsed(), latencies)
}

async fn put_one_by_one(store: &MemberStore) -> Vec<Duration> {
    let mut latencies = Vec::new();
    for n in 0..5000 {
        let started = Instant::now();
        store.txn(Txn::new(vec![Op::Put(put(n))])).await.expect("put");
        latencies.push(started.elapsed());
    }
    latencies
}

fn put(n: usize) -> Put {
    Put::new(SYNOD, format!("key-{n:020}"), vec![b'v'; VALUE_LEN])
}

fn report(name: &str, latencies: &mut [Duration]) {
    latencies.sort_unstable();
    let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize].as_micros();
    println!("{name}: p50 {} us, p99 {} us, p99.9 {} us", at(0.5), at(0.99), at(0.999));
}

fn resident_mb() -> u64 {
    status_mb("VmRSS:")
}

fn peak_mb() -> u64 {
    status_mb("VmHWM:")
}

/// CPU time of this process so far, which tells more than the clock on a machine that is busy with
/// other things; zero where the system does not tell.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // User and system time are the fields 14 and 15, in hundredths of a second; the second field
    // is the name in brackets.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// A figure of this process in MB; zero where the system does not tell.
fn status_mb(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    kilobytes / 1024
}
