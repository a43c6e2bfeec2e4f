//! Builds: run before anything starts, one at a time, and only when something changed.
//!
//! Whether to build is decided by the inputs: the command, and the size and time of change of
//! every file below the service's `dir`. Whether to restart is decided by the output: the bytes of
//! the files that `run` names. So touching a source builds again, but a build that makes the same
//! program restarts nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use synod_base::Digest;
use synod_manifest::{App, Build, Service, Template};
use synod_sys::lock::LockFile;
use synod_sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use crate::data_dir::DataDir;
use crate::follow::Interrupts;
use crate::outcome::{Exit, Failure};
use crate::terminal::Terminal;

/// Directories that hold outputs or tools, never inputs.
const IGNORED_DIRS: [&str; 4] = ["__pycache__", "node_modules", "target", "venv"];

/// How many lines of a failed build are shown again when output was hidden.
const TAIL_LINES: usize = 20;

/// When to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Always.
    Always,
    /// When an input changed, or a program is missing.
    Changed,
}

/// What a past build was made from.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    inputs: String,
}

/// Builds what needs it and returns, by service, a digest of the files that `run` names.
pub(crate) async fn build_all(
    app: &App,
    data_dir: &DataDir,
    when: When,
    terminal: &Terminal,
    interrupts: &mut Interrupts,
) -> Result<BTreeMap<String, String>> {
    let dir = data_dir.builds();
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let _one_at_a_time = lock(&dir, app, terminal).await?;
    let mut done: Vec<(&Path, &str)> = Vec::new();
    for service in app.services.values() {
        let Some(build) = &service.build else { continue };
        // Two services of one directory and command share their build.
        let key = (service.dir.as_path(), build.command.as_str());
        if done.contains(&key) {
            continue;
        }
        build_one(&dir, service, build, when, terminal, interrupts).await?;
        done.push(key);
    }
    digests(app)
}

/// By service, a digest of the files that `run` names, as they are now.
pub(crate) fn digests(app: &App) -> Result<BTreeMap<String, String>> {
    app.services
        .values()
        .map(|service| Ok((service.name.clone(), digest_programs(service)?)))
        .collect()
}

async fn lock(dir: &Path, app: &App, terminal: &Terminal) -> Result<LockFile> {
    let path = dir.join(format!("{}.lock", app.name));
    if let Ok(lock) = LockFile::acquire(&path) {
        return Ok(lock);
    }
    terminal.say(&format!("waiting for another build of {}", app.name));
    tokio::task::spawn_blocking(move || LockFile::wait(&path))
        .await
        .context("waiting for the lock was cut off")?
        .context("cannot lock the builds")
}

async fn build_one(
    records: &Path,
    service: &Service,
    build: &Build,
    when: When,
    terminal: &Terminal,
    interrupts: &mut Interrupts,
) -> Result<()> {
    if when == When::Changed && is_up_to_date(records, service, build)? {
        return Ok(());
    }
    run(service, build, terminal, interrupts).await?;
    // Taken after the build, since it may write below `dir`.
    let inputs = digest_inputs(service, build)?;
    let bytes = serde_json::to_vec(&Record { inputs }).context("a record is plain text")?;
    let record = record_path(records, &service.dir, &build.command);
    fs::write(&record, bytes).with_context(|| format!("cannot write {}", record.display()))
}

/// Whether nothing changed since the last build, and what it made is still there.
fn is_up_to_date(records: &Path, service: &Service, build: &Build) -> Result<bool> {
    let record = fs::read(record_path(records, &service.dir, &build.command)).ok();
    let record = record.and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
    let Some(record) = record else { return Ok(false) };
    Ok(programs_exist(service) && record.inputs == digest_inputs(service, build)?)
}

