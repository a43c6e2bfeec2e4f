//! The shim's loop: signals, output, connections and deadlines of one instance.

use std::fs;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use synod_placement::ExitCause;
use synod_sys::cgroup::Cgroup;
use synod_sys::poll::{self, Wait};
use synod_sys::process::{self, Process};
use synod_sys::reap::{self, End, Reaped};
use synod_sys::signal::{Signal, SignalPipe};
use synod_sys::spawn::Spawn;

use super::client::Client;
use super::outputs::Outputs;
use super::protocol::{PROTOCOL, Reply, Request, Role, ShimStatus, StopReason};
use super::spec::ShimSpec;
use crate::clock::{now_ms, now_us};
use crate::instance_directory::{ExitRecord, InstanceDirectory, StartRecord};
use crate::log::LogWriter;

/// From one kill to the next, while something is left.
const KILL_AGAIN: Duration = Duration::from_millis(50);
/// From one attempt to write down the end to the next.
const RECORD_AGAIN: Duration = Duration::from_millis(250);
/// How long the kernel may hold an emptied control group.
const REMOVE_MAX: Duration = Duration::from_millis(100);
/// How far back a kill for want of memory may lie to have been this instance's, where the kernel
/// counts them for the whole machine only.
const MEMORY_LOOK: Duration = Duration::from_secs(30);

/// An instance and all that is waited for on its behalf.
pub(super) struct Supervisor {
    spec: ShimSpec,
    directory: InstanceDirectory,
    signals: SignalPipe,
    listener: UnixListener,
    clients: Vec<Client>,
    outputs: Outputs,
    log: LogWriter,
    cgroup: Option<Cgroup>,
    shim: Process,
    started_ms: u64,
    /// The instance's first process until it was reaped.
    main: Option<Process>,
    stop: Option<StopReason>,
    /// Whether we sent KILL while `main` ran.
    killed: bool,
    /// When to kill all that is left.
    kill_at: Option<Instant>,
    /// Since when no daemon is connected.
    alone_since: Option<Instant>,
    exit: Option<ExitRecord>,
    /// When to write `exit` down; `None` once it is, or before there is one.
    record_at: Option<Instant>,
    /// Whether no child is left.
    childless: bool,
    /// Whether everything is over and was told.
    ended: bool,
    memory_kills: MemoryKills,
    /// What the daemons were last told about the log.
    told_trouble: Option<String>,
}

/// Something to wait for.
#[derive(Clone, Copy)]
enum Source {
    Client(usize),
    Listener,
    Output,
    Signals,
}

impl Supervisor {
    /// Starts the instance. Its failing to start is not an error here: it is how it ended.
    pub(super) fn start(spec: ShimSpec, daemon: File) -> io::Result<Self> {
        let directory = InstanceDirectory::at(spec.directory.clone());
        let signals = SignalPipe::install(&[Signal::CHLD, Signal::INT, Signal::TERM])?;
        let _ = fs::remove_file("shim.sock");
        let listener = UnixListener::bind("shim.sock")?;
        listener.set_nonblocking(true)?;
        let (outputs, output) = Outputs::new()?;
        let cgroup = spec.cgroup.clone().map(Cgroup::at);
        let spawn = Spawn {
            program: spec.program.clone(),
            args: spec.args.iter().map(Into::into).collect(),
            environment: spec.environment.iter().map(|(k, v)| (k.into(), v.into())).collect(),
            directory: spec.working_directory.clone(),
            cgroup: cgroup.clone(),
            dies_with_parent: true,
        };
        let log =
            LogWriter::new(spec.log_directory.clone(), spec.log_limits, spec.instance.clone());
        let mut this = Self {
            directory,
            signals,
            listener,
            clients: vec![Client::new(daemon, Some(Role::Daemon))?],
            outputs,
            log,
            memory_kills: MemoryKills::now(cgroup.clone()),
            cgroup,
            shim: Process::current()?,
            started_ms: now_ms(),
            main: None,
            stop: None,
            killed: false,
            kill_at: None,
            alone_since: None,
            exit: None,
            record_at: None,
            childless: false,
            ended: false,
            told_trouble: None,
            spec,
        };
        match spawn.start(output) {
            Ok(pid) => this.on_started(pid),
            Err(error) => {
                let program = this.spec.program.display();
                // The file itself was found before.
                let hint = match error.kind() {
                    io::ErrorKind::NotFound => "; is the interpreter in its first line there?",
                    _ => "",
                };
                let text = format!("{program} could not be started: {error}{hint}");
                this.childless = true;
                this.on_exit(ExitCause::StartFailed(text));
            }
        }
        this.tell_daemons();
        Ok(this)
    }

