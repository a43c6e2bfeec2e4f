//! Whatever the text, there is an answer; whatever the app, writing it out keeps it.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use synod_manifest::{Options, Template, expand};

use crate::{read, read_with, render};

const SHOP: &str = include_str!("../../testdata/shop.toml");

fn duration() -> impl Strategy<Value = String> {
    (10_u64..3_000_000).prop_map(|ms| format!("{ms}ms"))
}

/// Text that tries the escapes of TOML and of references.
fn text() -> impl Strategy<Value = String> {
    let awkward = prop_oneof![
        Just("$"),
        Just("$$"),
        Just("{"),
        Just("}"),
        Just("$${"),
        Just("\\"),
        Just("\""),
        Just("'"),
        Just(" "),
        Just("\n"),
        Just("\t"),
        Just("\u{7f}"),
        Just("\u{1}"),
        Just("ä"),
        Just("${app.name}"),
        Just("${instance.slot}"),
        Just("${vars.v}"),
        Just("${service.s0.http.url}"),
        Just("${route.r.host}"),
        Just("x"),
    ];
    vec(awkward, 0..8).prop_map(|parts| {
        let text = parts.concat();
        // A dollar sign may only meet a brace as a reference or as an escape.
        if text.contains("${") && read(&manifest_with_arg(&text)).is_err() {
            "x".into()
        } else {
            text
        }
    })
}

fn literal(text: &str) -> String {
    // JSON strings are TOML basic strings, but for DEL.
    serde_json::to_string(text).unwrap().replace('\u{7f}', "\\u007f")
}

fn manifest_with_arg(arg: &str) -> String {
    format!(
        "app = \"a\"\nvars.v = \"$\"\n[service.s0]\nrun = [\"p\", {}]\nports.http = \"auto\"\n\
         [route.r]\nto = \"s0\"\n",
        literal(arg)
    )
}

fn probe(role: &'static str) -> impl Strategy<Value = String> {
    let log = if role == "live" { "tcp" } else { "log:a\\\\.b" };
    let check = prop_oneof![
        Just("tcp".to_owned()),
        Just("http:/h".into()),
        Just("http:http/x?y".into()),
        Just("tcp:db".into()),
        Just("none".into()),
        Just(log.into()),
    ];
    let timing = (option::of(duration()), option::of(duration()), option::of(duration()));
    (check, any::<bool>(), timing).prop_map(move |(check, long, (every, timeout, grace))| {
        if !long || check == "none" {
            return format!("health.{role} = \"{check}\"\n");
        }
        let fields = [("every", every), ("timeout", timeout), ("grace", grace)];
        let fields = fields.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let fields: String = fields.map(|(key, value)| format!(", {key} = \"{value}\"")).collect();
        format!("health.{role} = {{ check = \"{check}\"{fields} }}\n")
    })
}

fn service(index: usize) -> impl Strategy<Value = String> {
    let run = vec(text(), 0..3);
    let env = btree_map("[A-Z][A-Z_ ]{0,5}", text(), 0..3);
    let probes =
        (option::of(probe("ready")), option::of(probe("live")), option::of(probe("start")));
    let restart = option::of((10_u64..1000, 1000_u64..9000, vec(0..=255, 1..4)));
    let rest = (1..5_u32, option::of(text()), option::of(duration()), any::<bool>());
    (run, env, probes, restart, rest).prop_map(move |(run, env, probes, restart, rest)| {
        let (instances, build, grace, needs) = rest;
        let mut out = format!("[service.s{index}]\ninstances = {instances}\n");
        let run: Vec<_> = run.iter().map(|word| literal(word)).collect();
        out.push_str(&format!("run = [\"./p\", {}]\n", run.join(", ")));
        out.push_str("ports = { http = \"auto\", db = { port = \"auto\", proto = \"tcp\" } }\n");
        out.push_str(&format!(
            "dir = \"{}\"\n",
            ["a/b", ".", "../c", "/d"][instances as usize - 1]
        ));
        for probe in [probes.0, probes.1, probes.2].into_iter().flatten() {
            out.push_str(&probe);
        }
        if let Some((min, more, codes)) = restart {
            let max = min + more;
            out.push_str(&format!(
                "restart = {{ backoff = \"{min}ms..{max}ms\", ok_exit = {codes:?} }}\n"
            ));
        }
        if let Some(build) = build.filter(|build| !build.trim().is_empty()) {
            out.push_str(&format!("build = {}\n", literal(&Template::literal(&build).to_string())));
        }
        if let Some(grace) = grace {
            out.push_str(&format!("stop.grace = \"{grace}\"\n"));
        }
        if needs && index > 0 {
            out.push_str(&format!("needs = [\"s{}:started\", \"seed\"]\n", index - 1));
        }
        out.push_str(&format!("[service.s{index}.env]\n"));
        for (key, value) in env {
            out.push_str(&format!("{} = {}\n", literal(&key), literal(&value)));
        }
        out
    })
}

