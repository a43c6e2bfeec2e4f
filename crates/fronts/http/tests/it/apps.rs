//! Apps through the API.

use std::net::Ipv4Addr;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use synod_registry::{Address, AddressKey, Addresses};

use crate::home::{End, Home, plain, shop};

fn actions(plan: &Value) -> Vec<(String, String)> {
    let rows = plan["rows"].as_array().expect("a plan has rows");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    rows.iter().map(|row| (text(&row["name"]), text(&row["change"]["action"]))).collect()
}

fn desired(status: &Value, service: &str) -> Value {
    let services = status["services"].as_array().expect("a status has services");
    let found = services.iter().find(|row| row["name"] == service);
    found.expect("the service is there")["desired"].clone()
}

#[tokio::test]
async fn a_plan_changes_nothing_and_an_apply_does() {
    let home = Home::new().await;
    let body = json!({ "app": shop(), "builds": {}, "orphan_after_ms": null, "force": false });
    let planned = home.post("/v1/plan", &body).await.json();
    let create = |name: &str| (name.to_owned(), "create".to_owned());
    assert_eq!(actions(&planned), [create("stock"), create("web"), create("main")]);
    home.get("/v1/apps/shop").await.problem(404, "app-not-found");
    assert_eq!(home.post("/v1/apply", &body).await.json(), planned);
    let status = home.get("/v1/apps/shop").await.json();
    assert_eq!((&status["app"], &status["path"]), (&json!("shop"), &json!("/srv/shop/app.toml")));
    assert_eq!(desired(&status, "web"), "run");
    let apps = home.get("/v1/apps").await.json();
    assert_eq!(apps.as_array().map(Vec::len), Some(1), "{apps}");
    assert_eq!(apps[0]["app"], "shop");
    let again = home.post("/v1/apply", &body).await.json();
    assert!(actions(&again).iter().all(|(_, action)| action == "unchanged"), "{again}");
}

#[tokio::test]
async fn a_name_belongs_to_one_manifest() {
    let home = Home::new().await;
    home.apply_shop().await;
    let mut other = shop();
    other["path"] = json!("/srv/other/app.toml");
    let problem = home.post("/v1/apply", &json!({ "app": other })).await.problem(409, "SYN-0002");
    assert_eq!(problem["type"], "urn:synod:problem:app-name-taken");
    let detail = problem["detail"].as_str().expect("text");
    assert!(detail.contains("/srv/shop/app.toml") && detail.contains("/srv/other"), "{detail}");
}

#[tokio::test]
async fn services_are_stopped_and_restarted() {
    let home = Home::new().await;
    home.apply_shop().await;
    let stopped = home.send(Method::POST, "/v1/apps/shop/services/web/stop").await;
    assert_eq!(stopped.status, StatusCode::ACCEPTED);
    assert_eq!(stopped.json(), json!({ "services": ["web"] }));
    assert_eq!(desired(&home.get("/v1/apps/shop").await.json(), "web"), "stop");
    let all = home.send(Method::POST, "/v1/apps/shop/restart").await.json();
    assert_eq!(all, json!({ "services": ["stock"] }), "what is stopped stays so");
    let one = home.send(Method::POST, "/v1/apps/shop/services/web/restart").await.json();
    assert_eq!(one, json!({ "services": ["web"] }));
    assert_eq!(desired(&home.get("/v1/apps/shop").await.json(), "web"), "run");
}

#[tokio::test]
async fn an_unknown_app_or_service_is_a_problem_that_names_the_nearest() {
    let home = Home::new().await;
    home.apply_shop().await;
    for (method, target) in [
        (Method::GET, "/v1/apps/shopp"),
        (Method::GET, "/v1/apps/shopp/watch"),
        (Method::DELETE, "/v1/apps/shopp"),
        (Method::POST, "/v1/apps/shopp/restart"),
        (Method::POST, "/v1/apps/shopp/services/web/stop"),
    ] {
        let problem = home.send(method, target).await.problem(404, "app-not-found");
        assert_eq!(problem["detail"], "there is no app `shopp`; did you mean `shop`?", "{target}");
    }
    for verb in ["restart", "stop"] {
        let target = format!("/v1/apps/shop/services/stok/{verb}");
        let problem = home.send(Method::POST, &target).await.problem(404, "service-not-found");
        assert_eq!(problem["detail"], "there is no service `stok`; did you mean `stock`?");
    }
}

#[tokio::test]
async fn an_app_on_its_way_out_takes_no_changes() {
    let home = Home::new().await;
    home.apply_shop().await;
    let down = home.send(Method::DELETE, "/v1/apps/shop").await;
    assert_eq!(down.status, StatusCode::ACCEPTED);
    assert_eq!(down.json(), json!({ "services": ["stock", "web"] }));
    assert_eq!(home.get("/v1/apps/shop").await.json()["state"], "remove");
    let restart = home.send(Method::POST, "/v1/apps/shop/restart").await;
    restart.problem(409, "app-being-removed");
}

#[tokio::test]
async fn a_watch_tells_the_state_then_each_change_and_ends_with_the_app() {
    let home = Home::new().await;
    home.apply_shop().await;
    let mut watch = home.open(plain(Method::GET, "/v1/apps/shop/watch")).await;
    assert_eq!(watch.status, StatusCode::OK);
    assert_eq!(watch.headers["content-type"], "application/x-ndjson");
    let first = watch.line().await.expect("the state as it is");
    assert_eq!(desired(&first, "web"), "run");
    home.jobs().stop("shop", "web").await.expect("stopped");
    let second = watch.line().await.expect("a change");
    assert_eq!(desired(&second, "web"), "stop");
    assert!(second["revision"].as_u64() > first["revision"].as_u64());
    home.jobs().down("shop").await.expect("is taken down");
    assert_eq!(watch.line().await.expect("a change")["state"], "remove");
    home.forget("shop").await;
    assert_eq!(watch.line().await, Err(End::Clean));
}

#[tokio::test]
async fn a_watch_is_cut_off_when_the_daemon_ends() {
    let home = Home::new().await;
    home.apply_shop().await;
    let mut watch = home.open(plain(Method::GET, "/v1/apps/shop/watch")).await;
    watch.line().await.expect("the state as it is");
    let overdue = home.shutdown().await;
    assert_eq!(overdue.0, Vec::<&str>::new());
    assert_eq!(watch.line().await, Err(End::CutOff));
}

#[tokio::test]
async fn the_environment_names_what_the_gateway_has_bound() {
    let home = Home::new().await;
    home.apply_shop().await;
    let key = AddressKey::service("shop", "stock", "http");
    let address = Address { host: Ipv4Addr::LOCALHOST.into(), port: 20_001 };
    let addresses = Addresses::new(Arc::new(home.store.clone()));
    addresses.put(&key, address).await.expect("written");
    let environment = home.get("/v1/apps/shop/environment").await.json();
    let wanted = json!({
        "STOCK_HOST": "127.0.0.1", "STOCK_PORT": "20001", "STOCK_URL": "http://127.0.0.1:20001",
    });
    assert_eq!(environment, wanted);
    home.get("/v1/apps/nobody/environment").await.problem(404, "app-not-found");
}