    /// Runs until the instance has ended and its end is known.
    pub(super) fn run(mut self) -> io::Result<()> {
        loop {
            self.reap()?;
            self.on_time(Instant::now());
            self.end_if_over();
            if self.ended && self.record_at.is_none() {
                let _ = fs::remove_file("shim.sock");
                return Ok(());
            }
            self.wait()?;
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        let mut sources = vec![Source::Signals, Source::Listener];
        let mut waits = vec![Wait::read(self.signals.as_fd()), Wait::read(self.listener.as_fd())];
        for descriptor in self.outputs.descriptors() {
            sources.push(Source::Output);
            waits.push(Wait::read(descriptor));
        }
        for (index, client) in self.clients.iter().enumerate() {
            sources.push(Source::Client(index));
            waits.push(client.wait());
        }
        let timeout = self.next_time().map(|at| at.saturating_duration_since(Instant::now()));
        let ready = poll::wait(&waits, timeout)?;
        for (source, ready) in sources.into_iter().zip(ready) {
            if ready.readable || ready.writable {
                self.on_ready(source)?;
            }
        }
        self.clients.retain(Client::is_open);
        let attended = self.clients.iter().any(Client::is_daemon);
        self.alone_since = if attended { None } else { self.alone_since.or(Some(Instant::now())) };
        Ok(())
    }

    fn on_ready(&mut self, source: Source) -> io::Result<()> {
        match source {
            Source::Client(index) => {
                self.clients[index].flush();
                for request in self.clients[index].receive() {
                    self.on_request(index, request);
                }
            }
            Source::Listener => {
                while let Ok((stream, _)) = self.listener.accept() {
                    self.clients.push(Client::new(stream, None)?);
                }
            }
            Source::Output => {
                self.outputs.drain(&mut self.log);
                self.tell_log_trouble();
            }
            Source::Signals => {
                let ended = [Signal::INT, Signal::TERM];
                if self.signals.take()?.iter().any(|signal| ended.contains(signal)) {
                    self.begin_stop(StopReason::Asked, None);
                }
            }
        }
        Ok(())
    }

    fn on_request(&mut self, client: usize, request: Request) {
        match request {
            Request::Hello { protocol, role } if protocol >= PROTOCOL => {
                self.clients[client].role = Some(role);
                let status = self.status();
                self.clients[client].send(&Reply::Hello { protocol: PROTOCOL, status });
            }
            Request::Hello { protocol, .. } => {
                let reason = format!("protocol {protocol} is older than this shim's, {PROTOCOL}");
                self.clients[client].send(&Reply::Refused { reason });
                self.clients[client].close();
            }
            _ if self.clients[client].role.is_none() => {
                let reason = "say hello first".to_owned();
                self.clients[client].send(&Reply::Refused { reason });
            }
            Request::Forget => {
                if self.ended {
                    self.record_at = None;
                }
            }
            Request::Signal { signal } => {
                if let (Some(main), Some(signal)) = (self.main, Signal::new(signal)) {
                    let _ = process::signal_group(main.pid, signal);
                }
            }
            Request::Status => {
                let status = self.status();
                self.clients[client].send(&Reply::Status { status });
            }
            Request::Stop { grace_ms, reason } => {
                self.begin_stop(reason, grace_ms.map(Duration::from_millis));
                let status = self.status();
                self.clients[client].send(&Reply::Status { status });
            }
        }
    }

    fn on_started(&mut self, pid: u32) {
        // It can't be gone: nobody has reaped it. One that has ended already has no start time.
        let main = Process::find(pid).unwrap_or(Process { pid, start: 0 });
        self.main = Some(main);
        let record = StartRecord {
            protocol: PROTOCOL,
            shim: self.shim.into(),
            instance: main.into(),
            started_ms: self.started_ms,
        };
        // On a full disk the instance runs on; the shim still knows all of this.
        if let Err(error) = self.directory.write_start(&record) {
            eprintln!("shim: start.json was not written: {error}");
        }
    }

    /// Asks the instance to end, or shortens the grace of one that was asked.
    fn begin_stop(&mut self, reason: StopReason, grace: Option<Duration>) {
        let grace = grace.unwrap_or(Duration::from_millis(self.spec.stop_grace_ms));
        let kill_at = Instant::now() + grace;
        self.kill_at = Some(self.kill_at.map_or(kill_at, |at| at.min(kill_at)));
        if self.stop.is_some() {
            return;
        }
        self.stop = Some(reason);
        // The whole group, as a terminal does: a shell around a program passes nothing on.
        if let (Some(main), false) = (self.main, grace.is_zero()) {
            let _ = process::signal_group(main.pid, self.stop_signal());
        }
        self.tell_daemons();
    }

    fn reap(&mut self) -> io::Result<()> {
        while !self.childless {
            match reap::any()? {
                Reaped::Child(pid, end) if self.main.is_some_and(|main| main.pid == pid) => {
                    self.main = None;
                    let cause = self.cause(end);
                    self.on_exit(cause);
                    if self.stop.is_none() {
                        // What it left behind was not asked to stay.
                        self.kill_at = Some(Instant::now());
                    } else {
                        // What left the group was not asked to end yet.
                        self.signal_descendants(self.stop_signal());
                    }
                }
                Reaped::Child(..) => {}
                Reaped::NoChildren => self.childless = true,
                Reaped::StillRunning => break,
            }
        }
        Ok(())
    }

    fn cause(&self, end: End) -> ExitCause {
        match (&self.stop, end) {
            (Some(StopReason::Probe(answer)), _) => ExitCause::Probe(answer.clone()),
            (_, End::Code(code)) => ExitCause::Code(code),
            (_, End::Signal(signal)) => {
                let by_kernel = signal == Signal::KILL.get() && !self.killed;
                if by_kernel && self.memory_kills.has_grown() {
                    ExitCause::OutOfMemory
                } else {
                    ExitCause::Signal(signal)
                }
            }
        }
    }

    fn on_exit(&mut self, cause: ExitCause) {
        let asked = matches!(self.stop, Some(StopReason::Asked));
        self.exit = Some(ExitRecord { cause, asked, at_ms: now_ms() });
        self.record_at = Some(Instant::now());
    }

    fn next_time(&self) -> Option<Instant> {
        let orphan_at = self.orphan_at();
        let look_at = self.main.and(self.memory_kills.next_look());
        [self.kill_at, orphan_at, self.record_at, look_at].into_iter().flatten().min()
    }

    fn orphan_at(&self) -> Option<Instant> {
        let after = Duration::from_millis(self.spec.orphan_after_ms?);
        if self.stop.is_some() || self.ended { None } else { Some(self.alone_since? + after) }
    }

    fn on_time(&mut self, now: Instant) {
        if self.orphan_at().is_some_and(|at| at <= now) {
            self.begin_stop(StopReason::Asked, None);
        }
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_all();
            self.kill_at = (!self.childless).then(|| now + KILL_AGAIN);
        }
        if let (Some(at), Some(exit)) = (self.record_at, &self.exit)
            && at <= now
        {
            let written = self.directory.write_exit(exit);
            self.record_at = written.is_err().then(|| now + RECORD_AGAIN);
        }
        self.memory_kills.look(now);
    }

