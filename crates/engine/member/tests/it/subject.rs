//! Opening members and asking them.

use std::path::Path;

use synod_member::{Member, MemberStore, Options};
use synod_store::{
    Consistency, Error, KeyRange, Op, Put, RangeRequest, Revision, SYNOD, Store, Txn,
};

/// Small sizes, so that a short run crosses segments and snapshots.
pub(crate) fn options(directory: &Path) -> Options {
    let mut options = Options::new(directory.join("data"));
    options.replica.segment_bytes = 64 << 10;
    options.replica.snapshot_after_bytes = 128 << 10;
    options.replica.snapshot_chunk_bytes = 4 << 10;
    options
}

pub(crate) fn open(directory: &Path) -> Member {
    Member::open(options(directory)).expect("the directory is intact and free")
}

pub(crate) async fn put(store: &MemberStore, key: &str, value: &str) -> Result<Revision, Error> {
    let txn = Txn::new(vec![Op::Put(Put::new(SYNOD, key, value))]);
    Ok(store.txn(txn).await?.changed[0].1)
}

pub(crate) async fn value(store: &MemberStore, key: &str) -> Option<String> {
    let request = RangeRequest::new(SYNOD, KeyRange::key(key));
    let range = store.range(request, Consistency::Linearizable).await.expect("it can be read");
    range.kvs.first().map(|kv| kv.value.to_text_lossy())
}
