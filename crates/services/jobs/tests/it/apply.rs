//! What applying a manifest changes, and what it leaves alone.

use synod_jobs::{ApplyError, Change, ChangeError, Target};
use synod_manifest::NeedCondition;

use crate::cluster::{Cluster, app, needs, route, service, shop, text};

fn update(fields: &[&str], restarts: bool) -> Change {
    Change::Update { fields: fields.iter().map(|field| (*field).to_owned()).collect(), restarts }
}

#[tokio::test(start_paused = true)]
async fn a_second_apply_of_the_same_changes_nothing() {
    let cluster = Cluster::new();
    let plan = cluster.jobs.plan(&shop()).await.unwrap();
    assert!(plan.rows.iter().all(|row| row.change == Change::Create));
    assert_eq!(cluster.jobs.apply(&shop()).await.unwrap(), plan);
    let before = cluster.jobs.status("shop").await.unwrap();
    let again = cluster.jobs.apply(&shop()).await.unwrap();
    assert!(again.is_empty());
    assert_eq!(again.to_string(), "app shop: nothing to change");
    assert_eq!(cluster.jobs.status("shop").await.unwrap(), before, "not even a write");
}

#[tokio::test(start_paused = true)]
async fn planning_writes_nothing() {
    let cluster = Cluster::new();
    let _ = cluster.jobs.plan(&shop()).await.unwrap();
    assert!(cluster.keys("").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_what_a_process_depends_on_restarts_it() {
    let cluster = Cluster::new();
    cluster.jobs.apply(&app("shop", [service("order"), service("stock")])).await.unwrap();
    let check = async |edit: fn(&mut synod_manifest::Service), expect: Change| {
        let mut order = service("order");
        edit(&mut order);
        let plan = cluster.jobs.plan(&app("shop", [order, service("stock")])).await.unwrap();
        assert_eq!(plan.service("order").unwrap().change, expect);
        assert_eq!(plan.service("stock").unwrap().change, Change::Unchanged);
    };
    check(|order| order.instances = 3, update(&["instances"], false)).await;
    check(|order| order.restart.ok_exit = vec![0, 143], update(&["restart"], false)).await;
    let need = |order: &mut synod_manifest::Service| {
        *order = needs(order.clone(), &[("stock", NeedCondition::Ready)]);
    };
    check(need, update(&["needs"], false)).await;
    check(|order| order.run.push(text("--fast")), update(&["run"], true)).await;
    let env = |order: &mut synod_manifest::Service| {
        order.instances = 2;
        order.env.insert("MODE".into(), text("fast"));
    };
    check(env, update(&["instances", "env"], true)).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_built_anew_restarts() {
    let cluster = Cluster::new();
    let mut shop = app("shop", [service("order")]);
    let timeout = std::time::Duration::from_secs(60);
    let build = synod_manifest::Build { command: "make".into(), timeout };
    shop.app.services.get_mut("order").unwrap().build = Some(build);
    shop.builds.insert("order".into(), "one".into());
    cluster.jobs.apply(&shop).await.unwrap();
    shop.builds.insert("order".into(), "two".into());
    let plan = cluster.jobs.plan(&shop).await.unwrap();
    assert_eq!(plan.to_string(), "app shop:\n  restart service order: it was built anew");
    shop.builds.clear();
    assert!(cluster.jobs.plan(&shop).await.unwrap().is_empty(), "not built, so not anew");
}

#[tokio::test(start_paused = true)]
async fn routes_and_removed_services_have_their_rows() {
    let cluster = Cluster::new();
    let mut shop = app("shop", [service("order"), service("stock")]);
    shop.app.routes.insert("web".into(), route("web", "order"));
    cluster.jobs.apply(&shop).await.unwrap();
    shop.app.services.remove("stock");
    shop.app.routes.get_mut("web").unwrap().path = "/shop".into();
    shop.app.routes.insert("api".into(), route("api", "order"));
    let plan = cluster.jobs.apply(&shop).await.unwrap();
    let lines =
        "app shop:\n  remove service stock\n  create route api\n  update route web: path changed";
    assert_eq!(plan.to_string(), lines);
    let targets: Vec<_> = plan.rows.iter().map(|row| row.target).collect();
    assert_eq!(targets, [Target::Service, Target::Service, Target::Route, Target::Route]);
    let json = serde_json::to_value(&plan.rows[1]).unwrap();
    let expect = r#"{"target":"service","name":"stock","change":{"action":"remove"}}"#;
    assert_eq!(json, serde_json::from_str::<serde_json::Value>(expect).unwrap());
}

#[tokio::test(start_paused = true)]
async fn one_name_from_two_paths_is_a_conflict_that_prints_both() {
    let cluster = Cluster::new();
    cluster.jobs.apply(&shop()).await.unwrap();
    let before = cluster.jobs.status("shop").await.unwrap();
    let mut other = shop();
    other.app.path = "/elsewhere/app.toml".into();
    let error = cluster.jobs.apply(&other).await.unwrap_err();
    assert!(matches!(error, ApplyError::PathConflict { .. }));
    let text = error.to_string();
    assert!(text.contains("/shop/app.toml") && text.contains("/elsewhere/app.toml"), "{text}");
    assert_eq!(cluster.jobs.status("shop").await.unwrap(), before);
}

#[tokio::test(start_paused = true)]
async fn unknown_names_come_with_the_nearest_known_one() {
    let cluster = Cluster::new();
    cluster.jobs.apply(&shop()).await.unwrap();
    let error = cluster.jobs.down("shpo").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no app `shpo`; did you mean `shop`?");
    let error = cluster.jobs.stop("shop", "oder").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no service `oder`; did you mean `order`?");
    let error = cluster.jobs.status("library").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no app `library`");
}

#[tokio::test(start_paused = true)]
async fn an_app_on_its_way_out_takes_an_apply_but_no_restart() {
    let cluster = Cluster::new();
    cluster.jobs.apply(&shop()).await.unwrap();
    cluster.jobs.down("shop").await.unwrap();
    let error = cluster.jobs.restart("shop", None).await.unwrap_err();
    assert!(matches!(error, ChangeError::Removing { .. }), "{error}");
    let plan = cluster.jobs.apply(&shop()).await.unwrap();
    assert!(plan.rows.iter().all(|row| row.change == Change::Create), "{plan}");
}

#[tokio::test(start_paused = true)]
async fn applies_at_the_same_time_all_happen_one_after_another() {
    let cluster = Cluster::new();
    let apply = |name: &str| {
        let jobs = cluster.jobs.clone();
        let shop = app("shop", [service(name)]);
        tokio::spawn(async move { jobs.apply(&shop).await })
    };
    let tasks: Vec<_> = ["a", "b", "c", "d"].map(apply).into();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let status = cluster.jobs.status("shop").await.unwrap();
    assert_eq!(status.generation, 4);
    let running = status.services.iter();
    let running = running.filter(|service| service.desired == synod_placement::JobState::Run);
    assert_eq!(running.count(), 1, "the last one's truth");
}