/// The services that `up` would build, with their commands.
pub(crate) fn stale<'a>(app: &'a App, data_dir: &DataDir) -> Result<Vec<(&'a str, &'a str)>> {
    let mut stale = Vec::new();
    for service in app.services.values() {
        let Some(build) = &service.build else { continue };
        if !is_up_to_date(&data_dir.builds(), service, build)? {
            stale.push((service.name.as_str(), build.command.as_str()));
        }
    }
    Ok(stale)
}

fn record_path(records: &Path, dir: &Path, command: &str) -> PathBuf {
    let mut digest = Digest::default();
    digest.add(dir.as_os_str().as_encoded_bytes());
    digest.add(format!("command {command}").as_bytes());
    records.join(format!("{digest}.json"))
}

/// How a build ended.
enum Ended {
    Exited(ExitStatus),
    Interrupted,
    TimedOut,
}

async fn run(
    service: &Service,
    build: &Build,
    terminal: &Terminal,
    interrupts: &mut Interrupts,
) -> Result<()> {
    let name = &service.name;
    terminal.say(&format!("building {name}: {}", build.command));
    let mut child = Command::new("sh")
        .args(["-c", &build.command])
        .current_dir(&service.dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start the build in {}", service.dir.display()))?;
    let group = child.id();
    let ended = end(&mut child, service, build, terminal, interrupts).await?;
    if !matches!(ended, Ended::Exited(_))
        && let Some(group) = group
    {
        // It may have ended by itself just now.
        let _ = synod_sys::process::signal_group(group, Signal::KILL);
    }
    let unchanged = "nothing was changed [SYN-0011]";
    let (exit, what) = match ended {
        Ended::Exited(status) if status.success() => return Ok(()),
        Ended::Exited(status) => (Exit::Failed, format!("failed: {status}; {unchanged}")),
        Ended::Interrupted => (Exit::Interrupted, format!("was interrupted; {unchanged}")),
        Ended::TimedOut => {
            let timeout = humantime::format_duration(build.timeout);
            (Exit::Failed, format!("passed its build.timeout of {timeout}; {unchanged}"))
        }
    };
    Err(Failure::new(exit, format!("the build of {name} {what}")).into())
}

/// Waits for the build's end, showing what it prints.
async fn end(
    child: &mut Child,
    service: &Service,
    build: &Build,
    terminal: &Terminal,
    interrupts: &mut Interrupts,
) -> Result<Ended> {
    tokio::select! {
        biased;
        () = interrupts.next() => Ok(Ended::Interrupted),
        status = follow(child, service, terminal) => Ok(Ended::Exited(status?)),
        () = tokio::time::sleep(build.timeout) => Ok(Ended::TimedOut),
    }
}

async fn follow(child: &mut Child, service: &Service, terminal: &Terminal) -> Result<ExitStatus> {
    let stdout = child.stdout.take().expect("stdout is piped");
    let stderr = child.stderr.take().expect("stderr is piped");
    let (out, err) = tokio::join!(
        print_lines(stdout, &service.name, terminal),
        print_lines(stderr, &service.name, terminal)
    );
    let mut tail = out?;
    tail.extend(err?);
    let status = child.wait().await.context("the build was lost")?;
    if !status.success() && terminal.is_quiet() {
        let cut = tail.len().saturating_sub(TAIL_LINES);
        tail.iter().skip(cut).for_each(|line| terminal.error(line));
    }
    Ok(status)
}

async fn print_lines(
    pipe: impl AsyncRead + Unpin,
    service: &str,
    terminal: &Terminal,
) -> Result<Vec<String>> {
    let mut reader = BufReader::new(pipe);
    let mut tail = Vec::new();
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).await.context("the build's output was lost")? > 0 {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        terminal.service_line(service, &text);
        tail.push(text);
        if tail.len() > 2 * TAIL_LINES {
            tail.drain(..TAIL_LINES);
        }
        line.clear();
    }
    Ok(tail)
}

