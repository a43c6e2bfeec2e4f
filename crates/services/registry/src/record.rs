//! What the store keeps: a value that is read together with its key.

use std::fmt::Debug;

use serde::Serialize;
use synod_store::KeyValue;

/// A value kept as JSON under a key that says whose it is.
pub trait Record: Clone + Debug + Serialize + Sized {
    /// The key, taken apart.
    type Key: Clone + Debug + Ord;

    /// Takes the text of a key apart; `None` when it is not this record's.
    fn parse_key(key: &str) -> Option<Self::Key>;

    /// Reads a value.
    ///
    /// # Errors
    /// When the value is not this record's, or belongs under another key.
    fn decode(key: &Self::Key, value: &[u8]) -> Result<Self, String>;
}

/// A value in the store that cannot be read. It counts as absent until it is written anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value of key {key} cannot be read: {reason}; write it again or delete the key")]
pub struct Corrupt {
    /// The key.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Reads a version of a key.
pub(crate) fn read<R: Record>(kv: &KeyValue) -> Result<(R::Key, R), Corrupt> {
    let text = kv.key.to_text_lossy();
    let corrupt = |reason: String| Corrupt { key: text.clone(), reason };
    let key = R::parse_key(&text).ok_or_else(|| corrupt("the key has no place here".into()))?;
    let record = R::decode(&key, &kv.value).map_err(corrupt)?;
    Ok((key, record))
}

/// Reads versions of keys, putting aside and reporting those that cannot be read.
pub(crate) fn read_all<'a, R: Record>(
    kvs: impl Iterator<Item = &'a KeyValue>,
    corrupt: &mut Vec<Corrupt>,
) -> Vec<(R::Key, R)> {
    let read_one = |kv| read::<R>(kv).map_err(|bad| corrupt.push(report(bad))).ok();
    kvs.filter_map(read_one).collect()
}

/// Tells the operator of a value that cannot be read.
pub(crate) fn report(corrupt: Corrupt) -> Corrupt {
    tracing::warn!(key = corrupt.key, reason = corrupt.reason, "skipping an unreadable value");
    corrupt
}

/// The JSON of a record.
pub(crate) fn encode<R: Record>(record: &R) -> Vec<u8> {
    serde_json::to_vec(record).expect("records have string keys and no failing serializers")
}
