//! The user's reference says what the code does.

use crate::{read, render};

const REFERENCE: &str = include_str!("../../../../../docs/manifest.md");

/// Lines that make the smallest good manifest, before and after a line of interest.
const FRAME: [(&str, &str); 9] = [
    ("", "app = \"a\"\n[service.s]\nrun = \"x\"\n"),
    ("service.s", ""),
    ("service.s.build", "command = \"x\"\n"),
    ("service.s.health", ""),
    ("service.s.health.live", "check = \"tcp\"\n"),
    ("service.s.ports.q", ""),
    ("service.s.restart", ""),
    ("service.s.stop", ""),
    ("route.r", "to = \"s\"\n"),
];

/// A manifest with one more line in one of its tables.
fn with_line(table: &str, line: &str) -> String {
    let (_, lines) = FRAME.into_iter().find(|(name, _)| *name == table).unwrap();
    if table.is_empty() {
        return format!("{line}\n{lines}");
    }
    let run = if table == "service.s" { "run = \"x\"\n" } else { "" };
    let service =
        if run.is_empty() { "[service.s]\nrun = \"x\"\nports.p = \"auto\"\n" } else { "" };
    format!("app = \"a\"\n{service}[{table}]\n{run}{lines}{line}\n")
}

#[test]
fn every_example_of_the_reference_is_a_good_manifest() {
    let mut examples = 0;
    for block in REFERENCE.split("```toml\n").skip(1) {
        let (text, _) = block.split_once("```").unwrap();
        let result = read(text);
        assert!(result.is_ok(), "{text}\n{}", render(text, &result.unwrap_err()));
        examples += 1;
    }
    assert!(examples > 0);
}

#[test]
fn the_reference_has_every_key() {
    for (table, _) in FRAME {
        let text = with_line(table, "nothing-like-a-key = 1");
        let problems = read(&text).unwrap_err();
        assert_eq!(problems.len(), 1, "{}", render(&text, &problems));
        let help = problems[0].help.as_ref().unwrap();
        let keys = help.strip_prefix("the keys here are: ").unwrap();
        for key in keys.split(", ") {
            assert!(REFERENCE.contains(&format!("`{key}`")), "{table}: {key} is not described");
        }
    }
}

#[test]
fn what_the_reference_calls_planned_is_refused_by_name() {
    let (_, planned) = REFERENCE.split_once("## Not supported yet").unwrap();
    let mut keys = 0;
    for line in planned.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = line.split('|').skip(1);
        let table = cells.next().unwrap().trim().trim_matches('`');
        let table = match table {
            "[service.NAME]" => "service.s",
            "[service.NAME.restart]" => "service.s.restart",
            "[service.NAME.stop]" => "service.s.stop",
            "[route.NAME]" => "route.r",
            _ => "",
        };
        for key in cells.next().unwrap().split(", ").map(|key| key.trim().trim_matches('`')) {
            let problems = read(&with_line(table, &format!("{key} = 1"))).unwrap_err();
            assert_eq!(problems[0].message, "not supported yet", "{table} {key}");
            keys += 1;
        }
    }
    assert_eq!(keys, 30);
}
