//! Prints what a million keys take in memory, how long they take to restore, and how long puts
//! take while a snapshot is cut: `cargo run --release -p synod-keyspace --example memory`.

use std::time::{Duration, Instant};

use synod_base::{KeyspaceId, LogIndex, Time};
use synod_keyspace::{
    Command, Config, Held, Keyspaces, Op, Origin, Put, Request, Restore, SnapshotCursor, Txn,
};

const KEYS: u64 = 1_000_000;
const CHUNK_LEN: usize = 64 << 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fill", path] => fill(path),
        ["restore", path] => restore(path),
        _ => {
            // Each in a process of its own, so that memory freed before does not count.
            let path = std::env::temp_dir().join(format!("synod-memory-{}", std::process::id()));
            for part in ["fill", "restore"] {
                let program = std::env::current_exe().expect("this program has a path");
                let mut part = std::process::Command::new(program).arg(part).arg(&path).spawn();
                let part = part.as_mut().expect("starts").wait().expect("runs");
                assert!(part.success(), "a part failed");
            }
            std::fs::remove_file(&path).expect("the file is there");
        }
    }
}

fn fill(path: &str) {
    let (mut state, mut index) = (Keyspaces::new(Config::default()), 0);
    println!("empty: {} MB", resident_mb());
    let started = Instant::now();
    for n in 0..KEYS {
        put(&mut state, &mut index, n);
    }
    let rate = KEYS as f64 / started.elapsed().as_secs_f64();
    println!("{KEYS} puts: {rate:.0} per second, {} MB", resident_mb());
    println!("{:?}", state.stats(KeyspaceId::new(1)).expect("born with it"));
    let before = puts(&mut state, &mut index, 200_000, None);
    println!(
        "puts before the snapshot: p50 {:?}, p99 {:?}, max {:?}",
        before.0, before.1, before.2
    );
    let mut cursor = state.begin_snapshot();
    let mut file = Snapshot::new(path.as_ref());
    let during = puts(&mut state, &mut index, 200_000, Some((&mut cursor, &mut file)));
    println!(
        "puts during the snapshot: p50 {:?}, p99 {:?}, max {:?}",
        during.0, during.1, during.2
    );
    file.rest(&mut state, &mut cursor);
    println!("snapshot: {} bytes in {} chunks; {} MB", file.len, file.chunks, resident_mb());
}

fn restore(path: &str) {
    use std::io::Read;
    let started = Instant::now();
    let mut file = std::io::BufReader::new(std::fs::File::open(path).expect("readable"));
    let mut restore = Restore::new(Held::default());
    let (mut len, mut chunk) = ([0; 8], Vec::new());
    while file.read_exact(&mut len).is_ok() {
        chunk.resize(usize::try_from(u64::from_le_bytes(len)).expect("short"), 0);
        file.read_exact(&mut chunk).expect("a whole chunk");
        restore.push(&chunk).expect("a whole snapshot");
    }
    let state = restore.finish().expect("a whole snapshot");
    println!("restored in {:?}: {} MB", started.elapsed(), resident_mb());
    println!("{:?}", state.stats(KeyspaceId::new(1)).expect("born with it"));
}

/// Puts one by one, cutting a chunk after every tenth while a snapshot runs. Returns the median,
/// the 99th percentile and the longest time of a put with the chunk that came before it.
fn puts(
    state: &mut Keyspaces,
    index: &mut u64,
    count: u64,
    mut snapshot: Option<(&mut SnapshotCursor, &mut Snapshot)>,
) -> (Duration, Duration, Duration) {
    let mut times = Vec::new();
    for n in 0..count {
        if let Some((cursor, file)) = &mut snapshot
            && n % 10 == 0
        {
            file.step(state, cursor);
        }
        let started = Instant::now();
        put(state, index, n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % KEYS);
        times.push(started.elapsed());
    }
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100], times[times.len() - 1])
}

fn put(state: &mut Keyspaces, index: &mut u64, n: u64) {
    *index += 1;
    let key = format!("/registry/pods/{n:09}");
    let put = Put::new(KeyspaceId::new(1), key, [b'v'; 256].as_slice());
    let command = Command::Txn(Txn::new(vec![Op::Put(put)]));
    let request = Request { origin: Origin::default(), time: Time::from_nanos(1), command };
    state.apply(LogIndex::new(*index), &request).expect("no limit is reached");
}

/// A snapshot on disk, each chunk behind its length.
struct Snapshot {
    file: std::fs::File,
    len: usize,
    chunks: usize,
}

impl Snapshot {
    fn new(path: &std::path::Path) -> Self {
        Self { file: std::fs::File::create(path).expect("writable"), len: 0, chunks: 0 }
    }

    fn step(&mut self, state: &mut Keyspaces, cursor: &mut SnapshotCursor) -> bool {
        use std::io::Write;
        let Some(chunk) = state.next_chunk(cursor, CHUNK_LEN).expect("not overtaken") else {
            state.end_snapshot(cursor);
            return false;
        };
        self.file.write_all(&(chunk.len() as u64).to_le_bytes()).expect("writable");
        self.file.write_all(&chunk).expect("writable");
        self.len += chunk.len();
        self.chunks += 1;
        true
    }

    fn rest(&mut self, state: &mut Keyspaces, cursor: &mut SnapshotCursor) {
        while self.step(state, cursor) {}
    }
}

/// Resident memory of this process, where the system tells.
fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kilobytes = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024 / 1_000_000
}
