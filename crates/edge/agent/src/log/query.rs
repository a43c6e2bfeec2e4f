//! Reading an app's output: its slots merged by time, to the end or on and on.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use synod_sys::directory::DirectoryWatch;
use tokio::sync::mpsc;

use super::cursor::Cursor;
use super::line::LogLine;

/// Lines that wait for a slow reader. Past them reading the segments pauses; nothing is lost, for
/// they are on disk.
const LINES_AHEAD: usize = 256;
/// A longer tail is cut to this: its lines are held in memory until the last one is known.
const TAIL_LINES_MAX: usize = 100_000;

/// Which lines to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// The app.
    pub app: String,
    /// Only these services; all of them when empty.
    pub services: Vec<String>,
    /// Only this instance.
    pub instance: Option<String>,
    /// Only lines printed at or after this time, in milliseconds since the Unix epoch.
    pub since_ms: Option<u64>,
    /// Only the last so many of what is there now, 100,000 at most; `None` for all of it.
    pub tail: Option<usize>,
    /// Whether to go on with lines as they are printed.
    pub follow: bool,
}

impl LogQuery {
    /// Everything that an app printed, up to now.
    pub fn new(app: impl Into<String>) -> Self {
        Self { app: app.into(), ..Self::default() }
    }
}

/// Reads the logs kept in a data directory. Needs no daemon.
#[derive(Clone, Debug)]
pub struct LogReader {
    logs: PathBuf,
}

impl LogReader {
    /// The logs in a daemon's data directory.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self { logs: data_dir.join("logs") }
    }

    /// Starts reading. The lines of one slot come in the order of printing, those of several by
    /// time.
    ///
    /// # Errors
    /// When the system is out of threads or descriptors, or, to follow, of watches.
    pub fn query(&self, query: LogQuery) -> io::Result<LogLines> {
        let (send, lines) = mpsc::channel(LINES_AHEAD);
        let (ended, end) = synod_sys::spawn::pipe()?;
        let mut merge = Merge::new(self.logs.clone(), query)?;
        // A thread, because files and their changes are waited for by blocking. It ends with
        // `LogLines`.
        std::thread::Builder::new().name("synod-logs".into()).spawn(move || {
            if let Err(error) = merge.run(&send, &ended) {
                let _ = send.blocking_send(Err(error));
            }
        })?;
        Ok(LogLines { lines, _end: end })
    }
}

/// Lines being read; dropping it ends the reading.
#[derive(Debug)]
pub struct LogLines {
    lines: mpsc::Receiver<io::Result<LogLine>>,
    /// Closing it wakes the reading thread.
    _end: OwnedFd,
}

impl LogLines {
    /// The next line; `None` after the last, which never comes when following.
    ///
    /// Cancel safety: nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When the segments can't be read. Reading has ended then.
    pub async fn next(&mut self) -> io::Result<Option<LogLine>> {
        self.lines.recv().await.transpose()
    }
}

/// The slots of a query and their next lines.
struct Merge {
    logs: PathBuf,
    query: LogQuery,
    slots: BTreeMap<PathBuf, Slot>,
    watch: Option<DirectoryWatch>,
}

struct Slot {
    cursor: Cursor,
    next: Option<LogLine>,
    /// Whether its end was reached since the last change.
    dry: bool,
}

/// The reader went away.
struct Gone;

impl Merge {
    fn new(logs: PathBuf, query: LogQuery) -> io::Result<Self> {
        let watch = if query.follow { Some(DirectoryWatch::new()?) } else { None };
        Ok(Self { logs, query, slots: BTreeMap::new(), watch })
    }

    fn run(&mut self, to: &mpsc::Sender<io::Result<LogLine>>, ended: &OwnedFd) -> io::Result<()> {
        self.find_slots(Start::Queried)?;
        if self.send_past(to)?.is_err() {
            return Ok(());
        }
        for slot in self.slots.values_mut() {
            slot.cursor.go_on();
            slot.dry = false;
        }
        while self.watch.is_some() {
            // Slots that are new now have printed everything since the query began.
            self.find_slots(Start::Beginning)?;
            if self.send_all(to)?.is_err() {
                return Ok(());
            }
            let watch = self.watch.as_ref().expect("the loop's condition");
            watch.wait(ended.as_fd(), None)?;
            if to.is_closed() {
                return Ok(());
            }
            self.slots.values_mut().for_each(|slot| slot.dry = false);
        }
        Ok(())
    }