    /// Kills everything that the instance consists of.
    fn kill_all(&mut self) {
        if self.childless {
            return;
        }
        if let Some(main) = self.main {
            self.killed = true;
            let _ = process::signal_group(main.pid, Signal::KILL);
        }
        if let Some(cgroup) = &self.cgroup {
            let _ = cgroup.kill();
        }
        self.signal_descendants(Signal::KILL);
    }

    /// Reaches those that left the group, too: orphans come to us.
    fn signal_descendants(&self, signal: Signal) {
        for descendant in process::descendants(self.shim.pid) {
            let _ = descendant.signal(signal);
        }
    }

    fn stop_signal(&self) -> Signal {
        Signal::new(self.spec.stop_signal).unwrap_or(Signal::TERM)
    }

    /// Once nothing of the instance is left: the rest of its output, and the news.
    fn end_if_over(&mut self) {
        if self.ended || !self.childless || self.exit.is_none() {
            return;
        }
        // Nobody can print any more, so this ends. A descriptor that was handed to a process
        // elsewhere is not waited for.
        while self.outputs.drain(&mut self.log) {}
        self.log.finish(now_us());
        if let Some(cgroup) = &self.cgroup {
            let _ = cgroup.remove_within(REMOVE_MAX);
        }
        self.kill_at = None;
        self.ended = true;
        self.tell_daemons();
    }

