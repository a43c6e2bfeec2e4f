//! A replica with its disk, driven step by step.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use synod_base::{ClientId, ClusterId, GroupId, KeyspaceId, LeaseId, LogIndex, MemberId, Revision};
use synod_base::{Time, decode_all};
use synod_keyspace::{
    Applied, Command, Event, KeyRange, Keyspaces, Op, Origin, Outcome, Put, RangeRequest, Request,
    Txn,
};
use synod_replica::{
    Answer, Consistency, DiskJob, Error, Identity, Image, Input, Lane, OpenError, Options, Output,
    Outputs, ReadError, Replica, Token, WatchId,
};
use synod_wal::{DiskOp, FileName, ModelDisk, Recovery};

pub(crate) const SYNOD: KeyspaceId = KeyspaceId::new(1);

pub(crate) const IDENTITY: Identity =
    Identity { cluster: ClusterId::new(0xc1), member: MemberId::new(1) };

/// Small sizes, so that a short run crosses segments, snapshots and chunks.
pub(crate) fn small() -> Options {
    Options {
        group: GroupId::new(1),
        segment_bytes: 2048,
        snapshot_after_bytes: 4096,
        snapshot_chunk_bytes: 300,
        pending_bytes_max: 64 << 10,
        request_bytes_max: 32 << 10,
        ..Options::default()
    }
}

/// As [`small`], but snapshots are cut only when asked for.
pub(crate) fn without_snapshots() -> Options {
    Options { snapshot_after_bytes: u64::MAX, ..small() }
}

pub(crate) fn seconds(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}

/// The model disk as the replica reads it.
pub(crate) struct DiskImage<'a>(pub(crate) &'a ModelDisk);

impl Image for DiskImage<'_> {
    fn files(&self) -> Vec<FileName> {
        self.0.files()
    }

    fn read(&self, file: FileName, offset: u64, len: usize) -> Result<Vec<u8>, ReadError> {
        let content = self.0.content(file).expect("it was listed");
        let start = usize::try_from(offset).expect("small").min(content.len());
        let end = start.saturating_add(len).min(content.len());
        Ok(content[start..end].to_vec())
    }
}

/// A replica, its disk, and everything it has said.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) options: Options,
    pub(crate) replica: Replica,
    pub(crate) disk: ModelDisk,
    log_jobs: VecDeque<Job>,
    snapshot_jobs: VecDeque<Job>,
    pub(crate) replies: BTreeMap<Token, Result<Answer, Error>>,
    pub(crate) batches: Vec<(WatchId, Vec<Arc<Event>>, Revision)>,
    pub(crate) ended: Vec<(WatchId, Error)>,
    pub(crate) halted: Option<String>,
    last_token: u64,
    /// The log as it would be if the disk had done everything: what the replica has decided.
    decided: ModelDisk,
    pub(crate) entries: BTreeMap<LogIndex, Request>,
}

#[derive(Debug)]
struct Job {
    lane: Lane,
    ticket: synod_base::Ticket,
    ops: VecDeque<DiskOp>,
}

impl World {
    pub(crate) fn new(options: Options) -> Self {
        Self::open(options, ModelDisk::new(), seconds(1)).expect("an empty directory opens")
    }

    pub(crate) fn open(options: Options, disk: ModelDisk, now: Time) -> Result<Self, OpenError> {
        let (replica, outputs) = Replica::open(now, options, IDENTITY, &DiskImage(&disk))?;
        let mut world = Self {
            now,
            options,
            replica,
            decided: disk.clone(),
            disk,
            log_jobs: VecDeque::new(),
            snapshot_jobs: VecDeque::new(),
            replies: BTreeMap::new(),
            batches: Vec::new(),
            ended: Vec::new(),
            halted: None,
            last_token: 0,
            entries: BTreeMap::new(),
        };
        world.on_outputs(outputs);
        Ok(world)
    }

    /// Starts again from what the disk holds. What the entries were is remembered as far as the
    /// new replica has them.
    pub(crate) fn reopen(self) -> Result<Self, OpenError> {
        let mut entries = self.entries;
        let last_token = self.last_token;
        let mut world = Self::open(self.options, self.disk, self.now)?;
        world.last_token = last_token;
        entries.retain(|index, _| *index <= world.replica.applied());
        entries.append(&mut world.entries);
        world.entries = entries;
        Ok(world)
    }

    pub(crate) fn step(&mut self, input: Input) {
        let outputs = self.replica.step(self.now, input);
        self.on_outputs(outputs);
    }

    pub(crate) fn token(&mut self) -> Token {
        self.last_token += 1;
        Token::new(self.last_token)
    }

    /// Proposes a command under a new token, which is its origin's sequence number too.
    pub(crate) fn propose(&mut self, command: Command) -> Token {
        let token = self.token();
        let origin = Origin { client: ClientId::new(1), sequence: token.get(), signature: None };
        let request = Request { origin, time: self.now, command };
        self.step(Input::Propose { token, request });
        token
    }

    pub(crate) fn put(&mut self, key: &str, value: &str) -> Token {
        self.propose(put(key, value))
    }

