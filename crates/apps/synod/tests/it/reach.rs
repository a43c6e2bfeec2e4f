//! Finding and reaching services.

use serde_json::Value;

use crate::home::{Home, get};

#[test]
fn services_reach_each_other_at_stable_addresses() {
    let home = Home::new();
    let manifest = home.manifest(
        "reach.toml",
        r#"
app = "reach"
[service.api]
run = "$OBEDIENT"
ports = { http = "auto" }
instances = 2
[service.web]
run = "$OBEDIENT"
ports = { http = "auto" }
needs = ["api"]
env = { ENV_OF_API = "${service.api.url}/env/SYNOD_SERVICE" }
"#,
    );
    home.up(&manifest);
    let (status, body) = home.get("web.reach.localhost", "/fetch/ENV_OF_API");
    assert_eq!((status, body.as_str()), (200, "api"));
    let pids: std::collections::BTreeSet<String> =
        (0..4).map(|_| home.get("api.reach.localhost", "/pid").1).collect();
    assert_eq!(pids.len(), 2, "requests are balanced over both instances");
}

#[test]
fn routes_match_host_and_path_and_split_by_weight() {
    let home = Home::new();
    let manifest = home.manifest(
        "split.toml",
        r#"
app = "split"
[service.old]
run = "$OBEDIENT"
ports = { http = "auto" }
[service.new]
run = "$OBEDIENT"
ports = { http = "auto" }
[route.main]
path = "/shop"
to = [{ service = "old", weight = 90 }, { service = "new", weight = 10 }]
[route.only-new]
host = "new.example"
to = "new"
"#,
    );
    home.up(&manifest);
    let port = home.gateway_port();
    let answers: Vec<String> = (0..300)
        .map(|_| get(port, "split.localhost", "/shop/x").expect("the gateway answers").1)
        .collect();
    let new = answers.iter().filter(|body| body.ends_with("of new")).count();
    assert!((5..=80).contains(&new), "about 10 % of 300 go to new: {new}");
    assert_eq!(home.get("new.example", "/").1, "/ of new");
    assert_eq!(home.get("split.localhost", "/other").0, 404);
    assert_eq!(home.get("nobody.example", "/").0, 404);
}

#[test]
fn a_service_without_a_ready_instance_answers_503_and_says_why() {
    let home = Home::new();
    let manifest = home.manifest(
        "sick.toml",
        "app = \"sick\"\n[service.a]\nrun = \"$OBEDIENT never-ready\"\n\
         ports = { http = \"auto\" }\nhealth.ready = \"http:/healthz\"\n",
    );
    let text = manifest.to_str().expect("text");
    let ran = home.run(["up", text, "--detach", "--wait", "5s"]);
    ran.expect_code(1);
    ran.expect_stderr("SYN-0008");
    ran.expect_stderr("listening");
    let (status, body) = home.get("a.sick.localhost", "/");
    assert_eq!(status, 503, "{body}");
    let problem: Value = serde_json::from_str(&body).expect("a problem document");
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(detail.contains("sick/a"), "{detail}");
}

#[test]
fn the_registry_lists_ready_instances() {
    let home = Home::new();
    let manifest = home.manifest(
        "listed.toml",
        "app = \"listed\"\n[service.a]\nrun = \"$OBEDIENT\"\nports = { http = \"auto\" }\n",
    );
    home.up(&manifest);
    let ran = home.run(["services", "--output", "json"]);
    ran.expect_code(0);
    let listing: Value = serde_json::from_str(&ran.stdout()).expect("JSON");
    let rows = listing["services"].as_array().expect("a list");
    assert_eq!(rows.len(), 1, "{listing:#}");
    assert_eq!(rows[0]["health"], "passing");
    let port = rows[0]["ports"]["http"]["number"].as_u64().expect("a port");
    let (status, _) =
        get(u16::try_from(port).expect("a port"), "x", "/healthz").expect("it answers");
    assert_eq!(status, 200);
}

#[test]
fn a_route_that_another_app_has_is_said_not_to_apply() {
    let home = Home::new();
    let app = |name: &str| {
        format!(
            "app = \"{name}\"\n[service.a]\nrun = \"$OBEDIENT\"\nports = {{ http = \"auto\" }}\n\
             [route.main]\nhost = \"shared.example\"\nto = \"a\"\n"
        )
    };
    home.up(&home.manifest("one.toml", &app("one")));
    let ran = home.up(&home.manifest("two.toml", &app("two")));
    ran.expect_stderr("the gateway does not apply");
    home.run(["ps"]).expect_stderr("the gateway does not apply");
}
