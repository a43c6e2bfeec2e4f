//! What manifests mean.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use synod_manifest::{
    App, Kind, NeedCondition, Options, Port, ProbeAction, Protocol, Service, Template,
};

use crate::{app, read, read_with};

fn service(lines: &str) -> Service {
    let text = format!("app = \"shop\"\n[service.api]\nrun = \"./api\"\n{lines}");
    app(&text).services.remove("api").unwrap()
}

fn env(lines: &str, name: &str) -> String {
    service(lines).env[name].to_string()
}

fn with_profile(text: &str, profile: &str) -> App {
    let options = Options { profile: Some(profile.into()), ..Options::default() };
    read_with(text, &options).unwrap()
}

#[test]
fn a_small_manifest_has_every_default() {
    let app = app("app = \"shop\"\n[service.api]\nrun = \"./api\"\nports = { http = \"auto\" }\n\
                   [route.web]\nto = \"api\"\n");
    assert_eq!((app.name.as_str(), app.path.as_path()), ("shop", Path::new(crate::PATH)));
    let api = &app.services["api"];
    assert_eq!((api.kind, api.instances), (Kind::Service, 1));
    assert_eq!(api.dir, Path::new("/srv/shop"));
    let ready = api.health.ready.as_ref().unwrap();
    assert_eq!(ready.action, ProbeAction::Tcp { port: "http".into() });
    assert_eq!((ready.every, ready.fails), (Duration::from_millis(250), 1));
    assert!(api.health.live.is_none() && api.health.start.is_none());
    assert_eq!(api.restart.ok_exit, [0, 143]);
    assert_eq!((api.stop.signal.as_str(), api.stop.grace), ("TERM", Duration::from_secs(10)));
    let web = &app.routes["web"];
    assert_eq!((web.host.as_str(), web.path.as_str()), ("shop.localhost", "/"));
    assert_eq!((web.to[0].port.as_str(), web.to[0].weight), ("http", 1));
    assert_eq!(web.timeout, Duration::from_secs(30));
}

#[test]
fn a_service_without_ports_has_no_probe() {
    assert!(service("").health.ready.is_none());
}

#[test]
fn a_probe_can_be_turned_off() {
    let api = service("ports = { http = \"auto\" }\nhealth.ready = \"none\"");
    assert!(api.health.ready.is_none());
}

#[test]
fn ports_keep_the_order_of_the_manifest() {
    let api = service("ports = { web = 8081, admin = { port = \"auto\", proto = \"tcp\" } }");
    let web = Port { name: "web".into(), number: Some(8081), protocol: Protocol::Http };
    let admin = Port { name: "admin".into(), number: None, protocol: Protocol::Tcp };
    assert_eq!(api.ports, [web, admin]);
}

#[test]
fn checks_have_short_and_long_forms() {
    let api = service(
        "ports = { http = \"auto\", db = { port = \"auto\", proto = \"tcp\" } }\n\
         health.ready = { check = \"http:/healthz?full=1\", every = \"1s\", fails = 3 }\n\
         health.live = \"tcp:db\"\nhealth.start = \"log:listening on [0-9]+\"",
    );
    let ready = api.health.ready.unwrap();
    let http = ProbeAction::Http { port: "http".into(), path: "/healthz?full=1".into() };
    assert_eq!((ready.action, ready.fails), (http, 3));
    assert_eq!(ready.every, Duration::from_secs(1));
    let live = api.health.live.unwrap();
    assert_eq!((live.action, live.fails), (ProbeAction::Tcp { port: "db".into() }, 3));
    let start = api.health.start.unwrap();
    assert_eq!(start.action, ProbeAction::Log { pattern: "listening on [0-9]+".into() });
    assert_eq!(start.grace, Duration::from_secs(60));
}

#[test]
fn needs_wait_for_what_fits_the_kind() {
    let app = app("app = \"shop\"\n[service.api]\nrun = \"a\"\n\
                   needs = [\"db\", \"seed\", \"log:started\"]\n\
                   [service.db]\nrun = \"b\"\n[service.log]\nrun = \"c\"\n\
                   [service.seed]\nrun = \"d\"\nkind = \"task\"\n");
    let conditions: Vec<_> = app.services["api"].needs.iter().map(|need| need.condition).collect();
    assert_eq!(conditions, [NeedCondition::Ready, NeedCondition::Done, NeedCondition::Started]);
    assert_eq!(app.services["seed"].restart.ok_exit, [0]);
}

#[test]
fn references_are_resolved_to_ports() {
    let lines = "ports = { http = \"auto\", admin = \"auto\" }\n[service.api.env]\n\
                 URL = \"${service.api.url}/x\"\nADMIN = \"${service.api.admin.port}\"\n\
                 OWN = \"${instance.port}:${instance.slot}:${instance.id}:${app.name}\"\n\
                 PLAIN = \"$HOME $${HOME}\"\nN = 3\nB = true\n";
    assert_eq!(env(lines, "URL"), "${service.api.http.url}/x");
    assert_eq!(env(lines, "ADMIN"), "${service.api.admin.port}");
    let own = "${instance.port.http}:${instance.slot}:${instance.id}:${app.name}";
    assert_eq!(env(lines, "OWN"), own);
    let api = service(lines);
    assert_eq!(api.env["PLAIN"].as_literal(), Some("$HOME ${HOME}"));
    assert_eq!(api.env["N"].as_literal(), Some("3"));
    assert_eq!(api.env["B"].as_literal(), Some("true"));
}

