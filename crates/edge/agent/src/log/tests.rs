use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::cursor::Cursor;
use super::record::LINE_BYTES_MAX;
use super::segment::segments;
use super::*;

struct Node {
    data: TempDir,
}

impl Node {
    fn new() -> Self {
        Self { data: tempfile::tempdir().unwrap() }
    }

    fn slot(&self, service: &str, slot: u32) -> PathBuf {
        slot_directory(&self.data.path().join("logs"), "shop", service, slot)
    }

    fn writer(&self, service: &str, slot: u32, limits: SegmentLimits) -> LogWriter {
        LogWriter::new(self.slot(service, slot), limits, format!("{service}-{slot}-1"))
    }

    fn print(&self, service: &str, slot: u32, lines: &[(u64, &str)]) {
        let mut writer = self.writer(service, slot, SegmentLimits::default());
        for (at_us, line) in lines {
            writer.print(*at_us, Stream::Stdout, format!("{line}\n").as_bytes());
        }
    }

    fn query(&self, query: LogQuery) -> LogLines {
        LogReader::new(self.data.path()).query(query).unwrap()
    }

    async fn read(&self, query: LogQuery) -> Vec<String> {
        let mut lines = self.query(query);
        let mut texts = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            texts.push(line.text);
        }
        texts
    }
}

fn shop() -> LogQuery {
    LogQuery::new("shop")
}

