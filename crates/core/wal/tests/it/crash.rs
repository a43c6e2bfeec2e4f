//! Power is lost after every disk operation, with any part of what was not synced.

use proptest::prelude::*;
use synod_base::{MemberId, Term};
use synod_wal::{HardState, ModelDisk, Record, Wal};

use crate::log::{CONFIG, append, recover, sync};

/// Entries by batch: each number is a payload's length.
fn workload() -> impl Strategy<Value = Vec<Vec<usize>>> {
    proptest::collection::vec(proptest::collection::vec(0_usize..900, 1..5), 1..8)
}

/// What must be there after a crash.
#[derive(Clone, Default)]
struct Promise {
    acknowledged: usize,
    term: u64,
}

/// Runs the workload until operation `stop`, then crashes. Answers what was promised and written.
fn run_until(
    wal: &mut Wal,
    disk: &mut ModelDisk,
    batches: &[Vec<usize>],
    stop: usize,
) -> (Promise, Vec<usize>) {
    let mut promise = Promise::default();
    let mut written = Vec::new();
    let mut executed = 0;
    for (term, batch) in (1_u64..).zip(batches) {
        let vote = Some(MemberId::new(1));
        wal.append(Record::HardState(HardState { term: Term::new(term), vote }));
        for len in batch {
            append(wal, &payload(written.len(), *len));
            written.push(*len);
        }
        let batch = wal.next_batch().expect("records were appended");
        for op in &batch.ops {
            if executed == stop {
                return (promise, written);
            }
            disk.execute(op);
            executed += 1;
        }
        wal.on_durable(batch.ticket);
        promise = Promise { acknowledged: written.len(), term };
    }
    (promise, written)
}

fn payload(position: usize, len: usize) -> Vec<u8> {
    vec![u8::try_from(position % 250).expect("below 250") + 1; len]
}

fn check(disk: &mut ModelDisk, promise: &Promise, written: &[usize]) {
    let mut found = recover(disk, 0).expect("a crash is never damage");
    assert!(found.entries.len() >= promise.acknowledged, "an acknowledged entry is gone");
    assert!(found.hard_state.term.get() >= promise.term, "a vote is forgotten");
    for (position, (index, bytes)) in found.entries.iter().enumerate() {
        assert_eq!(*index as usize, position + 1);
        assert_eq!(*bytes, payload(position, written[position]));
    }
    // The log goes on, and what it holds then stays.
    append(&mut found.wal, b"after the crash");
    sync(&mut found.wal, disk);
    let again = recover(disk, 0).expect("intact after the repair");
    assert_eq!(again.entries.len(), found.entries.len() + 1);
    assert_eq!(again.entries.last().expect("one at least").1, b"after the crash");
}

proptest! {
    #[test]
    fn every_acknowledged_record_survives_any_crash(
        batches in workload(),
        seed in any::<u64>(),
    ) {
        for stop in 0.. {
            let (mut wal, mut disk) = (Wal::new(CONFIG), ModelDisk::new());
            let (promise, written) = run_until(&mut wal, &mut disk, &batches, stop);
            for round in 0..4_u64 {
                let mut crashed = disk.clone();
                let mut random = seed ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ stop as u64;
                crashed.crash(|| match round {
                    0 => false,
                    1 => true,
                    _ => {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        random >> 63 == 1
                    }
                });
                check(&mut crashed, &promise, &written);
            }
            if promise.acknowledged == batches.iter().map(Vec::len).sum::<usize>() {
                break;
            }
        }
    }
}
