//! Bad manifests and exactly what is said about them.
//!
//! `testdata/problems.txt` holds cases: `### claim`, a manifest, `---`, the rendered problems.
//! With `SYNOD_REWRITE=1` the problems are written anew; read the difference before keeping it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use synod_manifest::{Options, parse};

use crate::{read, read_with, render};

#[test]
fn each_problem_is_named_with_its_place_and_remedy() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/problems.txt");
    let cases = fs::read_to_string(&path).unwrap();
    let mut actual = String::new();
    for case in cases.split("### ").skip(1) {
        let (claim, rest) = case.split_once('\n').unwrap();
        let (text, _) = rest.split_once("---\n").unwrap();
        let problems = read(text).expect_err(claim);
        let rendered = render(text, &problems);
        actual.push_str(&format!("### {claim}\n{text}---\n{}\n", rendered));
    }
    if std::env::var_os("SYNOD_REWRITE").is_some() {
        fs::write(&path, &actual).unwrap();
    }
    for (actual, expected) in actual.split("### ").zip(cases.split("### ")) {
        assert_eq!(actual, expected);
    }
}

#[test]
fn one_line_says_it_all() {
    let problems = read("app = \"shop\"\n\n[service.api]\nrun = \"x\"\nhelth = 1\n").unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "app.toml:5:1: service.api.helth: unknown key, did you mean \"health\"?"
    );
}

#[test]
fn unknown_choices_from_outside_are_problems() {
    let text = "app = \"a\"\n[vars]\nlog = 1\n[profile.ci]\n[service.s]\nrun = \"x\"\n";
    let check = |options: Options, expect: &str| {
        let problems = read_with(text, &options).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].to_string(), expect);
    };
    check(
        Options { profile: Some("cl".into()), ..Options::default() },
        "app.toml:1:1: profile: there is no profile \"cl\", did you mean \"ci\"?",
    );
    let vars = BTreeMap::from([("lag".to_owned(), String::new())]);
    check(
        Options { vars, ..Options::default() },
        "app.toml:1:1: vars: there is no variable \"lag\" to set, did you mean \"log\"?",
    );
}

#[test]
fn a_path_must_be_that_of_a_file_from_the_root() {
    for path in ["app.toml", "/", ""] {
        let problems = parse("app = \"a\"", Path::new(path), &Options::default()).unwrap_err();
        assert!(problems[0].message.contains("the manifest's path"), "{}", problems[0]);
    }
}

#[test]
fn a_huge_text_is_refused() {
    let problems = read(&"#".repeat((1 << 20) + 1)).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "app.toml:1:1: a manifest has at most 1048576 bytes, found 1048577"
    );
}

#[test]
fn a_long_chain_of_needs_is_walked() {
    let mut text = "app = \"a\"\n[service.s0]\nrun = \"x\"\nneeds = [\"s2999\"]\n".to_owned();
    for index in 1..3000 {
        text.push_str(&format!("[service.s{index}]\nrun = \"x\"\nneeds = [\"s{}\"]\n", index - 1));
    }
    let problems = read(&text).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.starts_with("these wait for each other: s0 -> s2999 -> s2998"));
}

#[test]
fn deep_nesting_is_a_problem_and_no_crash() {
    for text in ["x = ".to_owned() + &"[".repeat(100_000), "a.".repeat(100_000) + "b = 1"] {
        assert!(read(&text).is_err());
    }
}
