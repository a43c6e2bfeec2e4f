//! How fast entries apply, ranges are read, and snapshots are cut and restored.

use divan::Bencher;
use synod_base::{KeyspaceId, LogIndex, Time};
use synod_keyspace::{
    Check, Command, Compare, Config, Held, KeyRange, Keyspaces, Op, Ordering, Origin, Put,
    RangeRequest, Request, Restore, Txn,
};

const SYNOD: KeyspaceId = KeyspaceId::new(1);
const VALUE: [u8; 256] = [b'v'; 256];

fn main() {
    divan::main();
}

fn key(n: u64) -> String {
    format!("/registry/pods/{n:09}")
}

/// Adjacent numbers far apart, so that inserts go all over the tree.
fn scattered(n: u64, of: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % of
}

fn request(command: Command) -> Request {
    Request { origin: Origin::default(), time: Time::from_nanos(1), command }
}

fn put(key: &str) -> Request {
    request(Command::Txn(Txn::new(vec![Op::Put(Put::new(SYNOD, key, VALUE.as_slice()))])))
}

struct Bench {
    state: Keyspaces,
    index: u64,
}

impl Bench {
    fn with_keys(keys: u64) -> Self {
        let mut new = Self { state: Keyspaces::new(Config::default()), index: 0 };
        for n in 0..keys {
            new.apply(&put(&key(n)));
        }
        new
    }

    fn apply(&mut self, request: &Request) {
        self.index += 1;
        self.state.apply(LogIndex::new(self.index), request).expect("no limit is reached");
    }
}

#[divan::bench(args = [10_000, 1_000_000], sample_count = 5, sample_size = 1)]
fn put_new(bencher: Bencher<'_, '_>, keys: u64) {
    let requests: Vec<Request> = (0..keys).map(|n| put(&key(scattered(n, 1 << 40)))).collect();
    bencher
        .counter(divan::counter::ItemsCount::new(keys))
        .with_inputs(|| Bench::with_keys(0))
        .bench_local_refs(|bench| requests.iter().for_each(|request| bench.apply(request)));
}

#[divan::bench(args = [10_000, 1_000_000], sample_count = 10, sample_size = 1)]
fn put_over(bencher: Bencher<'_, '_>, keys: u64) {
    let requests: Vec<Request> = (0..100_000).map(|n| put(&key(scattered(n, keys)))).collect();
    let mut bench = Bench::with_keys(keys);
    bencher
        .counter(divan::counter::ItemsCount::new(requests.len()))
        .bench_local(|| requests.iter().for_each(|request| bench.apply(request)));
}

#[divan::bench(args = [10_000, 1_000_000], sample_count = 10, sample_size = 1)]
fn txn_compare_and_put(bencher: Bencher<'_, '_>, keys: u64) {
    let txn = |n: u64| {
        let key = key(scattered(n, keys));
        let check = Check::Version(Ordering::Greater, 0);
        let range = KeyRange::key(key.as_str());
        let put = Op::Put(Put::new(SYNOD, key, VALUE.as_slice()));
        let read = Op::Range(RangeRequest::new(SYNOD, range.clone()));
        let txn = Txn::new(vec![put, read]).when(Compare { keyspace: SYNOD, range, check });
        request(Command::Txn(txn))
    };
    let requests: Vec<Request> = (0..100_000).map(txn).collect();
    let mut bench = Bench::with_keys(keys);
    bencher
        .counter(divan::counter::ItemsCount::new(requests.len()))
        .bench_local(|| requests.iter().for_each(|request| bench.apply(request)));
}

#[divan::bench(args = [1, 100, 10_000])]
fn range(bencher: Bencher<'_, '_>, wanted: u64) {
    let bench = Bench::with_keys(100_000);
    let span = KeyRange::Span(key(50_000).into(), key(50_000 + wanted).into());
    let request = RangeRequest::new(SYNOD, span);
    bencher.bench_local(|| bench.state.range(&request).expect("readable"));
}

#[divan::bench(args = [10_000, 1_000_000], sample_count = 3, sample_size = 1)]
fn snapshot(bencher: Bencher<'_, '_>, keys: u64) {
    let mut bench = Bench::with_keys(keys);
    bencher.bench_local(|| {
        let mut cursor = bench.state.begin_snapshot();
        let mut bytes = 0;
        while let Some(chunk) = bench.state.next_chunk(&mut cursor, 1 << 16).expect("pinned") {
            bytes += chunk.len();
        }
        bench.state.end_snapshot(&cursor);
        bytes
    });
}

#[divan::bench(args = [10_000, 1_000_000], sample_count = 3, sample_size = 1)]
fn restore(bencher: Bencher<'_, '_>, keys: u64) {
    let mut bench = Bench::with_keys(keys);
    let mut cursor = bench.state.begin_snapshot();
    let mut chunks = Vec::new();
    while let Some(chunk) = bench.state.next_chunk(&mut cursor, 1 << 20).expect("pinned") {
        chunks.push(chunk);
    }
    drop(bench);
    bencher.bench_local(|| {
        let mut restore = Restore::new(Held::default());
        chunks.iter().for_each(|chunk| restore.push(chunk).expect("whole"));
        restore.finish().expect("whole")
    });
}
