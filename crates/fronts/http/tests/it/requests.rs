//! Requests that are not what they should be.

use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::home::{Home, plain, shop};

#[tokio::test]
async fn health_and_version_tell_what_the_daemon_is() {
    let home = Home::new().await;
    let health = home.get("/v1/health").await.json();
    assert_eq!((&health["pid"], &health["gateway_port"]), (&json!(4711), &json!(8080)));
    assert_eq!(home.get("/v1/version").await.json(), json!({ "version": "1.2.3" }));
}

#[tokio::test]
async fn unknown_endpoints_and_methods_are_problems() {
    let home = Home::new().await;
    let problem = home.get("/v1/nothing").await.problem(404, "endpoint-not-found");
    assert_eq!(problem["type"], "urn:synod:problem:endpoint-not-found");
    let answer = home.send(Method::PUT, "/v1/apps").await;
    assert_eq!(answer.headers["allow"], "GET,HEAD");
    answer.problem(405, "method-not-allowed");
}

#[tokio::test]
async fn bodies_that_are_no_json_are_told_apart_from_those_that_do_not_fit() {
    let home = Home::new().await;
    for endpoint in ["/v1/plan", "/v1/apply"] {
        let problem = home.post_text(endpoint, "{\"app\": ").await.problem(400, "malformed-body");
        assert!(problem["detail"].as_str().expect("text").contains("column 8"), "{problem}");
        home.post_text(endpoint, "").await.problem(400, "malformed-body");
        let problem = home.post(endpoint, &json!({})).await.problem(422, "invalid-body");
        assert!(problem["detail"].as_str().expect("text").contains("`app`"), "{problem}");
        let body = json!({ "app": shop(), "apps": 1 });
        let problem = home.post(endpoint, &body).await.problem(422, "invalid-body");
        assert!(problem["detail"].as_str().expect("text").contains("`apps`"), "{problem}");
        let untyped = Request::post(endpoint).header("host", "localhost");
        let untyped = untyped.body(Full::from("{}")).expect("well-formed");
        let answer = home.open(untyped).await.whole().await;
        answer.problem(415, "unsupported-media-type");
    }
    assert_eq!(home.get("/v1/apps").await.json(), json!([]));
}

#[tokio::test]
async fn a_body_past_the_limit_is_refused() {
    let home = Home::new().await;
    let mut app = shop();
    app["services"]["web"]["env"] = json!({ "BIG": { "segments": [
        { "literal": "x".repeat(4 << 20) }
    ] } });
    let problem =
        home.post("/v1/apply", &json!({ "app": app })).await.problem(413, "body-too-large");
    assert_eq!(problem["detail"], "a body may have 4 MiB");
}

#[tokio::test]
async fn apps_that_no_manifest_makes_are_refused() {
    fn app(change: impl FnOnce(&mut Value)) -> Value {
        let mut app = shop();
        change(&mut app);
        app
    }
    let home = Home::new().await;
    for (app, says) in [
        (app(|app| app["name"] = json!("../up")), "\"../up\" is no app name"),
        (app(|app| app["name"] = json!("a/b")), "\"a/b\" is no app name"),
        (app(|app| app["services"]["web"]["name"] = json!("other")), "calls itself \"other\""),
        (app(|app| app["services"]["web"]["dir"] = json!("here")), "absolute path"),
        (app(|app| app["services"]["web"]["run"] = json!([])), "must run something"),
        (app(|app| app["services"]["web"]["ports"][0]["name"] = json!("")), "no port name"),
        (
            app(|app| app["services"]["web"]["needs"][0]["service"] = json!("gone")),
            "service web needs \"gone\"",
        ),
        (
            app(|app| app["routes"]["main"]["to"][0]["service"] = json!("gone")),
            "route main leads to \"gone\"",
        ),
    ] {
        let answer = home.post("/v1/apply", &json!({ "app": app })).await;
        let problem = answer.problem(422, "invalid-body");
        let detail = problem["detail"].as_str().expect("text");
        assert!(detail.contains(says), "expected {says:?} in {detail:?}");
    }
    let forced = home.post("/v1/apply", &json!({ "app": shop(), "force": true })).await;
    forced.problem(422, "unsupported");
    assert_eq!(home.get("/v1/apps").await.json(), json!([]));
}

#[tokio::test]
async fn names_in_paths_cannot_leave_their_place() {
    let home = Home::new().await;
    home.apply_shop().await;
    for app in ["..", "%2e%2e", "a%2Fb", "..%2F..", "Shop", "a%00", "%FF", "shop%20"] {
        for (method, rest) in [
            (Method::GET, ""),
            (Method::GET, "/watch"),
            (Method::GET, "/logs"),
            (Method::DELETE, ""),
        ] {
            let target = format!("/v1/apps/{app}{rest}");
            let answer = home.open(plain(method, &target)).await.whole().await;
            assert_eq!(answer.status.as_u16(), 404, "{target}: {answer:?}");
        }
    }
    let stop = home.send(Method::POST, "/v1/apps/shop/services/..%2Fx/stop").await;
    stop.problem(404, "service-not-found");
}

#[tokio::test]
async fn health_tells_what_the_gateway_does_not_apply() {
    let home = Home::new().await;
    let health = home.get("/v1/health").await.json();
    let wanted = serde_json::json!([{ "object": "route shop/web", "reason": "its host is taken" }]);
    assert_eq!(health["rejected"], wanted);
}
