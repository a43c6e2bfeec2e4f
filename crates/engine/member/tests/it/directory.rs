//! Directories that can't be opened, each with an error that says what to do.

use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};

use synod_member::{Member, OpenError};

use crate::subject::{open, options, put};

fn refusal(directory: &Path) -> String {
    let error = Member::open(options(directory)).expect_err("refused");
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{source}")
}

fn file(directory: &Path, prefix: &str) -> PathBuf {
    let mut names: Vec<PathBuf> = fs::read_dir(directory.join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix))
        .collect();
    names.sort();
    names.swap_remove(0)
}

#[tokio::test]
async fn a_second_member_on_a_directory_is_told_who_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let member = open(directory.path());
    let text = refusal(directory.path());
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    assert!(text.contains("lock"), "{text}");
    member.shutdown().await;
    open(directory.path());
}

#[tokio::test]
async fn damage_names_file_offset_and_remedy_and_leaves_the_bytes_alone() {
    let directory = tempfile::tempdir().unwrap();
    let member = open(directory.path());
    for n in 0..20 {
        put(&member.store(), &format!("key-{n}"), "value").await.unwrap();
    }
    member.shutdown().await;
    let segment = file(directory.path(), "wal-");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[600] ^= 1;
    fs::write(&segment, &bytes).unwrap();

    let text = refusal(directory.path());
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert!(text.contains(name) && text.contains("at byte") && text.contains("backup"), "{text}");
    assert_eq!(fs::read(&segment).unwrap(), bytes);
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).shutdown().await;
    let format = file(directory.path(), "synod.format");
    let mut bytes = fs::read(&format).unwrap();
    bytes[8] = 7;
    fs::write(&format, bytes).unwrap();
    let text = refusal(directory.path());
    assert!(text.contains("format 7"), "{text}");
}

#[test]
fn a_file_where_the_directory_should_be_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("data"), "").unwrap();
    let error = Member::open(options(directory.path())).expect_err("no directory");
    assert!(matches!(error, OpenError::Directory { .. }), "{error}");
}

#[tokio::test]
async fn directories_above_are_made_too_for_this_user_only() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let nested = directory.path().join("one/two");
    open(&nested).shutdown().await;
    for made in [&nested.join("data"), &nested, &directory.path().join("one")] {
        assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700, "{made:?}");
    }
}

#[tokio::test]
async fn foreign_files_do_not_disturb() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).shutdown().await;
    fs::write(directory.path().join("data/notes.txt"), "mine").unwrap();
    open(directory.path()).shutdown().await;
    assert!(directory.path().join("data/notes.txt").exists());
}
