//! Requests and the bytes of the log.

use proptest::prelude::*;
use synod_base::{decode_all, encode_to_vec};
use synod_keyspace::{Held, Request, Restore};

use crate::generate::request;

proptest! {
    #[test]
    fn requests_come_back_from_their_bytes(request in request()) {
        let bytes = encode_to_vec(&request);
        prop_assert_eq!(decode_all::<Request>(&bytes), Ok(request));
    }

    /// Whatever decodes is canonical: it encodes to the same bytes.
    #[test]
    fn mutated_bytes_never_panic_and_stay_canonical(
        request in request(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encode_to_vec(&request);
        *at.get_mut(&mut bytes) = byte;
        if let Ok(other) = decode_all::<Request>(&bytes) {
            prop_assert_eq!(encode_to_vec(&other), bytes.clone());
        }
        bytes.truncate(cut.index(bytes.len()));
        if let Ok(other) = decode_all::<Request>(&bytes) {
            prop_assert_eq!(encode_to_vec(&other), bytes);
        }
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_all::<Request>(&bytes);
        let mut restore = Restore::new(Held::default());
        let _ = restore.push(&bytes);
        if let Some(version) = bytes.first_mut() {
            *version = 1;
        }
        let _ = decode_all::<Request>(&bytes);
        let _ = Restore::new(Held::default()).push(&bytes);
    }
}
