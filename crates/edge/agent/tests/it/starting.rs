//! What an instance is given, and why one can't be started.

use std::net::TcpListener;

use synod_manifest::{Kind, Segment, Template};
use synod_placement::{Desired, ExitCause, Phase};
use synod_registry::{AddressKey, Addresses};
use synod_store::{KeyRange, RangeRequest, SYNOD, Store};

use crate::world::{APP, World, instance, port};

async fn cause_of(world: &World, service: &synod_manifest::Service) -> String {
    world.assign("web-0-1", service).await;
    let status = world.until_exited("web-0-1").await;
    let exit = status.exit.unwrap();
    assert!(exit.failure);
    let ExitCause::StartFailed(cause) = exit.cause else { panic!("{:?}", exit.cause) };
    cause
}

#[tokio::test]
async fn an_instance_gets_its_environment_and_its_output_is_kept() {
    let world = World::new().await;
    let mut service = world.script(
        "echo $SYNOD_SLOT $SYNOD_INSTANCE $X p=$PORT $PORT_ADMIN_UI; \
        echo to-stderr >&2; exec sleep 1000",
    );
    service.ports = vec![port("http", None), port("admin-ui", None)];
    let segments = vec![
        Segment::AppName,
        Segment::Literal("/".into()),
        Segment::InstancePort { port: "http".into() },
    ];
    service.env.insert("X".into(), Template { segments });
    world.assign("web-0-1", &service).await;

    let status = world.until("web-0-1", |status| status.ready).await;
    assert!(status.pid.is_some() && status.started_ms.is_some(), "{status:?}");
    let (http, admin) = (status.ports["http"], status.ports["admin-ui"]);
    world.until_printed("to-stderr").await;
    let line = world.until_printed("p=").await;
    assert_eq!(line.text, format!("0 web-0-1 shop/{http} p={http} {admin}"));
    assert_eq!((line.service.as_str(), line.slot, line.instance.as_str()), ("web", 0, "web-0-1"));
    world.end().await;
}

#[tokio::test]
async fn a_task_ends_well_and_stays_ended() {
    let mut world = World::new().await;
    let mut service = world.script("echo seeding");
    service.kind = Kind::Task;
    world.assign("web-0-1", &service).await;
    let exit = world.until_exited("web-0-1").await.exit.unwrap();
    assert_eq!((exit.cause, exit.failure), (ExitCause::Code(0), false));

    // Neither the same agent nor another starts it again; both have handled this when the
    // instance behind it is started.
    let again = world.script("exec sleep 1000");
    world.assign("web-0-2", &again).await;
    world.until_running("web-0-2").await;
    world.kill_agent().await;
    world.start_agent();
    world.assign("web-0-3", &again).await;
    world.until_running("web-0-3").await;
    assert_eq!(world.printed().await, ["seeding"]);
    world.end().await;
}

#[tokio::test]
async fn a_missing_program_is_named_with_where_it_was_looked_for() {
    let world = World::new().await;
    let cause = cause_of(&world, &world.command(&["no-such-program", "x"])).await;
    assert!(cause.contains("no-such-program") && cause.contains("PATH ("), "{cause}");
    world.end().await;
}

#[tokio::test]
async fn a_missing_file_is_named_with_its_directory() {
    let world = World::new().await;
    let cause = cause_of(&world, &world.command(&["./bin/server"])).await;
    let dir = world.work_dir().to_str().unwrap().to_owned();
    assert!(cause.contains("bin/server") && cause.contains(&dir), "{cause}");
    world.end().await;
}

#[tokio::test]
async fn a_program_that_the_kernel_refuses_is_a_failed_start() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new().await;
    let file = world.work_dir().join("tool");
    std::fs::write(&file, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let cause = cause_of(&world, &world.command(&["./tool"])).await;
    assert!(cause.contains("tool") && cause.contains("interpreter"), "{cause}");
    world.end().await;
}

#[tokio::test]
async fn a_taken_port_is_named_with_the_remedy() {
    let world = World::new().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let number = taken.local_addr().unwrap().port();
    let mut service = world.script("exec sleep 1000");
    service.ports = vec![port("http", Some(number))];
    let cause = cause_of(&world, &service).await;
    assert!(cause.contains(&format!("port http ({number}) is taken")), "{cause}");
    assert!(cause.contains("auto"), "{cause}");
    world.end().await;
}

#[tokio::test]
async fn an_instance_waits_for_the_addresses_it_refers_to() {
    let world = World::new().await;
    let mut service = world.script("echo told $AT; exec sleep 1000");
    let part = synod_manifest::EndpointPart::Url;
    let segments = vec![Segment::Route { route: "home".into(), part }];
    service.env.insert("AT".into(), Template { segments });
    world.assign("web-0-1", &service).await;
    let status = world.until("web-0-1", |status| status.reason.is_some()).await;
    assert_eq!(status.phase, Phase::Starting);
    assert!(status.reason.unwrap().contains("route home"));

    let addresses = Addresses::new(std::sync::Arc::new(world.store.clone()));
    let address = "127.0.0.1:4711".parse::<std::net::SocketAddr>().unwrap().into();
    addresses.put(&AddressKey::route(APP, "home"), address).await.unwrap();
    let status = world.until("web-0-1", |status| status.ready).await;
    assert_eq!(status.reason, None);
    world.until_printed("told http://127.0.0.1:4711").await;
    world.end().await;
}

#[tokio::test]
async fn what_is_held_or_stopped_is_not_started() {
    let world = World::new().await;
    let service = world.command(&["sh", "-c", "echo started"]);
    let mut held = instance("web-0-1", "web", Desired::Hold);
    held.waits = vec!["stock is not ready".into()];
    world.assign_as("web-0-2", &service, Desired::Stop).await;
    world.write_instance(&held).await;
    let exit = world.until_exited("web-0-2").await.exit.unwrap();
    assert!(!exit.failure);
    assert_eq!(world.status("web-0-1").await, None);
    assert!(world.printed().await.is_empty());

    held.desired = Desired::Run;
    world.write_instance(&held).await;
    world.until_exited("web-0-1").await;
    assert_eq!(world.printed().await, ["started"]);
    world.end().await;
}

#[tokio::test]
async fn the_node_says_what_it_enforces() {
    let world = World::new().await;
    let service = world.script("exec sleep 1000");
    world.assign("web-0-1", &service).await;
    world.until_running("web-0-1").await;
    let request = RangeRequest::new(SYNOD, KeyRange::prefix("nodes/"));
    let found = world.store.range(request, Default::default()).await.unwrap();
    let node: synod_placement::Node = synod_jobs::keys::decode(&found.kvs[0]).unwrap();
    assert_eq!((node.name.as_str(), node.eligible), ("local", true));
    assert!(node.attributes.contains_key("containment"));
    assert!(found.kvs[0].lease.is_some());
    world.end().await;
}