fn append(directory: &Path, bytes: &[u8]) {
    let newest = *segments(directory).unwrap().last().unwrap();
    let path = super::segment::segment_path(directory, newest);
    OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[tokio::test]
async fn slots_are_merged_by_time() {
    let node = Node::new();
    node.print("web", 0, &[(1_000, "a"), (4_000, "d")]);
    node.print("web", 1, &[(2_000, "b")]);
    node.print("api", 0, &[(3_000, "c"), (5_000, "e")]);
    assert_eq!(node.read(shop()).await, ["a", "b", "c", "d", "e"]);
    assert_eq!(node.read(LogQuery { tail: Some(3), ..shop() }).await, ["c", "d", "e"]);
    assert_eq!(node.read(LogQuery { since_ms: Some(3), ..shop() }).await, ["c", "d", "e"]);
    let web = LogQuery { services: vec!["web".into()], tail: Some(2), ..shop() };
    assert_eq!(node.read(web).await, ["b", "d"]);
    let one = LogQuery { instance: Some("api-0-1".into()), tail: Some(1), ..shop() };
    assert_eq!(node.read(one).await, ["e"]);
    assert!(node.read(LogQuery::new("other")).await.is_empty());
}

#[tokio::test]
async fn old_segments_make_room_and_reading_goes_over_their_borders() {
    let node = Node::new();
    let limits = SegmentLimits { segment_bytes: 200, segments: 3 };
    let mut writer = node.writer("web", 0, limits);
    for number in 0..100 {
        writer.print(number * 1000, Stream::Stdout, format!("line {number}\n").as_bytes());
    }
    assert_eq!(segments(&node.slot("web", 0)).unwrap().len(), 3);
    let kept = node.read(shop()).await;
    assert!(kept.len() >= 10 && kept.len() < 40, "{}", kept.len());
    let first = 100 - kept.len();
    let expected: Vec<_> = (first..100).map(|number| format!("line {number}")).collect();
    assert_eq!(kept, expected);
    for tail in [0, 1, 7, 12, kept.len(), 1000] {
        let lines = node.read(LogQuery { tail: Some(tail), ..shop() }).await;
        assert_eq!(lines, kept[kept.len() - tail.min(kept.len())..], "tail {tail}");
    }
    for since in [0, 85, 93, 99, 100] {
        let lines = node.read(LogQuery { since_ms: Some(since), ..shop() }).await;
        let since = usize::try_from(since).unwrap().max(first);
        assert_eq!(lines, expected[since - first..], "since {since}");
    }
}

#[tokio::test]
async fn a_large_batch_is_spread_over_segments() {
    let node = Node::new();
    let limits = SegmentLimits { segment_bytes: 1000, segments: 3 };
    let mut writer = node.writer("web", 0, limits);
    let lines: Vec<_> = (0..500).map(|number| format!("line {number}")).collect();
    writer.print(1, Stream::Stdout, format!("{}\n", lines.join("\n")).as_bytes());
    let kept = node.read(shop()).await;
    assert!(kept.len() > 50 && kept.len() < 150, "{}", kept.len());
    assert_eq!(kept, lines[500 - kept.len()..]);
    for sequence in segments(&node.slot("web", 0)).unwrap() {
        let path = super::segment::segment_path(&node.slot("web", 0), sequence);
        assert!(fs::metadata(path).unwrap().len() < 1100);
    }
}

#[tokio::test]
async fn a_restarted_writer_goes_on_where_the_last_one_ended() {
    let node = Node::new();
    node.print("web", 0, &[(1, "before")]);
    node.print("web", 0, &[(2, "after")]);
    assert_eq!(segments(&node.slot("web", 0)).unwrap(), [0]);
    assert_eq!(node.read(shop()).await, ["before", "after"]);
}

#[tokio::test]
async fn a_torn_record_is_passed_over() {
    let node = Node::new();
    node.print("web", 0, &[(1, "whole")]);
    append(&node.slot("web", 0), b"2 o web-0-1 to");
    assert_eq!(node.read(shop()).await, ["whole"]);
    // The torn text is closed and stays a record of what there is of it.
    node.print("web", 0, &[(3, "next")]);
    assert_eq!(node.read(shop()).await, ["whole", "to", "next"]);
    append(&node.slot("web", 0), b"\xff\xfenonsense\n");
    node.print("web", 0, &[(4, "last")]);
    assert_eq!(node.read(LogQuery { since_ms: Some(0), ..shop() }).await.last().unwrap(), "last");
}

#[tokio::test]
async fn following_goes_on_over_new_lines_segments_and_slots() {
    let node = Node::new();
    let mut lines = node.query(LogQuery { follow: true, ..shop() });
    let limits = SegmentLimits { segment_bytes: 64, segments: 2 };
    let mut writer = node.writer("web", 0, limits);
    for number in 0..20 {
        writer.print(number, Stream::Stderr, format!("line {number}\n").as_bytes());
        let line = lines.next().await.unwrap().unwrap();
        assert_eq!((line.text, line.stream), (format!("line {number}"), Stream::Stderr));
    }
    node.print("api", 3, &[(99, "another slot")]);
    let line = lines.next().await.unwrap().unwrap();
    assert_eq!((line.text.as_str(), line.service.as_str(), line.slot), ("another slot", "api", 3));
}

#[tokio::test]
async fn a_follower_that_starts_late_first_gets_the_tail() {
    let node = Node::new();
    node.print("web", 0, &[(1, "one"), (2, "two"), (3, "three")]);
    let mut lines = node.query(LogQuery { follow: true, tail: Some(1), ..shop() });
    assert_eq!(lines.next().await.unwrap().unwrap().text, "three");
    node.print("web", 0, &[(4, "four")]);
    assert_eq!(lines.next().await.unwrap().unwrap().text, "four");
}

#[tokio::test]
async fn lines_are_put_together_from_pieces_and_long_ones_are_cut() {
    let node = Node::new();
    let mut writer = node.writer("web", 0, SegmentLimits::default());
    writer.print(1, Stream::Stdout, b"hel");
    writer.print(1, Stream::Stderr, b"oops\n");
    writer.print(2, Stream::Stdout, b"lo\r\n\nno end");
    writer.finish(3);
    let long = "x".repeat(LINE_BYTES_MAX * 2 + 5);
    writer.print(4, Stream::Stdout, long.as_bytes());
    writer.print(4, Stream::Stdout, b"\n");
    let mut lines = node.query(shop());
    for text in ["oops", "hello", "", "no end"] {
        assert_eq!(lines.next().await.unwrap().unwrap().text, text);
    }
    let mut whole = String::new();
    loop {
        let line = lines.next().await.unwrap().unwrap();
        assert!(line.text.len() <= LINE_BYTES_MAX);
        whole.push_str(&line.text);
        if !line.continues {
            break;
        }
    }
    assert_eq!(whole.len(), long.len());
}

#[tokio::test]
async fn what_cannot_be_written_is_counted_and_told() {
    let node = Node::new();
    let directory = node.slot("web", 0);
    let mut writer = node.writer("web", 0, SegmentLimits::default());
    // A file where the directory should be refuses every write, also for root.
    fs::create_dir_all(directory.parent().unwrap()).unwrap();
    fs::write(&directory, "").unwrap();
    writer.print(1, Stream::Stdout, b"one\ntwo\n");
    writer.print(2, Stream::Stdout, b"three\n");
    assert_eq!(writer.dropped(), 3);
    fs::remove_file(&directory).unwrap();
    writer.print(3, Stream::Stdout, b"four\n");
    assert_eq!(writer.dropped(), 3);
    let lines = node.read(shop()).await;
    assert!(lines[0].starts_with("3 lines are missing here: "), "{lines:?}");
    assert_eq!(lines[1..], ["four"]);
}

/// A query for what is there ends, however fast more is printed.
#[tokio::test]
async fn a_query_ends_where_the_log_ended_when_it_began() {
    let node = Node::new();
    node.print("web", 0, &[(1_000, "a"), (2_000, "b")]);
    let slot = node.slot("web", 0);
    let mut cursor = Cursor::new(slot.clone(), "web".into(), 0);
    cursor.end_here().unwrap();
    let limits = SegmentLimits { segment_bytes: 1, segments: 9 };
    let mut writer = node.writer("web", 0, limits);
    for text in ["c", "d"] {
        writer.print(3_000, Stream::Stdout, format!("{text}\n").as_bytes());
    }
    assert!(segments(&slot).unwrap().len() > 1, "the later lines are in segments of their own");
    let rest = |cursor: &mut Cursor| -> Vec<String> {
        std::iter::from_fn(|| cursor.next().unwrap()).map(|line| line.text).collect()
    };
    assert_eq!(rest(&mut cursor), ["a", "b"]);
    cursor.go_on();
    assert_eq!(rest(&mut cursor), ["c", "d"]);

    // The same through the front door, where the printing never pauses.
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let printing = {
        let mut writer = node.writer("web", 1, SegmentLimits::default());
        let over = over.clone();
        let lines = "0123456789\n".repeat(5_000);
        std::thread::spawn(move || {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                writer.print(4_000, Stream::Stdout, lines.as_bytes());
            }
        })
    };
    let read = async {
        for tail in [Some(2), None] {
            let mut lines = node.query(LogQuery { tail, ..shop() });
            while lines.next().await.unwrap().is_some() {}
        }
    };
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), read).await;
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    printing.join().unwrap();
    ended.expect("reading ends though printing does not");
}