    /// Proposes and lets the disk finish.
    pub(crate) fn settled(&mut self, command: Command) -> Result<Applied, Error> {
        let token = self.propose(command);
        self.settle();
        match self.replies.remove(&token).expect("it is answered once the disk is done") {
            Ok(Answer::Applied(applied)) => Ok(applied),
            Ok(other) => panic!("a proposal answered with {other:?}"),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn grant(&mut self, id: u64, ttl: u64) -> LeaseId {
        let command = Command::LeaseGrant { id: LeaseId::new(id), ttl: Duration::from_secs(ttl) };
        match self.settled(command).expect("granted").outcome {
            Outcome::LeaseGranted(lease) => lease.id,
            other => panic!("a grant answered with {other:?}"),
        }
    }

    pub(crate) fn read(&mut self, key: &str) -> Token {
        let token = self.token();
        let request = RangeRequest::new(SYNOD, KeyRange::key(key));
        self.step(Input::Read { token, request, consistency: Consistency::Linearizable });
        token
    }

    /// The value of `key`, once the disk is done.
    pub(crate) fn value(&mut self, key: &str) -> Option<String> {
        self.settle();
        let token = self.read(key);
        match self.replies.remove(&token) {
            Some(Ok(Answer::Range(range))) => range.kvs.first().map(|kv| kv.value.to_text_lossy()),
            other => panic!("a read answered with {other:?}"),
        }
    }

    pub(crate) fn snapshot(&mut self) -> Token {
        let token = self.token();
        self.step(Input::Snapshot { token });
        token
    }

    /// Whether the disk has something to do in this lane.
    pub(crate) fn has_work(&self, lane: Lane) -> bool {
        !self.jobs(lane).is_empty()
    }

    fn jobs(&self, lane: Lane) -> &VecDeque<Job> {
        match lane {
            Lane::Log => &self.log_jobs,
            Lane::Snapshot => &self.snapshot_jobs,
        }
    }

    /// Executes one disk operation of the lane, and reports the job when it was its last.
    pub(crate) fn disk_step(&mut self, lane: Lane) {
        let jobs = match lane {
            Lane::Log => &mut self.log_jobs,
            Lane::Snapshot => &mut self.snapshot_jobs,
        };
        let Some(job) = jobs.front_mut() else { return };
        if let Some(op) = job.ops.pop_front() {
            self.disk.execute(&op);
        }
        if job.ops.is_empty() {
            let job = jobs.pop_front().expect("there is one");
            self.step(Input::DiskDone { lane: job.lane, ticket: job.ticket });
        }
    }

    /// Lets the disk finish everything.
    pub(crate) fn settle(&mut self) {
        while self.has_work(Lane::Log) || self.has_work(Lane::Snapshot) {
            self.disk_step(Lane::Log);
            self.disk_step(Lane::Snapshot);
        }
    }

    /// Moves time to the replica's next timeout and reports it.
    pub(crate) fn run_timeout(&mut self) {
        self.now = self.replica.next_timeout().expect("a timer runs").max(self.now);
        self.step(Input::Timeout);
    }

    /// The state that the entries up to `index` give, and the answer to each.
    pub(crate) fn replay(
        &self,
        index: LogIndex,
    ) -> (Keyspaces, BTreeMap<u64, Result<Applied, synod_keyspace::Error>>) {
        let mut keyspaces = Keyspaces::new(synod_keyspace::Config::default());
        let mut answers = BTreeMap::new();
        for (at, request) in self.entries.range(..=index) {
            let answer = keyspaces.apply(*at, request);
            if request.origin.client == ClientId::new(1) {
                answers.insert(request.origin.sequence, answer);
            }
        }
        (keyspaces, answers)
    }

    fn on_outputs(&mut self, outputs: Outputs) {
        for output in outputs {
            match output {
                Output::Disk(DiskJob { lane, ticket, ops }) => {
                    ops.iter().for_each(|op| self.decided.execute(op));
                    let job = Job { lane, ticket, ops: ops.into() };
                    match lane {
                        Lane::Log => {
                            self.log_jobs.push_back(job);
                            self.note_entries();
                        }
                        Lane::Snapshot => self.snapshot_jobs.push_back(job),
                    }
                }
                Output::Halt { reason } => self.halted = Some(reason),
                Output::Reply { token, result } => {
                    let earlier = self.replies.insert(token, result);
                    assert!(earlier.is_none(), "{token:?} is answered twice");
                }
                Output::WatchBatch { watch, events, revision } => {
                    self.batches.push((watch, events, revision));
                }
                Output::WatchEnded { watch, error } => self.ended.push((watch, error)),
            }
        }
    }

    fn note_entries(&mut self) {
        let config = synod_wal::Config {
            cluster: IDENTITY.cluster,
            group: self.options.group,
            segment_bytes: self.options.segment_bytes,
        };
        let known = self.entries.keys().next_back().copied();
        let base = known.unwrap_or(self.replica.applied());
        let mut recovery =
            Recovery::new(config, base, &self.decided.files()).expect("nothing is missing");
        while let Some(file) = recovery.next_file() {
            let bytes = self.decided.content(file).expect("it was listed");
            for entry in recovery.on_segment(bytes).expect("intact") {
                let request = decode_all(entry.payload).expect("an entry is a request");
                self.entries.insert(entry.index, request);
            }
        }
    }
}

pub(crate) fn put(key: &str, value: &str) -> Command {
    Command::Txn(Txn::new(vec![Op::Put(Put::new(SYNOD, key, value))]))
}