    /// Sends what is there at the start.
    fn send_past(
        &mut self,
        to: &mpsc::Sender<io::Result<LogLine>>,
    ) -> io::Result<Result<(), Gone>> {
        let Some(tail) = self.query.tail else { return self.send_all(to) };
        let tail = tail.min(TAIL_LINES_MAX);
        let mut last = VecDeque::new();
        while let Some(line) = self.next(to)? {
            last.push_back(line);
            if last.len() > tail {
                last.pop_front();
            }
        }
        for line in last {
            if to.blocking_send(Ok(line)).is_err() {
                return Ok(Err(Gone));
            }
        }
        Ok(Ok(()))
    }

    fn send_all(&mut self, to: &mpsc::Sender<io::Result<LogLine>>) -> io::Result<Result<(), Gone>> {
        while let Some(line) = self.next(to)? {
            if to.blocking_send(Ok(line)).is_err() {
                return Ok(Err(Gone));
            }
        }
        Ok(Ok(()))
    }

    /// The earliest wanted line that no slot has given yet.
    fn next(&mut self, to: &mpsc::Sender<io::Result<LogLine>>) -> io::Result<Option<LogLine>> {
        for slot in self.slots.values_mut() {
            // A flood of lines that nobody wants must not outlive the reader.
            while slot.next.is_none() && !slot.dry && !to.is_closed() {
                match slot.cursor.next()? {
                    Some(line) if wants(&self.query, &line) => slot.next = Some(line),
                    Some(_) => {}
                    None => slot.dry = true,
                }
            }
        }
        let waiting = self.slots.values_mut().filter(|slot| slot.next.is_some());
        let earliest = waiting.min_by_key(|slot| slot.next.as_ref().map(|line| line.at_us));
        Ok(earliest.and_then(|slot| slot.next.take()))
    }

    /// Takes up slots that are there and not read yet.
    fn find_slots(&mut self, start: Start) -> io::Result<()> {
        // Watched before they are looked into, so that what appears in between is noticed.
        if let Some(watch) = &self.watch {
            fs::create_dir_all(&self.logs)?;
            watch.add(&self.logs)?;
        }
        let app = self.logs.join(&self.query.app);
        self.watch_if_there(&app)?;
        for (service, directory) in directories(&app)? {
            let wanted = &self.query.services;
            if !wanted.is_empty() && !wanted.contains(&service) {
                continue;
            }
            self.watch_if_there(&directory)?;
            for (name, directory) in directories(&directory)? {
                let Ok(number) = name.parse() else { continue };
                if self.slots.contains_key(&directory) {
                    continue;
                }
                self.watch_if_there(&directory)?;
                let mut cursor = Cursor::new(directory.clone(), service.clone(), number);
                if let Start::Queried = start {
                    self.seek(&mut cursor)?;
                    cursor.end_here()?;
                }
                self.slots.insert(directory, Slot { cursor, next: None, dry: false });
            }
        }
        Ok(())
    }

    fn seek(&self, cursor: &mut Cursor) -> io::Result<()> {
        match (self.query.tail, self.query.since_ms) {
            // Another instance's lines may follow the ones asked for, so counting is for later.
            (Some(tail), _) if self.query.instance.is_none() => cursor.seek_tail(tail),
            (_, Some(since_ms)) => cursor.seek_since(since_ms.saturating_mul(1000)),
            _ => Ok(()),
        }
    }

    fn watch_if_there(&self, directory: &Path) -> io::Result<()> {
        let Some(watch) = &self.watch else { return Ok(()) };
        match watch.add(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            added => added,
        }
    }
}

/// Where to begin in a slot.
#[derive(Clone, Copy)]
enum Start {
    /// At the beginning of what is kept.
    Beginning,
    /// Where the query says.
    Queried,
}

fn wants(query: &LogQuery, line: &LogLine) -> bool {
    query.since_ms.is_none_or(|since_ms| line.at_us / 1000 >= since_ms)
        && query.instance.as_ref().is_none_or(|instance| *instance == line.instance)
}

/// The directories in a directory, by name; none when it does not exist.
fn directories(parent: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}
