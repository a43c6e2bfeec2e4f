use proptest::prelude::*;

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyz";
const CHUNKED: &str =
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n";
const UPGRADE: &str =
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

fn new() -> Inspector {
    Inspector::new(Limits::default())
}

#[test]
fn whole_requests_are_released_together() {
    let text = format!("{GET}{POST}\r\n{CHUNKED}{GET}");
    let mut inspector = new();
    assert_eq!(inspector.inspect(text.as_bytes()), (text.len(), Next::Bytes));
    assert_eq!(inspector.heads(), 4);
}

#[test]
fn a_head_is_released_only_when_whole() {
    let mut inspector = new();
    for end in 0..GET.len() {
        assert_eq!(inspector.inspect(&GET.as_bytes()[..end]), (0, Next::Bytes));
    }
    assert_eq!(inspector.inspect(GET.as_bytes()), (GET.len(), Next::Bytes));
}

#[test]
fn a_refused_head_keeps_the_requests_before_it() {
    let text = format!("{POST}GET / HTTP/1.1\r\n\r\n{GET}");
    let mut inspector = new();
    let want = (POST.len(), Next::RefuseHead(Refusal::HostMissing));
    assert_eq!(inspector.inspect(text.as_bytes()), want);
    assert_eq!(inspector.inspect(GET.as_bytes()), (0, Next::RefuseHead(Refusal::HostMissing)));
}

#[test]
fn a_refused_body_is_not_released() {
    let text = CHUNKED.replace("3\r\nxyz", "zz\r\n");
    let mut inspector = new();
    let (released, next) = inspector.inspect(text.as_bytes());
    assert_eq!(next, Next::RefuseBody(Refusal::ChunkMalformed));
    assert!(released <= text.find("zz").unwrap());
}

#[test]
fn bytes_after_an_upgrade_wait_for_the_answer() {
    let text = format!("{UPGRADE}{GET}");
    let mut declined = new();
    assert_eq!(declined.inspect(text.as_bytes()), (UPGRADE.len(), Next::Answer));
    assert_eq!(declined.inspect(GET.as_bytes()), (0, Next::Answer));
    declined.declined();
    assert_eq!(declined.inspect(GET.as_bytes()), (GET.len(), Next::Bytes));

    let mut upgraded = new();
    assert_eq!(upgraded.inspect(text.as_bytes()), (UPGRADE.len(), Next::Answer));
    upgraded.upgraded();
    assert_eq!(upgraded.inspect(b"\x81\x00\n"), (3, Next::Bytes));
}

#[test]
fn a_bare_line_feed_is_refused_before_the_head_ends() {
    for text in ["GET / HTTP/1.1\n", "\n", "GET / HTTP/1.1\r\nHost: a\r\n\n"] {
        let want = (0, Next::RefuseHead(Refusal::BareLineFeed));
        assert_eq!(new().inspect(text.as_bytes()), want, "{text:?}");
    }
}

#[test]
fn an_endless_head_is_refused() {
    let text = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(70_000));
    let want = (0, Next::RefuseHead(Refusal::HeadersTooLarge));
    assert_eq!(new().inspect(text.as_bytes()), want);
}

/// Feeds `text` cut at `cuts` and returns everything released and how it ended.
fn feed(text: &[u8], cuts: &[usize]) -> (Vec<u8>, Next) {
    let mut inspector = new();
    let (mut released, mut pending, mut next) = (Vec::new(), Vec::new(), Next::Bytes);
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    for pair in cuts.windows(2) {
        pending.extend_from_slice(&text[pair[0]..pair[1]]);
        let (count, after) = inspector.inspect(&pending);
        released.extend(pending.drain(..count));
        next = after;
        if matches!(next, Next::RefuseHead(_) | Next::RefuseBody(_)) {
            break;
        }
    }
    (released, next)
}

proptest! {
    #[test]
    fn cuts_do_not_change_the_verdict(
        parts in prop::collection::vec(
            prop::sample::select(vec![GET, POST, CHUNKED, UPGRADE, "\r\n", "X: y\r\n", "\n", "3"]),
            0..6,
        ),
        cuts in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let text = parts.concat();
        let (whole, verdict) = feed(text.as_bytes(), &[]);
        let (pieces, piecewise) = feed(text.as_bytes(), &cuts);
        prop_assert_eq!(verdict, piecewise);
        // A malformed body is noticed mid-chunk, so more or less of it may be out by then.
        if !matches!(verdict, Next::RefuseBody(_)) {
            prop_assert_eq!(whole, pieces);
        }
    }

    #[test]
    fn any_bytes_end_in_a_verdict(text in prop::collection::vec(any::<u8>(), 0..400)) {
        let (released, _) = new().inspect(&text);
        prop_assert!(released <= text.len());
    }
}