    fn tell_log_trouble(&mut self) {
        if self.log.trouble() != self.told_trouble.as_deref() {
            self.told_trouble = self.log.trouble().map(str::to_owned);
            self.tell_daemons();
        }
    }

    fn tell_daemons(&mut self) {
        let reply = Reply::Status { status: self.status() };
        self.clients.iter_mut().filter(|client| client.is_daemon()).for_each(|client| {
            client.send(&reply);
        });
    }

    fn status(&self) -> ShimStatus {
        ShimStatus {
            instance: self.spec.instance.clone(),
            shim: self.shim.into(),
            process: self.main.map(Into::into),
            started_ms: self.started_ms,
            stopping: self.stop.is_some(),
            exit: if self.ended { self.exit.clone() } else { None },
            dropped_lines: self.log.dropped(),
            log_trouble: self.log.trouble().map(str::to_owned),
        }
    }
}

/// How often the kernel killed for want of memory: in the instance's control group where that is
/// counted, else anywhere on the machine.
struct MemoryKills {
    cgroup: Option<Cgroup>,
    before: Option<u64>,
    /// When to forget older ones; `None` where they can only be the instance's.
    look_at: Option<Instant>,
}

impl MemoryKills {
    fn now(cgroup: Option<Cgroup>) -> Self {
        let own = cgroup.as_ref().and_then(Cgroup::out_of_memory_kills).is_some();
        let look_at = (!own).then(|| Instant::now() + MEMORY_LOOK);
        let mut this = Self { cgroup: cgroup.filter(|_| own), before: None, look_at };
        this.before = this.count();
        this
    }

    fn next_look(&self) -> Option<Instant> {
        self.look_at
    }

    fn look(&mut self, now: Instant) {
        if self.look_at.is_some_and(|at| at <= now) {
            self.before = self.count();
            self.look_at = Some(now + MEMORY_LOOK);
        }
    }

    fn has_grown(&self) -> bool {
        self.count() > self.before
    }

    fn count(&self) -> Option<u64> {
        match &self.cgroup {
            Some(cgroup) => cgroup.out_of_memory_kills(),
            None => process::out_of_memory_kills(),
        }
    }
}
