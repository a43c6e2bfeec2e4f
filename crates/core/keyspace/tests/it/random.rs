//! Random entries, readers, watchers and snapshots, step by step against the model.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use synod_base::{KeyspaceId, LogIndex, Revision, Time, decode_all, encode_to_vec};
use synod_keyspace::{
    Applied, AttachedKey, Command, Config, Cursor, Error, Event, Held, HistoryBudget, KeyRange,
    Keyspaces, Op, Origin, Outcome, PollBudget, Put, RangeRequest, Request, Restore,
    SnapshotCursor, Txn,
};

use crate::generate::{command, key_range, range_request};
use crate::model::{Answer, Model};

const SPACES: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    Apply(Command),
    BeginSnapshot,
    CutSnapshot(usize),
    Poll(Index, usize),
    Read(RangeRequest),
    Trim(usize),
    Watch(u32, KeyRange, Option<u64>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => command().prop_map(Step::Apply),
        1 => Just(Step::BeginSnapshot),
        10 => (0_usize..400).prop_map(Step::CutSnapshot),
        6 => (any::<Index>(), 1_usize..6).prop_map(|(which, max)| Step::Poll(which, max)),
        6 => range_request().prop_map(Step::Read),
        1 => (0_usize..5).prop_map(Step::Trim),
        2 => (1_u32..=2, key_range(), prop::option::of(0_u64..60))
            .prop_map(|(keyspace, range, from)| Step::Watch(keyspace, range, from)),
    ]
}

fn config(budget: Option<u64>) -> Config {
    let Some(bytes) = budget else { return Config::default() };
    let history = HistoryBudget { bytes, age: Duration::from_nanos(40), revisions_min: 4 };
    Config { history, ..Config::default() }
}

/// A running snapshot: its chunks so far, the model when it began, and the entries since.
struct Running {
    cursor: SnapshotCursor,
    chunks: Vec<Vec<u8>>,
    model: Model,
    tail: Vec<Request>,
}

struct Run {
    state: Keyspaces,
    model: Model,
    index: u64,
    watchers: Vec<Cursor>,
    running: Option<Running>,
    /// Added to every revision asked for.
    shift: u64,
}

