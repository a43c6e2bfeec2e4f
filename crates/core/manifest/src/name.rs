//! Names: of apps, services, ports, routes and variables, and host names.

use crate::document::{Entry, Node};
use crate::reader::Reader;

/// The longest name, so that `<service>.<app>.localhost` and file names stay short.
const NAME_LEN_MAX: usize = 40;
const HOST_LEN_MAX: usize = 253;
const HOST_LABEL_LEN_MAX: usize = 63;

/// A DNS label of RFC 1035 §2.3.1 in lower case: a letter, then letters, digits and hyphens,
/// no hyphen at the end.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= NAME_LEN_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

const NAME_FORM: &str =
    "a letter, then letters, digits and hyphens; lower case, at most 40 characters";

/// Reports an entry whose key is not a name.
pub(crate) fn check_name(reader: &Reader<'_>, entry: &Entry, what: &str) -> bool {
    let valid = is_name(&entry.key);
    if !valid {
        let message = format!("{:?} is not a {what} name", entry.key);
        let help = Some(NAME_FORM.to_owned());
        reader.report_at(&entry.key_span, &entry.node.path, message, help);
    }
    valid
}

/// Reads the app's name.
pub(crate) fn read_app_name(reader: &Reader<'_>, node: &Node) -> Option<String> {
    let name = reader.string(node)?;
    if is_name(&name) {
        return Some(name);
    }
    reader.report_help(node, format!("{name:?} is not an app name"), NAME_FORM);
    None
}

/// A variable's name: letters, digits, `_` and `-`.
pub(crate) fn is_var_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// A host name in lower case, or `*.` and one.
pub(crate) fn is_host(host: &str) -> bool {
    let name = host.strip_prefix("*.").unwrap_or(host);
    host.len() <= HOST_LEN_MAX && name.split('.').all(is_host_label)
}

fn is_host_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=HOST_LABEL_LEN_MAX).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for name in ["a", "api", "api-2", "a--b", &"a".repeat(40)] {
            assert!(is_name(name), "{name:?}");
        }
        for name in ["", "-a", "a-", "2a", "Api", "a_b", "a.b", "a/b", "ä", &"a".repeat(41)] {
            assert!(!is_name(name), "{name:?}");
        }
    }

    #[test]
    fn hosts_are_names_or_wildcards() {
        for host in ["localhost", "shop.localhost", "*.shop.example", "127.0.0.1"] {
            assert!(is_host(host), "{host:?}");
        }
        for host in ["", ".", "a.", "*", "*.", "a.*.b", "a:80", "A", "a b", "-a", "http://a"] {
            assert!(!is_host(host), "{host:?}");
        }
    }
}