#[test]
fn a_variable_does_not_split_into_words() {
    let app = app("app = \"shop\"\n[vars]\nflags = \"--a --b\"\nn = 3\n\
                   [service.api]\nrun = \"./api ${vars.flags} 'x ${vars.n}'\"\ndir = \"v${vars.n}\"\n");
    let run: Vec<_> = app.services["api"].run.iter().map(Template::to_string).collect();
    assert_eq!(run, ["./api", "--a --b", "x 3"]);
    assert_eq!(app.services["api"].dir, Path::new("/srv/shop/v3"));
}

#[test]
fn a_variable_given_outside_wins_over_profile_and_file() {
    let text = "app = \"shop\"\n[vars]\na = \"1\"\nb = \"1\"\nc = \"1\"\n\
                [profile.ci.vars]\nb = 2\nc = 2\n[service.api]\n\
                run = \"x ${vars.a}${vars.b}${vars.c}\"\n";
    let vars = BTreeMap::from([("c".to_owned(), "${3}".to_owned())]);
    let options = Options { profile: Some("ci".into()), vars };
    let app = read_with(text, &options).unwrap();
    assert_eq!(app.services["api"].run[1].as_literal(), Some("12${3}"));
}

#[test]
fn a_profile_is_merged_key_by_key() {
    let text = "app = \"shop\"\n[service.api]\nrun = \"x\"\ninstances = 1\nenv = { A = 1, B = 1 }\n\
                [route.web]\nto = \"web\"\n[service.web]\nrun = \"y\"\nports.http = \"auto\"\n\
                [profile.ci.service.api]\ninstances = 3\nenv = { B = 2 }\n\
                [profile.ci.service.extra]\nrun = \"z\"\n[profile.ci.route.web]\nhost = \"web.test\"\n";
    let plain = app(text);
    assert_eq!((plain.services.len(), plain.services["api"].instances), (2, 1));
    assert_eq!(plain.routes["web"].host, "shop.localhost");
    let ci = with_profile(text, "ci");
    let api = &ci.services["api"];
    assert_eq!((ci.services.len(), api.instances), (3, 3));
    assert_eq!((api.env["A"].to_string(), api.env["B"].to_string()), ("1".into(), "2".into()));
    assert_eq!(ci.routes["web"].host, "web.test");
}

#[test]
fn a_profile_may_complete_the_manifest() {
    let text = "app = \"shop\"\n[service.api]\n[profile.dev.service.api]\nrun = \"x\"\n";
    assert!(read(text).is_err());
    assert_eq!(with_profile(text, "dev").services.len(), 1);
}

#[test]
fn routes_share_by_weight() {
    let app = app("app = \"shop\"\n[service.a]\nrun = \"a\"\nports = { db = { port = \"auto\", \
                   proto = \"tcp\" }, http = \"auto\" }\n[service.b]\nrun = \"b\"\nports.web = \"auto\"\n\
                   [route.web]\nhost = \"Shop.Example\"\npath = \"/api/\"\n\
                   to = [{ service = \"a\", weight = 90 }, { service = \"b:web\", weight = 10 }]\n");
    let web = &app.routes["web"];
    assert_eq!((web.host.as_str(), web.path.as_str()), ("shop.example", "/api"));
    let to: Vec<_> = web.to.iter().map(|to| (&*to.service, &*to.port, to.weight)).collect();
    assert_eq!(to, [("a", "http", 90), ("b", "web", 10)]);
}

#[test]
fn directories_are_seen_from_the_manifest() {
    assert_eq!(service("dir = \"../api/./src\"").dir, Path::new("/srv/api/src"));
    assert_eq!(service("dir = \"/opt\"").dir, Path::new("/opt"));
}

#[test]
fn restart_and_stop_are_read() {
    let api = service(
        "restart = { backoff = \"500ms..1m30s\", reset = \"0s\", ok_exit = [3, 0, 3] }\n\
         stop = { signal = \"INT\", grace = \"0s\" }\nbuild = { command = \"make\", timeout = \"1h\" }",
    );
    assert_eq!(api.restart.backoff_min, Duration::from_millis(500));
    assert_eq!(api.restart.backoff_max, Duration::from_secs(90));
    assert_eq!(api.restart.ok_exit, [0, 3]);
    assert_eq!((api.stop.signal.as_str(), api.stop.grace), ("INT", Duration::ZERO));
    assert_eq!(api.build.unwrap().timeout, Duration::from_secs(3600));
}

#[test]
fn an_app_survives_json() {
    let app = app(include_str!("../../testdata/shop.toml"));
    let json = serde_json::to_string(&app).unwrap();
    assert_eq!(serde_json::from_str::<App>(&json).unwrap(), app);
}
