//! What one HTTP/1.1 request costs the proxy, in CPU time.
//!
//! Endpoint, proxy and load run as processes of their own, so that the proxy's CPU time is its
//! own; requests per second depend on what else the machine does, the cost does less. The same load
//! through a relay that only copies bytes tells what the system calls alone cost on this machine.
//!
//! ```text
//! cargo bench -p synod-proxy --bench request_cost               our proxy
//! request_cost upstream                                         only the endpoint; prints its port
//! request_cost load 127.0.0.1:8080 REQUESTS PID [PID..]         another proxy in front of it
//! ```
//!
//! `cargo xtask bench-gateway` puts other proxies beside ours in this way. The load tells what it
//! measured in one line of JSON.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use synod_proxy::{Options, Proxy};
use synod_routing::{
    Cluster, ClusterId, Config, Endpoint, HostPattern, Listener, Protocol, Route, Table, Target,
};
use synod_task::Tasks;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CONNECTIONS: usize = 32;
/// How many requests a comparison sends to each role.
const REQUESTS: usize = 100_000;
/// What a load may take before it is given up.
const DEADLINE: Duration = Duration::from_secs(120);
const REQUEST: &[u8] = b"GET /orders/7?full=1 HTTP/1.1\r\nHost: shop.localhost:8080\r\n\
    User-Agent: request_cost\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n\
    Authorization: Bearer 0123456789abcdef\r\n\r\n";
const BODY: [u8; 120] = [b'x'; 120];

fn main() {
    let args: Vec<_> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let words: Vec<_> = args.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match *words {
        [] => compare(),
        ["upstream"] => runtime.block_on(upstream()),
        ["relay", upstream] => runtime.block_on(relay(upstream.parse().unwrap())),
        ["proxy", upstream] => runtime.block_on(proxy(upstream.parse().unwrap())),
        ["load", target, requests, ref pids @ ..] if !pids.is_empty() => {
            let pids: Vec<u32> = pids.iter().map(|pid| pid.parse().unwrap()).collect();
            let load = load(target.parse().unwrap(), requests.parse().unwrap(), &pids);
            let load = async { tokio::time::timeout(DEADLINE, load).await };
            runtime.block_on(load).expect("the load ends in time");
        }
        _ => panic!(
            "usage: request_cost [upstream | relay ADDRESS | proxy ADDRESS | \
             load ADDRESS REQUESTS PID..]"
        ),
    }
}

fn compare() {
    let (mut upstream, endpoint) = start(&["upstream"]);
    for role in ["relay", "proxy"] {
        let (mut child, address) = start(&[role, &endpoint]);
        let pid = child.id().to_string();
        println!("{role}");
        let me = std::env::current_exe().unwrap();
        let load = Command::new(me).args(["load", &address, &REQUESTS.to_string(), &pid]).status();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(load.unwrap().success());
    }
    upstream.kill().unwrap();
    upstream.wait().unwrap();
}

/// Starts one of the roles and returns the address it prints.
fn start(args: &[&str]) -> (Child, String) {
    let me = std::env::current_exe().unwrap();
    let mut child = Command::new(me).args(args).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().to_owned())
}

async fn upstream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
        Date: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 120\r\n\r\n"
        .to_vec();
    answer.extend(BODY);
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let answer = answer.clone();
        tokio::spawn(async move {
            socket.set_nodelay(true).unwrap();
            let mut buffer = [0; 4096];
            // Every request arrives in one piece.
            while socket.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                if socket.write_all(&answer).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn relay(endpoint: SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut upstream = TcpStream::connect(endpoint).await.unwrap();
            client.set_nodelay(true).unwrap();
            upstream.set_nodelay(true).unwrap();
            drop(tokio::io::copy_bidirectional(&mut client, &mut upstream).await);
        });
    }
}

