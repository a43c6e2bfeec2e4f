//! What can be told of an instance before it is started, in better words than the system's.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use synod_manifest::Port;
use thiserror::Error;

/// Why an instance can't be started.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    #[error("its directory {dir} is missing; create it or correct `dir`", dir = .0.display())]
    DirectoryMissing(PathBuf),
    #[error("it has no command to run")]
    NoCommand,
    #[error("no free port was found: {0}")]
    NoPort(io::Error),
    #[error("{program} may not be executed; make it executable with `chmod +x`",
        program = .0.display())]
    NotExecutable(PathBuf),
    #[error(
        "port {name} ({number}) is taken{by}; end what listens there, choose another number, or \
         let Synod choose with \"auto\""
    )]
    PortTaken { name: String, number: u16, by: String },
    #[error("port {name} ({number}) may not be used: {source}")]
    PortRefused { name: String, number: u16, source: io::Error },
    #[error("program {program} was not found in PATH ({path}); install it or give its path")]
    ProgramNotInPath { program: String, path: String },
    #[error("program {program} is missing; build it or correct `run` (directory {dir})",
        program = .program.display(), dir = .dir.display())]
    ProgramMissing { program: PathBuf, dir: PathBuf },
}

/// The file that `program` names: with a slash, relative to `dir`; without, found in `path`.
pub(crate) fn find_program(
    program: &str,
    dir: &Path,
    path: Option<&str>,
) -> Result<PathBuf, StartError> {
    if !dir.is_dir() {
        return Err(StartError::DirectoryMissing(dir.to_owned()));
    }
    if program.is_empty() {
        return Err(StartError::NoCommand);
    }
    if program.contains('/') {
        let file = dir.join(program);
        return match is_executable(&file) {
            Some(true) => Ok(file),
            Some(false) => Err(StartError::NotExecutable(file)),
            None => Err(StartError::ProgramMissing { program: file, dir: dir.to_owned() }),
        };
    }
    let path = path.unwrap_or("/usr/local/bin:/usr/bin:/bin");
    let mut refused = None;
    for directory in path.split(':').filter(|directory| !directory.is_empty()) {
        let file = dir.join(directory).join(program);
        match is_executable(&file) {
            Some(true) => return Ok(file),
            Some(false) => refused = refused.or(Some(file)),
            None => {}
        }
    }
    Err(match refused {
        Some(file) => StartError::NotExecutable(file),
        None => StartError::ProgramNotInPath { program: program.to_owned(), path: path.to_owned() },
    })
}

/// A number for each port: the manifest's, if nobody listens there, or a free one that is not among
/// `used`.
pub(crate) fn choose_ports(
    ports: &[Port],
    used: impl Fn(u16) -> bool,
) -> Result<BTreeMap<String, u16>, StartError> {
    let mut chosen = BTreeMap::new();
    for port in ports {
        let number = match port.number {
            Some(number) => {
                check_port(&port.name, number)?;
                number
            }
            None => loop {
                let number = synod_sys::port::free().map_err(StartError::NoPort)?;
                if !used(number) && !chosen.values().any(|&other| other == number) {
                    break number;
                }
            },
        };
        chosen.insert(port.name.clone(), number);
    }
    Ok(chosen)
}

fn check_port(name: &str, number: u16) -> Result<(), StartError> {
    let name = name.to_owned();
    match synod_sys::port::check(number) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let by = synod_sys::port::listener(number);
            let by = by.map_or_else(String::new, |pid| format!(" by process {pid}"));
            Err(StartError::PortTaken { name, number, by })
        }
        Err(source) => Err(StartError::PortRefused { name, number, source }),
    }
}

/// `None` when there is no such file.
fn is_executable(file: &Path) -> Option<bool> {
    let metadata = fs::metadata(file).ok().filter(fs::Metadata::is_file)?;
    Some(metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use synod_manifest::Protocol;

    use super::*;

    #[test]
    fn a_program_is_found_in_the_path_or_below_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("tool");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        let path = dir.path().to_str().unwrap();
        let find = |program: &str, path| find_program(program, dir.path(), Some(path));

        let refused = find("tool", path).unwrap_err().to_string();
        assert!(refused.contains("chmod"), "{refused}");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find("tool", path).unwrap(), program);
        assert_eq!(find("./tool", "").unwrap(), dir.path().join("./tool"));

        let missing = find("no-such-tool", path).unwrap_err().to_string();
        assert!(missing.contains("no-such-tool") && missing.contains(path), "{missing}");
        let missing = find("bin/none", path).unwrap_err().to_string();
        assert!(missing.contains("bin/none") && missing.contains(path), "{missing}");
        let nowhere = find_program("tool", Path::new("/no/such"), Some(path)).unwrap_err();
        assert!(nowhere.to_string().contains("/no/such"));
    }

    #[test]
    fn ports_are_the_manifests_or_free_ones() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let number = taken.local_addr().unwrap().port();
        let port =
            |name: &str, number| Port { name: name.into(), number, protocol: Protocol::Http };
        let error = choose_ports(&[port("http", Some(number))], |_| false).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&number.to_string()) && text.contains("auto"), "{text}");

        let both = [port("http", None), port("admin", None)];
        let chosen = choose_ports(&both, |_| false).unwrap();
        assert_ne!(chosen["http"], chosen["admin"]);
    }
}
