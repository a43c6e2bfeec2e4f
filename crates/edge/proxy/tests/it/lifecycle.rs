//! Configurations, listeners and the proxy come and go while requests are under way.

use std::collections::BTreeMap;
use std::time::Duration;

use synod_routing::{ClusterId, Config, Listener, Protocol};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::world::{
    World, any_port, cluster, config, read_to_end, read_until, says, scripted, soon,
};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An endpoint that says when it has a request and answers it when told to.
async fn holding() -> (std::net::SocketAddr, watch::Receiver<bool>, watch::Sender<bool>) {
    let (got, has_request) = watch::channel(false);
    let (release, released) = watch::channel(false);
    let address = scripted(move |_, mut socket| {
        let (got, mut released) = (got.clone(), released.clone());
        async move {
            read_until(&mut socket, "\r\n\r\n").await;
            got.send_replace(true);
            released.wait_for(|open| *open).await.unwrap();
            socket.write_all(OK).await.unwrap();
            read_to_end(&mut socket).await;
        }
    })
    .await;
    (address, has_request, release)
}

#[tokio::test]
async fn a_request_keeps_the_configuration_it_began_with() {
    let (old, mut has_request, release) = holding().await;
    let world = World::new(&[old]);
    let mut socket = world.connect().await;
    socket.write_all(GET).await.unwrap();
    soon(has_request.wait_for(|has| *has)).await.unwrap();
    world.proxy.apply(config(&[says("new").await], Protocol::Http1, None));
    release.send(true).unwrap();
    assert!(read_until(&mut socket, "ok").await.starts_with("HTTP/1.1 200"));
    socket.write_all(GET).await.unwrap();
    read_until(&mut socket, "new").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_fail_no_request() {
    let endpoints = [says("even").await, says("odd").await];
    let world = World::new(&endpoints[..1]);
    let (stop, stopped) = watch::channel(false);
    let mut clients = Vec::new();
    for _ in 0..8 {
        let (address, stopped) = (world.address, stopped.clone());
        clients.push(tokio::spawn(async move {
            let mut socket = TcpStream::connect(address).await.unwrap();
            let mut served = 0;
            while !*stopped.borrow() {
                socket.write_all(GET).await.unwrap();
                let answer = read_until(&mut socket, "\r\n\r\n").await;
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                if answer.ends_with("\r\n\r\n") {
                    read_until(&mut socket, if answer.contains("h: 3") { "odd" } else { "even" })
                        .await;
                }
                served += 1;
            }
            served
        }));
    }
    let served = || world.proxy.counts()["main"].answers[1];
    for turn in 0..200 {
        let before = served();
        world.proxy.apply(config(&endpoints[turn % 2..=turn % 2], Protocol::Http1, None));
        soon(async {
            while served() < before + 5 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    stop.send(true).unwrap();
    let mut total = 0;
    for client in clients {
        total += client.await.unwrap();
    }
    assert!(total >= 1000, "{total}");
    assert_eq!(served(), total);
}

#[tokio::test]
async fn listeners_come_and_go() {
    let world = World::new(&[says("ok").await]);
    let address = world.proxy.listen("second", any_port()).unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(GET).await.unwrap();
    let answer = read_until(&mut socket, "no_route").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    world.proxy.unlisten("second");
    assert_eq!(world.proxy.address("second"), None);
    // Its idle connection is closed, and so is its port.
    read_to_end(&mut socket).await;
    soon(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(world.get("a", "/").await.0, 200);
}

#[tokio::test]
async fn a_taken_port_is_reported_with_its_listener() {
    let world = World::new(&[]);
    let error = world.proxy.listen("second", world.address).unwrap_err();
    let want = format!("listener `second` cannot be bound to {}", world.address);
    assert!(error.to_string().starts_with(&want), "{error}");
}

#[tokio::test]
async fn shutdown_answers_what_has_begun_and_takes_nothing_new() {
    let (upstream, mut has_request, release) = holding().await;
    let world = World::new(&[upstream]);
    let mut idle = world.connect().await;
    let mut socket = world.connect().await;
    socket.write_all(GET).await.unwrap();
    soon(has_request.wait_for(|has| *has)).await.unwrap();
    let ended = async {
        assert_eq!(read_to_end(&mut idle).await, "");
        release.send(true).unwrap();
        let answer = read_to_end(&mut socket).await;
        assert!(answer.ends_with("ok"), "{answer}");
    };
    soon(async { tokio::join!(world.proxy.shutdown(crate::world::SOON), ended) }).await;
    assert!(TcpStream::connect(world.address).await.is_err());
}

#[tokio::test]
async fn shutdown_cuts_off_what_outlives_its_deadline() {
    let (upstream, mut has_request, _release) = holding().await;
    let world = World::new(&[upstream]);
    let mut socket = world.connect().await;
    socket.write_all(GET).await.unwrap();
    soon(has_request.wait_for(|has| *has)).await.unwrap();
    soon(world.proxy.shutdown(Duration::from_millis(20))).await;
    assert_eq!(read_to_end(&mut socket).await, "");
}

#[tokio::test]
async fn tcp_listeners_copy_bytes() {
    let upstream = scripted(|_, mut socket| async move {
        socket.write_all(b"220 hello\n").await.unwrap();
        read_until(&mut socket, "quit\n").await;
        socket.write_all(b"bye\n").await.unwrap();
    })
    .await;
    let listeners = BTreeMap::from([("main".to_owned(), Listener::Tcp(ClusterId(0)))]);
    let clusters = vec![cluster("shop/db", &[upstream], Protocol::Tcp)];
    let world = World::with(Config::new(1, listeners, clusters).unwrap(), Default::default());
    let mut socket = world.connect().await;
    read_until(&mut socket, "hello\n").await;
    socket.write_all(b"quit\n").await.unwrap();
    assert_eq!(read_to_end(&mut socket).await, "bye\n");
}
