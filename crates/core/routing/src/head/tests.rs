use super::*;

fn inspect(head: &str) -> Result<Head, Refusal> {
    inspect_head(head.as_bytes(), Limits::default())
}

/// The refusal of a POST with these header lines, which come after its host.
fn with(lines: &str) -> Result<BodyLength, Refusal> {
    inspect(&format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).map(|head| head.body)
}

#[test]
fn lengths_have_one_reading() {
    use BodyLength::{Chunked, Exactly};
    use Refusal::{ConflictingLengths, ContentLengthInvalid, TransferEncodingInvalid};
    let rows: &[(&str, Result<BodyLength, Refusal>)] = &[
        ("", Ok(Exactly(0))),
        ("Content-Length: 2\r\n", Ok(Exactly(2))),
        ("content-length:\t 0002 \t\r\n", Ok(Exactly(2))),
        ("Transfer-Encoding: chunked\r\n", Ok(Chunked)),
        ("Transfer-Encoding:CHUNKED\r\n", Ok(Chunked)),
        ("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", Err(ConflictingLengths)),
        ("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", Err(ConflictingLengths)),
        ("Transfer-Encoding: identity, chunked\r\n", Err(TransferEncodingInvalid)),
        ("Transfer-Encoding: chunked, identity\r\n", Err(TransferEncodingInvalid)),
        ("Transfer-Encoding: xchunked\r\n", Err(TransferEncodingInvalid)),
        ("Transfer-Encoding:\r\n", Err(TransferEncodingInvalid)),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            Err(TransferEncodingInvalid),
        ),
        ("Transfer-Encoding: \x0bchunked\r\n", Err(Refusal::HeaderInvalid)),
        ("Transfer-Encoding : chunked\r\n", Err(Refusal::HeaderInvalid)),
        ("Content-Length: 2\r\nContent-Length: 2\r\n", Err(ContentLengthInvalid)),
        ("Content-Length: 2, 2\r\n", Err(ContentLengthInvalid)),
        ("Content-Length: +2\r\n", Err(ContentLengthInvalid)),
        ("Content-Length: -1\r\n", Err(ContentLengthInvalid)),
        ("Content-Length: 0x2\r\n", Err(ContentLengthInvalid)),
        ("Content-Length:\r\n", Err(ContentLengthInvalid)),
        ("Content-Length: 99999999999999999999\r\n", Err(ContentLengthInvalid)),
        ("Content-Length: 18446744073709551615\r\n", Err(ContentLengthInvalid)),
        ("X: a\r\n b\r\n", Err(Refusal::ObsoleteFold)),
        ("X: a\rb\r\n", Err(Refusal::HeaderInvalid)),
        ("X: a\0b\r\n", Err(Refusal::HeaderInvalid)),
        ("X: a\nY: b\r\n", Err(Refusal::BareLineFeed)),
        (": a\r\n", Err(Refusal::HeaderInvalid)),
        ("nocolon\r\n", Err(Refusal::HeaderInvalid)),
        ("X: caf\u{e9}\r\n", Ok(Exactly(0))),
        ("Host: a\r\n", Err(Refusal::HostRepeated)),
    ];
    for (lines, want) in rows {
        assert_eq!(with(lines), *want, "{lines:?}");
    }
}

#[test]
fn http_1_0_has_no_transfer_encoding() {
    let head = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(inspect(head), Err(Refusal::TransferEncodingInvalid));
}

