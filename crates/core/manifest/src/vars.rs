//! `[vars]`: values that are filled in while parsing.

use std::collections::BTreeMap;

use crate::document::{Node, Value};
use crate::name::is_var_name;
use crate::reader::{Reader, did_you_mean, list};
use crate::section::open_map;

/// Reads the variables and lays `overrides` on them.
pub(crate) fn read_vars(
    reader: &Reader<'_>,
    node: Option<&Node>,
    overrides: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut vars = BTreeMap::new();
    for entry in node.and_then(|node| open_map(reader, node)).unwrap_or_default() {
        if !is_var_name(&entry.key) {
            let message = format!("{:?} is not a variable name", entry.key);
            let help = Some("letters, digits, hyphens and underscores".to_owned());
            reader.report_at(&entry.key_span, &entry.node.path, message, help);
        }
        // A variable that is wrong is still there, so that its uses are no further problems.
        vars.insert(entry.key.clone(), read_var(reader, &entry.node).unwrap_or_default());
    }
    for (name, value) in overrides {
        if !vars.contains_key(name) {
            let near = did_you_mean(name, vars.keys().map(String::as_str));
            let message = format!("there is no variable {name:?} to set{near}");
            reader.report_at(&(0..0), "vars", message, Some(list("[vars] has", vars.keys())));
        } else if value.contains('\0') {
            let message = format!("the value given for {name:?} holds a NUL character");
            reader.report_at(&(0..0), "vars", message, None);
        } else {
            vars.insert(name.clone(), value.clone());
        }
    }
    vars
}

/// A variable's value is plain text: it is not searched for references.
fn read_var(reader: &Reader<'_>, node: &Node) -> Option<String> {
    if let Value::String(text) = &node.value
        && text.contains("${")
    {
        let help = "the value of a variable is plain text; write the reference where it is used";
        reader.report_help(node, "a variable cannot hold a reference", help);
        return None;
    }
    if let Value::String(text) = &node.value
        && text.contains('\0')
    {
        reader.report(node, "holds a NUL character, which no program can be given");
        return None;
    }
    read_scalar(reader, node)
}

/// A string as it stands, an integer in decimal, or `true` or `false`.
pub(crate) fn read_scalar(reader: &Reader<'_>, node: &Node) -> Option<String> {
    match &node.value {
        Value::Boolean(boolean) => Some(boolean.to_string()),
        Value::Integer(integer) => Some(integer.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => {
            let found = node.kind();
            reader
                .report(node, format!("must be a string, an integer or a boolean, found {found}"));
            None
        }
    }
}
