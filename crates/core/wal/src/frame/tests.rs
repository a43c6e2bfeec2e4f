use super::*;

fn stream() -> FrameStream {
    FrameStream::segment(ClusterId::new(0x51), 3)
}

fn entry(payload: &[u8]) -> Vec<u8> {
    let head = FrameHead {
        kind: FrameKind::Entry,
        group: GroupId::new(1),
        batch: 64,
        index: LogIndex::new(9),
        term: Term::new(2),
    };
    let mut out = Vec::new();
    stream().encode(&mut out, 128, &head, |out| out.extend_from_slice(payload));
    out
}

#[test]
fn golden_bytes() {
    #[rustfmt::skip]
    let body = [
        3, 0, 0, 0, 3, 1, 0, 0, // len, kind, version, reserved
        1, 0, 0, 0, 64, 0, 0, 0, // group, batch
        9, 0, 0, 0, 0, 0, 0, 0, // index
        2, 0, 0, 0, 0, 0, 0, 0, // term
        b'a', b'b', b'c', 0, 0, 0, 0, 0, // payload, padding
    ];
    let frame = entry(b"abc");
    assert_eq!(frame[8..], body);
    assert_eq!(frame[..8], [88, 207, 120, 144, 114, 181, 64, 240], "checksum");
}

#[test]
fn a_frame_reads_back_only_at_its_place() {
    let bytes = entry(b"abc");
    let frame = stream().decode(&bytes, 128).expect("intact");
    assert_eq!((frame.payload, frame.end, frame.head.batch), (&b"abc"[..], 48, 64));
    assert_eq!(stream().decode(&bytes, 136), Err(Flaw::Broken), "another offset");
    let elsewhere = [
        FrameStream::segment(ClusterId::new(0x51), 4),
        FrameStream::segment(ClusterId::new(0x52), 3),
        FrameStream::snapshot(ClusterId::new(0x51), LogIndex::new(3)),
    ];
    for other in elsewhere {
        assert_eq!(other.decode(&bytes, 128), Err(Flaw::Broken), "{other:?}");
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_seen() {
    let bytes = entry(b"abc");
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(stream().decode(&flipped, 128), Err(Flaw::Broken), "bit {bit}");
    }
    for cut in 1..bytes.len() {
        let flaw = stream().decode(&bytes[..cut], 128).expect_err("cut");
        assert_eq!(flaw, Flaw::Broken, "cut at {cut}");
    }
}

#[test]
fn zeros_are_blank_and_newer_frames_unsupported() {
    assert_eq!(stream().decode(&[], 128), Err(Flaw::Blank));
    assert_eq!(stream().decode(&[0; 99], 128), Err(Flaw::Blank));
    let mut newer = entry(b"abc");
    newer[13] = 2;
    let sum = checksum(stream().seed(128), &newer[8..]);
    newer[..8].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(stream().decode(&newer, 128), Err(Flaw::Unsupported { kind: 3, version: 2 }));
}