fn digest_inputs(service: &Service, build: &Build) -> Result<String> {
    let mut digest = Digest::default();
    digest.add(format!("command {}", build.command).as_bytes());
    let mut pending = vec![service.dir.clone()];
    while let Some(dir) = pending.pop() {
        let entries =
            fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", dir.display()))?;
            let name = entry.file_name();
            let kind = entry.file_type().context("a listed file has a type")?;
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if kind.is_dir() {
                if !IGNORED_DIRS.iter().any(|ignored| name == *ignored) {
                    pending.push(entry.path());
                }
            } else if let Ok(meta) = entry.metadata() {
                let path = entry.path();
                let (size, secs, nanos) = (meta.size(), meta.mtime(), meta.mtime_nsec());
                digest.add(format!("{} {size} {secs} {nanos}", path.display()).as_bytes());
            }
        }
    }
    Ok(digest.to_string())
}

/// The files that the words of `run` name: the program, when it has a slash, and any argument that
/// is a file below `dir`.
fn named_files(service: &Service) -> Vec<PathBuf> {
    let words = service.run.iter().filter_map(Template::as_literal);
    words.map(|word| service.dir.join(word)).collect()
}

fn programs_exist(service: &Service) -> bool {
    let program = service.run.first().and_then(Template::as_literal);
    let program = program.filter(|program| program.contains('/'));
    program.is_none_or(|program| service.dir.join(program).exists())
}

fn digest_programs(service: &Service) -> Result<String> {
    let mut digest = Digest::default();
    for path in named_files(service) {
        if !path.is_file() {
            continue;
        }
        let file =
            fs::File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        digest.add(path.as_os_str().as_encoded_bytes());
        digest_file(file, &mut digest)
            .with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(digest.to_string())
}

fn digest_file(mut file: fs::File, digest: &mut Digest) -> std::io::Result<()> {
    const BLOCK: usize = 1 << 20;
    let mut block = vec![0; BLOCK + 8];
    for number in 0_u64.. {
        // The number keeps equal blocks in different places apart, since a digest has no order.
        block[..8].copy_from_slice(&number.to_le_bytes());
        let mut filled = 8;
        while filled < block.len() {
            match file.read(&mut block[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        digest.add(&block[..filled]);
        if filled < block.len() {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(dir: &Path, run: &[&str]) -> Service {
        let text = format!(
            "app = \"a\"\n[service.s]\nrun = {run:?}\ndir = {:?}\nbuild = \"true\"\n",
            dir.display().to_string()
        );
        let options = synod_manifest::Options::default();
        let app = synod_manifest::parse(&text, &dir.join("app.toml"), &options).expect("it parses");
        app.services["s"].clone()
    }

    #[test]
    fn a_changed_input_changes_the_digest_and_outputs_do_not() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let service = service(dir.path(), &["./program"]);
        let build = service.build.clone().expect("it has a build");
        fs::write(dir.path().join("main.c"), "one").expect("it writes");
        let before = digest_inputs(&service, &build).expect("it lists");
        fs::create_dir(dir.path().join("target")).expect("it makes a directory");
        fs::write(dir.path().join("target/out"), "x").expect("it writes");
        assert_eq!(before, digest_inputs(&service, &build).expect("it lists"));
        fs::write(dir.path().join("main.c"), "longer").expect("it writes");
        assert_ne!(before, digest_inputs(&service, &build).expect("it lists"));
    }

    #[test]
    fn a_program_or_script_named_in_run_decides_the_version() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let service = service(dir.path(), &["python3", "main.py"]);
        fs::write(dir.path().join("main.py"), "print(1)").expect("it writes");
        let before = digest_programs(&service).expect("it reads");
        fs::write(dir.path().join("other.py"), "print(1)").expect("it writes");
        assert_eq!(before, digest_programs(&service).expect("it reads"));
        fs::write(dir.path().join("main.py"), "print(2)").expect("it writes");
        assert_ne!(before, digest_programs(&service).expect("it reads"));
    }
}
