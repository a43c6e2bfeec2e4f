use proptest::prelude::*;

use super::*;

#[test]
fn paths_have_one_spelling() {
    use Refusal::{EscapeForbidden, EscapeInvalid, Fragment, TargetInvalid};
    let rows: &[(&str, Result<&str, Refusal>)] = &[
        ("/", Ok("/")),
        ("/a/b.html", Ok("/a/b.html")),
        ("/a/", Ok("/a/")),
        ("/a/../admin", Ok("/admin")),
        ("/a/%2e%2e/admin", Ok("/admin")),
        ("/a/%2E./admin", Ok("/admin")),
        ("/a/./b/.", Ok("/a/b/")),
        ("/a/b/..", Ok("/a/")),
        ("/..", Ok("/")),
        ("/../../x", Ok("/x")),
        ("//admin", Ok("/admin")),
        ("/a///b//", Ok("/a/b/")),
        ("/a\\..\\admin", Ok("/admin")),
        ("\\admin", Ok("/admin")),
        ("/a/..;/admin", Ok("/admin")),
        ("/a/..;x=1;y/admin", Ok("/admin")),
        ("/a/.;x/b", Ok("/a/b")),
        ("/a/%2e%2e;x/admin", Ok("/admin")),
        ("/admin;x=1", Ok("/admin;x=1")),
        ("/a/...", Ok("/a/...")),
        ("/.hidden", Ok("/.hidden")),
        ("/%61dmin", Ok("/admin")),
        ("/%7euser", Ok("/~user")),
        ("/a%3ab", Ok("/a%3Ab")),
        ("/%252e%252e/x", Ok("/%252e%252e/x")),
        ("/caf%c3%a9", Ok("/caf%C3%A9")),
        ("/a%3bx/..", Ok("/")),
        ("/a%2f..%2fadmin", Err(EscapeForbidden)),
        ("/a%5cb", Err(EscapeForbidden)),
        ("/a%00", Err(EscapeForbidden)),
        ("/a%zz", Err(EscapeInvalid)),
        ("/a%2", Err(EscapeInvalid)),
        ("/a%", Err(EscapeInvalid)),
        ("/admin#f", Err(Fragment)),
        ("/caf\u{e9}", Err(TargetInvalid)),
        ("/a b", Err(TargetInvalid)),
        ("", Err(TargetInvalid)),
        ("a", Err(TargetInvalid)),
        ("*", Err(TargetInvalid)),
    ];
    for (path, want) in rows {
        assert_eq!(normalize(path).as_deref(), want.as_deref(), "{path:?}");
    }
}

#[test]
fn normal_paths_are_borrowed() {
    assert!(matches!(normalize("/a/b-c_d/e.f"), Ok(Cow::Borrowed(_))));
    assert!(matches!(normalize("/a;x=1"), Ok(Cow::Borrowed(_))));
}

#[test]
fn parameters_do_not_hide_a_path_from_its_rule() {
    assert_eq!(without_params("/admin;x=1/y;z"), "/admin/y");
    assert_eq!(without_params("/admin"), "/admin");
    assert_eq!(without_params("/;x/admin/;y"), "/admin");
    assert_eq!(without_params("/;x"), "/");
    assert!(is_below(&without_params("/admin;x"), "/admin"));
}

#[test]
fn prefixes_cover_whole_segments() {
    for (path, prefix, want) in [
        ("/a", "/a", true),
        ("/a/", "/a", true),
        ("/a/b", "/a/", true),
        ("/ab", "/a", false),
        ("/a", "/a/", true),
        ("/", "/a", false),
        ("/x", "/", true),
        ("/", "/", true),
        ("*", "/", false),
    ] {
        assert_eq!(is_below(path, prefix), want, "{path} below {prefix}");
    }
}

/// The rules one after the other over whole lists, as one would explain them.
fn model(path: &str) -> Option<String> {
    let mut text = path.replace('\\', "/");
    let upper = text.to_ascii_uppercase();
    if ["%00", "%2F", "%5C"].iter().any(|escape| upper.contains(escape)) || !text.starts_with('/') {
        return None;
    }
    let mut at = 0;
    while let Some(found) = text[at..].find('%') {
        at += found;
        let value = u8::from_str_radix(text.get(at + 1..at + 3)?, 16).ok()?;
        let plain = char::from(value);
        if plain.is_ascii_alphanumeric() || "-._~".contains(plain) {
            text.replace_range(at..at + 3, &plain.to_string());
            at += 1;
        } else {
            text.replace_range(at..at + 3, &format!("%{value:02X}"));
            at += 3;
        }
    }
    let ends_open =
        text.ends_with('/') || matches!(text.rsplit('/').next()?.split(';').next()?, "." | "..");
    let mut kept: Vec<&str> = Vec::new();
    for segment in text.split('/').filter(|segment| !segment.is_empty()) {
        match segment.split(';').next()? {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let joined = format!("/{}", kept.join("/"));
    Some(if ends_open && joined != "/" { joined + "/" } else { joined })
}

proptest! {
    #[test]
    fn agrees_with_the_slow_model(path in "[/\\\\]([a.;/\\\\]|%2e|%2E|%61|%3b|%2f|%00|%zz|%5){0,12}") {
        // A `+` is a digit to `from_str_radix`; the alphabet above has none.
        prop_assert_eq!(normalize(&path).ok().map(Cow::into_owned), model(&path));
    }

    #[test]
    fn a_normal_path_stays(path in "\\PC{0,40}") {
        if let Ok(once) = normalize(&path) {
            prop_assert_eq!(normalize(&once).unwrap(), once.clone());
            prop_assert!(once.starts_with('/') && !once.contains("//") && !once.contains('\\'));
            let matched = without_params(&once).into_owned();
            prop_assert!(!matched.split('/').any(|segment| segment == ".." || segment == "."));
        }
    }
}
