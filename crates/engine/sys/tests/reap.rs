//! Reaping takes every child of the process, so this test has a process of its own.

use std::process::{Command, Stdio};

use synod_sys::reap::{End, Reaped, any};

#[test]
#[expect(clippy::zombie_processes, reason = "reaping it is what is tested")]
fn every_ended_child_is_taken_whatever_its_group() {
    use std::os::unix::process::CommandExt;
    assert_eq!(any().unwrap(), Reaped::NoChildren);
    let mut command = Command::new("sh");
    command.args(["-c", "read line; exit 5"]).stdin(Stdio::piped()).process_group(0);
    let mut child = command.spawn().unwrap();
    assert_eq!(any().unwrap(), Reaped::StillRunning);
    drop(child.stdin.take());
    let reaped = loop {
        match any().unwrap() {
            Reaped::StillRunning => std::thread::yield_now(),
            reaped => break reaped,
        }
    };
    assert_eq!(reaped, Reaped::Child(child.id(), End::Code(5)));
    assert_eq!(any().unwrap(), Reaped::NoChildren);
}
