//! A table whose keys are known: unknown ones are reported when it is opened.

use std::ops::Range;

use crate::document::{Entry, Node, Value, join};
use crate::reader::{Reader, did_you_mean, list};

/// The keys of a kind of table.
pub(crate) struct Keys {
    /// Those that can be used.
    pub(crate) now: &'static [&'static str],
    /// Those that are planned: naming one is not a slip, but it cannot be used yet.
    pub(crate) later: &'static [&'static str],
}

/// A table with its keys checked.
pub(crate) struct Section<'a> {
    reader: &'a Reader<'a>,
    path: &'a str,
    span: &'a Range<usize>,
    entries: &'a [Entry],
    keys: &'static Keys,
}

impl<'a> Section<'a> {
    /// Opens a table and reports the keys that cannot be used in it.
    pub(crate) fn open(
        reader: &'a Reader<'a>,
        node: &'a Node,
        keys: &'static Keys,
    ) -> Option<Self> {
        let entries = open_map(reader, node)?;
        for entry in entries {
            report_key(reader, entry, keys);
        }
        Some(Self { reader, path: &node.path, span: &node.span, entries, keys })
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        assert!(self.keys.now.contains(&key), "{key} is read but not among the known keys");
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The value of a key that must be there.
    pub(crate) fn require(&self, key: &str, help: &str) -> Option<&'a Node> {
        let node = self.get(key);
        if node.is_none() {
            let path = join(self.path, key);
            self.reader.report_at(self.span, &path, "is missing", Some(help.to_owned()));
        }
        node
    }

    /// Whether a key is there that cannot be used yet.
    pub(crate) fn names_later(&self, keys: &[&str]) -> bool {
        self.entries.iter().any(|entry| keys.contains(&entry.key.as_str()))
    }
}

/// Opens a table whose keys are names that the user chose.
pub(crate) fn open_map<'a>(reader: &Reader<'_>, node: &'a Node) -> Option<&'a [Entry]> {
    if let Value::Table(entries) = &node.value {
        return Some(entries);
    }
    reader.report(node, format!("must be a table, found {}", node.kind()));
    None
}

fn report_key(reader: &Reader<'_>, entry: &Entry, keys: &Keys) {
    let key = entry.key.as_str();
    if keys.now.contains(&key) {
        return;
    }
    let help = Some(list("the keys here are", keys.now));
    let message = if keys.later.contains(&key) {
        "not supported yet".to_owned()
    } else {
        format!("unknown key{}", did_you_mean(key, keys.now.iter().copied()))
    };
    reader.report_at(&entry.key_span, &entry.node.path, message, help);
}