async fn proxy(endpoint: SocketAddr) {
    let route = |host: &str, path: &str| Route {
        name: "bench".into(),
        host: HostPattern::parse(host),
        path: path.into(),
        targets: vec![Target { cluster: ClusterId(0), weight: 1 }],
        timeout: Some(Duration::from_secs(30)),
    };
    let table = Table::new([route("shop.localhost", "/orders"), route("*", "/")]);
    let cluster = Cluster {
        service: "shop/order".into(),
        protocol: Protocol::Http1,
        endpoints: vec![Endpoint { instance: "order-0-1".into(), address: endpoint }],
        absent: vec![],
    };
    let listeners = BTreeMap::from([("main".to_owned(), Listener::Http(table))]);
    let config = Config::new(1, listeners, vec![cluster]).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let tasks = Tasks::new();
    let proxy = Proxy::start([("main", any)], config, Options::default(), &tasks).unwrap();
    println!("{}", proxy.address("main").unwrap());
    std::future::pending::<()>().await;
}

async fn load(target: SocketAddr, requests: usize, pids: &[u32]) {
    let mut sockets = Vec::new();
    for _ in 0..CONNECTIONS {
        let socket = TcpStream::connect(target).await.unwrap();
        socket.set_nodelay(true).unwrap();
        sockets.push(socket);
    }
    let each = requests.div_ceil(CONNECTIONS);
    // Connections to the endpoint open and buffers grow before anything is measured.
    let (sockets, _) = send_on_all(sockets, each.div_ceil(10)).await;
    let cpu_before: Duration = pids.iter().map(|pid| cpu(*pid)).sum();
    let user_before: f64 = pids.iter().map(|pid| user_seconds(*pid)).sum();
    let begin = Instant::now();
    let (_sockets, mut took) = send_on_all(sockets, each).await;
    let elapsed = begin.elapsed();
    let cpu = pids.iter().map(|pid| cpu(*pid)).sum::<Duration>() - cpu_before;
    let user = pids.iter().map(|pid| user_seconds(*pid)).sum::<f64>() - user_before;
    took.sort_unstable();
    let count = took.len() as f64;
    let at = |share: f64| took[((count - 1.0) * share) as usize].as_secs_f64() * 1e3;
    let rss: u64 = pids.iter().map(|pid| rss_kib(*pid)).sum();
    // In fixed places rather than in full: the figures are not that exact.
    println!(
        "{{\"requests\": {count}, \"requests_per_s\": {:.0}, \"cpu_us\": {:.2}, \
         \"user_us\": {:.2}, \"p50_ms\": {:.3}, \"p99_ms\": {:.3}, \"rss_mib\": {:.1}}}",
        count / elapsed.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / count,
        user * 1e6 / count,
        at(0.50),
        at(0.99),
        rss as f64 / 1024.0,
    );
}

/// Sends `each` requests on every connection, and returns how long each of them took.
async fn send_on_all(sockets: Vec<TcpStream>, each: usize) -> (Vec<TcpStream>, Vec<Duration>) {
    let clients: Vec<_> =
        sockets.into_iter().map(|socket| tokio::spawn(client(socket, each))).collect();
    let (mut sockets, mut took) = (Vec::new(), Vec::new());
    for client in clients {
        let (socket, of_client) = client.await.unwrap();
        sockets.push(socket);
        took.extend(of_client);
    }
    (sockets, took)
}

/// Sends one request after the other.
async fn client(mut socket: TcpStream, requests: usize) -> (TcpStream, Vec<Duration>) {
    let mut took = Vec::with_capacity(requests);
    let mut buffer = vec![0; 4096];
    for _ in 0..requests {
        let sent = Instant::now();
        socket.write_all(REQUEST).await.unwrap();
        let mut length = 0;
        while !buffer[..length].ends_with(&BODY) {
            let count = socket.read(&mut buffer[length..]).await.unwrap();
            assert!(count > 0, "{}", String::from_utf8_lossy(&buffer[..length]));
            length += count;
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200"));
        took.push(sent.elapsed());
    }
    (socket, took)
}

/// The CPU time of a process: the first number of each thread's `schedstat`, in nanoseconds.
fn cpu(pid: u32) -> Duration {
    let of_thread = |thread: io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    };
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    Duration::from_nanos(threads.filter_map(of_thread).sum())
}

/// The time a process spent outside the kernel, by the clock's ticks of 10 ms.
fn user_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name in parentheses may hold spaces; user time is the 12th field after it.
    let after_name = stat.rsplit(')').next().unwrap();
    after_name.split_whitespace().nth(11).unwrap().parse::<f64>().unwrap() / 100.0
}

fn rss_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