#[test]
fn request_lines_have_three_words() {
    use Refusal::{
        ConnectMethod, Fragment, HostInvalid, HostMismatch, RequestLineInvalid, TargetInvalid,
        VersionUnsupported,
    };
    let rows: &[(&str, Option<Refusal>)] = &[
        ("GET / HTTP/1.1", None),
        ("get-it! /x?y=/../%zz HTTP/1.1", None),
        ("OPTIONS * HTTP/1.1", None),
        ("GET http://a/x HTTP/1.1", None),
        ("GET HTTP://A:80?x HTTP/1.1", None),
        ("GET http://b/x HTTP/1.1", Some(HostMismatch)),
        ("GET http://a:81/x HTTP/1.1", Some(HostMismatch)),
        ("GET https://a/ HTTP/1.1", None),
        ("GET https://a:80/ HTTP/1.1", Some(HostMismatch)),
        ("GET http://u@a/x HTTP/1.1", Some(HostInvalid)),
        ("GET http:///x HTTP/1.1", Some(HostInvalid)),
        ("GET ftp://a/ HTTP/1.1", Some(TargetInvalid)),
        ("GET * HTTP/1.1", Some(TargetInvalid)),
        ("GET a HTTP/1.1", Some(TargetInvalid)),
        ("GET /a#f HTTP/1.1", Some(Fragment)),
        ("GET /\u{e9} HTTP/1.1", Some(TargetInvalid)),
        ("GET /\u{7f} HTTP/1.1", Some(TargetInvalid)),
        ("GET  /  HTTP/1.1", Some(RequestLineInvalid)),
        ("GET\t/ HTTP/1.1", Some(RequestLineInvalid)),
        ("GET / HTTP/1.1 ", Some(RequestLineInvalid)),
        ("G(T / HTTP/1.1", Some(RequestLineInvalid)),
        (" / HTTP/1.1", Some(RequestLineInvalid)),
        ("GET /", Some(RequestLineInvalid)),
        ("", Some(RequestLineInvalid)),
        ("GET / http/1.1", Some(RequestLineInvalid)),
        ("GET / HTTP/1.2", Some(VersionUnsupported)),
        ("GET / HTTP/2.0", Some(VersionUnsupported)),
        ("CONNECT a:80 HTTP/1.1", Some(ConnectMethod)),
    ];
    for (line, want) in rows {
        let got = inspect(&format!("{line}\r\nHost: a\r\n\r\n")).err();
        assert_eq!(got, *want, "{line:?}");
    }
}

#[test]
fn a_host_is_given_once_and_plain() {
    let host = |lines: &str| inspect(&format!("GET / HTTP/1.1\r\n{lines}\r\n")).err();
    assert_eq!(host(""), Some(Refusal::HostMissing));
    assert_eq!(host("Host:\r\n"), Some(Refusal::HostInvalid));
    assert_eq!(host("Host: a@b\r\n"), Some(Refusal::HostInvalid));
    assert_eq!(host("Host: a:8x\r\n"), Some(Refusal::HostInvalid));
    assert_eq!(host("Host: a, b\r\n"), Some(Refusal::HostInvalid));
    assert_eq!(host("Host: a\r\nhost: b\r\n"), Some(Refusal::HostRepeated));
    assert_eq!(host("Host: [::1]:80\r\n"), None);
}

#[test]
fn only_a_plain_get_for_websocket_may_upgrade() {
    let rows = [
        ("GET / HTTP/1.1", "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n", true),
        ("GET / HTTP/1.1", "Upgrade: websocket\r\n", false),
        ("GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: h2c\r\n", false),
        ("GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n", false),
        ("GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: x\r\nUpgrade: websocket\r\n", false),
        ("POST / HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket\r\n", false),
        ("GET / HTTP/1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n", false),
        (
            "GET / HTTP/1.1",
            "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n",
            false,
        ),
    ];
    for (line, lines, want) in rows {
        let head = inspect(&format!("{line}\r\nHost: a\r\n{lines}\r\n")).unwrap();
        assert_eq!(head.is_websocket, want, "{line} {lines:?}");
    }
}

#[test]
fn limits_hold_exactly() {
    let limits = Limits { headers_max: 3, head_size_max: 60 };
    let of = |extra: usize| {
        let lines = "X: y\r\n".repeat(extra);
        inspect_head(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes(), limits)
    };
    assert!(of(2).is_ok());
    assert_eq!(of(3), Err(Refusal::TooManyHeaders));
    assert_eq!(of(30), Err(Refusal::HeadersTooLarge));
}