impl Run {
    /// A group that has applied `shift` puts, so that runs cross the borders of history chunks.
    fn new(budget: Option<u64>, shift: u64) -> Self {
        let mut state = Keyspaces::new(config(budget));
        let command = Command::CreateKeyspace { name: "other".into(), quota_bytes: 0 };
        let time = Time::ZERO;
        let request = Request { origin: Origin::default(), time, command };
        state.apply(LogIndex::new(1), &request).expect("a new name");
        let model = Model::new(SPACES);
        let (watchers, running) = (Vec::new(), None);
        let mut run = Self { state, model, index: 1, watchers, running, shift };
        for _ in 0..shift {
            let put = Put::new(KeyspaceId::new(1), "a", "warm");
            run.apply(Command::Txn(Txn::new(vec![Op::Put(put)]))).expect("as the model");
        }
        run
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Apply(mut command) => {
                shift_command(&mut command, self.shift);
                self.apply(command)?;
            }
            Step::BeginSnapshot => {
                let cursor = self.state.begin_snapshot();
                let model = self.model.clone();
                let (chunks, tail) = (Vec::new(), Vec::new());
                self.running = Some(Running { cursor, chunks, model, tail });
            }
            Step::CutSnapshot(bytes_max) => self.cut(bytes_max)?,
            Step::Poll(which, events_max) => {
                if !self.watchers.is_empty() {
                    let which = which.index(self.watchers.len());
                    self.poll(which, events_max)?;
                }
            }
            Step::Read(mut request) => {
                shift_range(&mut request, self.shift);
                self.read(&request)?;
            }
            Step::Trim(events_max) => drop(self.state.trim(events_max)),
            Step::Watch(keyspace, range, from) => {
                let from = from.map(|from| if keyspace == 1 { from + self.shift } else { from });
                self.watch(keyspace, range, from)?;
            }
        }
        prop_assert_eq!(self.state.digest(), self.state.recomputed_digest());
        Ok(())
    }

    fn apply(&mut self, command: Command) -> Result<(), TestCaseError> {
        self.index += 1;
        let time = Time::from_nanos(self.index);
        let request = Request { origin: Origin::default(), time, command };
        let request = decode_all(&encode_to_vec(&request)).expect("canonical bytes");
        let before = self.state.digest();
        let result = self.state.apply(LogIndex::new(self.index), &request);
        let wanted = self.model.apply(self.index, &request.command);
        match (&result, &wanted) {
            (Err(_), Err(_)) => prop_assert_eq!(self.state.digest(), before),
            (Ok(applied), Ok(answer)) => self.check_applied(applied, answer)?,
            _ => prop_assert!(false, "{result:?}, but the model says {wanted:?}"),
        }
        if let Some(running) = &mut self.running {
            running.tail.push(request);
        }
        Ok(())
    }

    fn check_applied(&mut self, applied: &Applied, answer: &Answer) -> Result<(), TestCaseError> {
        match (&applied.outcome, answer) {
            (Outcome::Txn(found), Answer::Txn(wanted)) => prop_assert_eq!(found, wanted),
            (Outcome::LeaseExpired(found), Answer::Ended(wanted)) => {
                prop_assert_eq!(found, wanted);
            }
            (_, Answer::Nothing) => {}
            (found, wanted) => prop_assert!(false, "{found:?} instead of {wanted:?}"),
        }
        for (keyspace, revision) in &applied.changed {
            let space = &self.model.spaces[keyspace.get() as usize - 1];
            prop_assert_eq!(space.revision, revision.get());
            let at = revision.get();
            let events: Vec<Event> =
                self.state.events(*keyspace, *revision).map(|event| (**event).clone()).collect();
            prop_assert_eq!(events, space.changes(&KeyRange::all(), at, at));
        }
        // What the budget compacts is the state's to say; the model only checks the accounts.
        for (keyspace, revision) in &applied.compacted {
            let space = &mut self.model.spaces[keyspace.get() as usize - 1];
            prop_assert!(revision.get() >= space.compaction && revision.get() <= space.revision);
            space.compaction = revision.get();
        }
        check_stats(&self.state, &self.model)
    }

    fn read(&self, request: &RangeRequest) -> Result<(), TestCaseError> {
        let found = self.state.range(request);
        match self.model.spaces.get(request.keyspace.get() as usize - 1) {
            Some(space) => match space.range(request) {
                Ok(wanted) => prop_assert_eq!(found, Ok(wanted)),
                Err(_) => prop_assert!(found.is_err(), "{found:?}"),
            },
            None => prop_assert_eq!(found, Err(Error::UnknownKeyspace(request.keyspace))),
        }
        Ok(())
    }

    fn watch(
        &mut self,
        keyspace: u32,
        range: KeyRange,
        from: Option<u64>,
    ) -> Result<(), TestCaseError> {
        let space = &self.model.spaces[keyspace as usize - 1];
        let refused =
            range == KeyRange::key("") || from.is_some_and(|from| from < space.compaction);
        let cursor = self.state.watch(KeyspaceId::new(keyspace), range, from.map(Revision::new));
        prop_assert_eq!(cursor.is_err(), refused);
        if let Ok(cursor) = cursor {
            prop_assert_eq!(cursor.next.get(), from.unwrap_or(space.revision + 1));
            self.watchers.push(cursor);
        }
        Ok(())
    }

    /// A poll delivers each change since the cursor once, in order, in whole revisions.
    fn poll(&mut self, which: usize, events_max: usize) -> Result<(), TestCaseError> {
        let cursor = &mut self.watchers[which];
        let from = cursor.next.get();
        let space = &self.model.spaces[cursor.keyspace.get() as usize - 1];
        let budget = PollBudget { events_max, bytes_max: 100 };
        match self.state.poll(cursor, budget) {
            Ok(poll) => {
                let to = poll.revision.get();
                let wanted = space.changes(&cursor.range, from, to);
                let found: Vec<Event> = poll.events.iter().map(|event| (**event).clone()).collect();
                prop_assert_eq!(found, wanted);
                prop_assert_eq!(poll.idle, to == space.revision);
                prop_assert_eq!(cursor.next.get(), from.max(to + 1));
                prop_assert!(to >= from || poll.idle, "a poll makes progress");
            }
            Err(error) => {
                prop_assert!(matches!(error, Error::Compacted { .. }), "{}", error);
                prop_assert!(from < space.compaction, "only who was overtaken is told so");
                prop_assert_eq!(cursor.next.get(), from);
                self.watchers.swap_remove(which);
            }
        }
        Ok(())
    }

    /// Cuts a chunk. A finished snapshot must restore to the state it pinned, and reach the
    /// present one by the entries since; then the run goes on with the restored state.
    fn cut(&mut self, bytes_max: usize) -> Result<(), TestCaseError> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let chunk = self.state.next_chunk(&mut running.cursor, bytes_max).expect("nothing is lost");
        if let Some(chunk) = chunk {
            // The longest record here is the header.
            prop_assert!(chunk.len() <= bytes_max + 120, "{} bytes", chunk.len());
            running.chunks.push(chunk);
            return Ok(());
        }
        let running = self.running.take().expect("checked");
        self.state.end_snapshot(&running.cursor);
        let mut restore = Restore::new(Held::default());
        for chunk in &running.chunks {
            restore.push(chunk).expect("whole");
        }
        let mut restored = restore.finish().expect("whole");
        prop_assert_eq!(restored.digest(), running.cursor.digest());
        prop_assert_eq!(restored.digest(), restored.recomputed_digest());
        prop_assert_eq!(restored.applied_index(), running.cursor.applied_index());
        check_whole(&restored, &running.model)?;
        let mut index = restored.applied_index();
        for request in &running.tail {
            index = index.next();
            let _ = restored.apply(index, request);
        }
        prop_assert_eq!(restored.digest(), self.state.digest());
        prop_assert_eq!(index.get(), self.index);
        check_whole(&restored, &self.model)?;
        self.state = restored;
        // Watchers resume where they were; those behind the compaction are overtaken.
        Ok(())
    }
}