fn manifest() -> impl Strategy<Value = String> {
    (service(0), service(1), service(2), 0..100_u32).prop_map(|(a, b, c, weight)| {
        format!(
            "app = \"a\"\nvars.v = \"$\"\n{a}{b}{c}[service.seed]\nkind = \"task\"\nrun = \"x\"\n\
             [route.r]\nto = [\"s0\", {{ service = \"s1:http\", weight = {weight} }}]\n"
        )
    })
}

/// Cuts, doubles and replaces parts of a good manifest.
fn mutated() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0_usize..12, "[\\PC\n]{0,4}");
    vec(edit, 1..5).prop_map(|edits| {
        let mut characters: Vec<char> = SHOP.chars().collect();
        for (at, cut, insert) in edits {
            let at = at.index(characters.len());
            let end = (at + cut).min(characters.len());
            characters.splice(at..end, insert.chars());
            if characters.is_empty() {
                break;
            }
        }
        characters.into_iter().collect()
    })
}

/// Reads text that may be anything and shows what is wrong with it.
fn answer(text: &str) {
    let profile = Options { profile: Some("ci".into()), ..Options::default() };
    for result in [read(text), read_with(text, &profile)] {
        let Err(problems) = result else { continue };
        assert!(!problems.is_empty() && problems.len() <= 100);
        assert!(!render(text, &problems).is_empty());
        let lines = text.matches('\n').count() + 1;
        assert!(problems.iter().all(|problem| (1..=lines).contains(&problem.line)));
    }
}

proptest! {
    #[test]
    fn writing_out_keeps_the_app(text in manifest()) {
        let app = read(&text).map_err(|problems| {
            TestCaseError::fail(format!("{text}\n{}", render(&text, &problems)))
        })?;
        let expanded = expand(&app);
        let again = read(&expanded).map_err(|problems| {
            TestCaseError::fail(format!("{expanded}\n{}", render(&expanded, &problems)))
        })?;
        prop_assert_eq!(again, app);
    }

    #[test]
    fn any_text_has_an_answer(text in "[\\PC\n\r\t\0]{0,200}") {
        answer(&text);
    }

    #[test]
    fn mutated_manifests_have_an_answer(text in mutated()) {
        answer(&text);
    }

    #[test]
    fn any_string_anywhere_has_an_answer(value in "[\\PC\n]{0,20}", key in "[a-z_]{1,10}") {
        let value = literal(&value);
        for name in FIELDS {
            answer(&format!("app = \"a\"\n[service.s]\nrun = \"x\"\nports.p = 1\n{name} = {value}\n"));
        }
        answer(&format!("app = {value}\n[{key}.{key}]\n{key} = {value}\n[route.r]\nto = {value}\n"));
    }
}

/// Fields of a service that take strings.
const FIELDS: [&str; 12] = [
    "build",
    "dir",
    "env.X",
    "health.ready",
    "health.live",
    "health.start.check",
    "kind",
    "needs",
    "ports.q",
    "restart.backoff",
    "stop.signal",
    "stop.grace",
];
