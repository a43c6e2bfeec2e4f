//! The manifest as a tree of values that know their place and their key path.
//!
//! The tree is separate from the TOML library's so that a profile can be laid over it while
//! every value keeps the place it was written at.

use std::ops::Range;

use toml_edit::{Document, Item, Key, TableLike, TomlError, Value as TomlValue};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The key path, for people: `service.api.needs[1]`.
    pub(crate) path: String,
    /// The bytes of the text. For a table its header or its key.
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Array(Vec<Node>),
    Boolean(bool),
    Datetime,
    Float,
    Integer(i64),
    String(String),
    Table(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) node: Node,
}

impl Node {
    /// Reads TOML text.
    pub(crate) fn parse(text: &str) -> Result<Self, TomlError> {
        let document = Document::parse(text)?;
        let entries = entries_of(document.as_table(), "");
        Ok(Self { path: String::new(), span: 0..0, value: Value::Table(entries) })
    }

    /// The entries when this is a table, none otherwise.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The value of a key when this is a table that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// Lays `over` on this value: tables are merged key by key, anything else is replaced.
    pub(crate) fn merge(&mut self, over: &Self) {
        let (Value::Table(entries), Value::Table(over_entries)) = (&mut self.value, &over.value)
        else {
            *self = over.clone();
            return;
        };
        for entry in over_entries {
            match entries.iter_mut().find(|own| own.key == entry.key) {
                Some(own) => {
                    own.key_span = entry.key_span.clone();
                    own.node.merge(&entry.node);
                }
                None => entries.push(entry.clone()),
            }
        }
    }

    /// Adds the places of all keys and plain values below this node.
    pub(crate) fn collect_spans(&self, spans: &mut Vec<Range<usize>>) {
        spans.push(self.span.clone());
        for entry in self.entries() {
            spans.push(entry.key_span.clone());
            entry.node.collect_spans(spans);
        }
    }

    /// What this is, for "must be ..., found ...".
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Array(_) => "a list",
            Value::Boolean(_) => "a boolean",
            Value::Datetime => "a date or time",
            Value::Float => "a float",
            Value::Integer(_) => "an integer",
            Value::String(_) => "a string",
            Value::Table(_) => "a table",
        }
    }

    fn from_item(item: &Item, path: String, key_span: &Range<usize>) -> Self {
        match item {
            Item::Value(value) => Self::from_value(value, path, key_span),
            Item::Table(table) => {
                let span = table.span().unwrap_or_else(|| key_span.clone());
                let value = Value::Table(entries_of(table, &path));
                Self { path, span, value }
            }
            Item::ArrayOfTables(tables) => {
                let nodes = tables.iter().enumerate().map(|(index, table)| {
                    let path = format!("{path}[{index}]");
                    let span = table.span().unwrap_or_else(|| key_span.clone());
                    let value = Value::Table(entries_of(table, &path));
                    Self { path, span, value }
                });
                let value = Value::Array(nodes.collect());
                Self { path, span: key_span.clone(), value }
            }
            Item::None => Self { path, span: key_span.clone(), value: Value::Table(Vec::new()) },
        }
    }

    fn from_value(value: &TomlValue, path: String, outer: &Range<usize>) -> Self {
        let span = value.span().unwrap_or_else(|| outer.clone());
        let value = match value {
            TomlValue::Array(array) => {
                let node =
                    |(index, value)| Self::from_value(value, format!("{path}[{index}]"), &span);
                Value::Array(array.iter().enumerate().map(node).collect())
            }
            TomlValue::Boolean(boolean) => Value::Boolean(*boolean.value()),
            TomlValue::Datetime(_) => Value::Datetime,
            TomlValue::Float(_) => Value::Float,
            TomlValue::InlineTable(table) => Value::Table(entries_of(table, &path)),
            TomlValue::Integer(integer) => Value::Integer(*integer.value()),
            TomlValue::String(string) => Value::String(string.value().clone()),
        };
        Self { path, span, value }
    }
}

fn entries_of(table: &dyn TableLike, path: &str) -> Vec<Entry> {
    let entry = |(name, item): (&str, &Item)| {
        let key_span = table.key(name).and_then(Key::span).unwrap_or_default();
        let node = Node::from_item(item, join(path, name), &key_span);
        Entry { key: name.to_owned(), key_span, node }
    };
    table.iter().map(entry).collect()
}

/// A key path with one more key, which is quoted when TOML would want that.
pub(crate) fn join(path: &str, key: &str) -> String {
    let key = if is_bare(key) { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// Whether TOML takes the key without quotes.
pub(crate) fn is_bare(key: &str) -> bool {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !key.is_empty() && key.bytes().all(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_path_and_place() {
        let text = "[a.\"b c\"]\nx.y = [1, { z = true }]\n";
        let root = Node::parse(text).unwrap();
        let table = root.get("a").unwrap().get("b c").unwrap();
        assert_eq!(&text[table.span.clone()], "[a.\"b c\"]");
        let list = table.get("x").unwrap().get("y").unwrap();
        assert_eq!(list.path, "a.\"b c\".x.y");
        let Value::Array(nodes) = &list.value else { panic!("a list") };
        assert_eq!(nodes[1].get("z").unwrap().path, "a.\"b c\".x.y[1].z");
        assert_eq!(&text[nodes[0].span.clone()], "1");
    }

    #[test]
    fn merging_replaces_values_and_joins_tables() {
        let mut base = Node::parse("t = { a = 1, b = [1] }\nu = 1").unwrap();
        base.merge(&Node::parse("t = { b = 2, c = 3 }").unwrap());
        let table = base.get("t").unwrap();
        let keys: Vec<_> = table.entries().iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["a", "b", "c"]);
        assert!(matches!(table.get("b").unwrap().value, Value::Integer(2)));
        assert!(base.get("u").is_some());
    }
}