/// Only keyspace 1 was warmed up.
fn shift_command(command: &mut Command, by: u64) {
    match command {
        Command::Compact { keyspace, revision } if keyspace.get() == 1 => {
            *revision = Revision::new(revision.get() + by);
        }
        Command::Txn(txn) => shift_txn(txn, by),
        _ => {}
    }
}

fn shift_txn(txn: &mut Txn, by: u64) {
    for op in txn.then.iter_mut().chain(&mut txn.otherwise) {
        match op {
            Op::Range(range) => shift_range(range, by),
            Op::Txn(nested) => shift_txn(nested, by),
            Op::Delete(_) | Op::Put(_) => {}
        }
    }
}

fn shift_range(request: &mut RangeRequest, by: u64) {
    if request.keyspace.get() == 1 {
        request.revision = request.revision.map(|revision| Revision::new(revision.get() + by));
    }
}

fn check_stats(state: &Keyspaces, model: &Model) -> Result<(), TestCaseError> {
    for (nth, space) in model.spaces.iter().enumerate() {
        let stats = state.stats(keyspace_id(nth)).expect("known");
        prop_assert_eq!(stats.revision.get(), space.revision);
        prop_assert_eq!(stats.compaction.get(), space.compaction);
        prop_assert_eq!(stats.keys, space.live.len() as u64);
        let kept: Vec<_> =
            space.log.iter().filter(|change| change.revision >= space.compaction).collect();
        let weight = |key: &[u8], value: &[u8]| (key.len() + value.len() + 192) as u64;
        let cost = |change: &&crate::model::Change| {
            let before =
                change.before.as_ref().map_or(0, |before| weight(&change.key, &before.value));
            80 + before + if change.now.is_none() { 192 } else { 0 }
        };
        prop_assert_eq!(stats.history_bytes, kept.iter().map(cost).sum::<u64>());
        let mut revisions: Vec<u64> = kept.iter().map(|change| change.revision).collect();
        revisions.dedup();
        prop_assert_eq!(stats.revisions, revisions.len() as u64);
    }
    Ok(())
}

/// Compares all that can be read: every readable revision, all events, leases with their keys.
fn check_whole(state: &Keyspaces, model: &Model) -> Result<(), TestCaseError> {
    check_stats(state, model)?;
    for (nth, space) in model.spaces.iter().enumerate() {
        let keyspace = keyspace_id(nth);
        for revision in space.compaction..=space.revision {
            let mut request = RangeRequest::new(keyspace, KeyRange::all());
            request.revision = Some(Revision::new(revision));
            prop_assert_eq!(state.range(&request).ok(), space.range(&request).ok());
        }
        let from = Some(Revision::new(space.compaction));
        let mut cursor = state.watch(keyspace, KeyRange::all(), from).expect("readable");
        let poll = state.poll(&mut cursor, PollBudget::default()).expect("readable");
        let found: Vec<Event> = poll.events.iter().map(|event| (**event).clone()).collect();
        let wanted = space.changes(&KeyRange::all(), space.compaction, space.revision);
        prop_assert_eq!(found, wanted);
    }
    let leases: Vec<_> = state.leases().map(|lease| (lease.id.get(), lease.generation)).collect();
    prop_assert_eq!(leases, model.leases.clone().into_iter().collect::<Vec<_>>());
    for lease in state.leases() {
        let mut wanted = Vec::new();
        for (nth, space) in model.spaces.iter().enumerate() {
            for (key, version) in &space.live {
                if let Some((id, on_expiry)) = version.lease
                    && id == lease.id.get()
                {
                    let (keyspace, key) = (keyspace_id(nth), key.clone().into());
                    wanted.push(AttachedKey { keyspace, key, on_expiry });
                }
            }
        }
        prop_assert_eq!(state.lease_keys(lease.id), Ok(wanted));
    }
    Ok(())
}

fn keyspace_id(nth: usize) -> KeyspaceId {
    KeyspaceId::new(u32::try_from(nth).expect("few") + 1)
}

proptest! {
    #[test]
    fn the_state_does_what_the_model_does(
        steps in prop::collection::vec(step(), 0..160),
        budget in prop::option::of(500_u64..3000),
        shift in prop_oneof![4 => Just(0), 1 => 200_u64..270],
    ) {
        let mut run = Run::new(budget, shift);
        for step in steps {
            run.step(step)?;
        }
        check_whole(&run.state, &run.model)?;
        for which in (0..run.watchers.len()).rev() {
            run.poll(which, 1000)?;
        }
    }
}
