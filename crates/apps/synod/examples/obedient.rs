//! A service that does as it is told, for the end-to-end tests: a tiny HTTP server on `PORT`
//! whose answers show its environment and whose faults can be ordered.
//!
//! Words on the command line: `ready-after=MS` answers `/healthz` with 503 before, `never-ready`
//! always, `exit=CODE` and `done` end at once, `say=TEXT` prints a line at the start.
//! Requests: `/env/NAME` answers the variable, `/pid` the process id, `/slow/MS` waits first,
//! `/exit/CODE` ends the process, `/fetch/NAME` fetches the URL in variable NAME.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::exit;
use std::thread;
use std::time::{Duration, Instant};

struct Orders {
    never_ready: bool,
    ready_after: Duration,
    start: Instant,
}

fn main() {
    let mut orders =
        Orders { never_ready: false, ready_after: Duration::ZERO, start: Instant::now() };
    for word in env::args().skip(1) {
        let (order, value) = word.split_once('=').unwrap_or((&word, ""));
        match order {
            "exit" => exit(number(value)),
            "never-ready" => orders.never_ready = true,
            "ready-after" => orders.ready_after = Duration::from_millis(number(value)),
            "say" => println!("{value}"),
            "done" => return,
            _ => exit(64),
        }
    }
    let port = env::var("PORT").expect("PORT is set");
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).expect("PORT is free");
    println!("{{\"level\":\"info\",\"msg\":\"listening\",\"port\":{port}}}");
    thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            scope.spawn(|| serve(stream, &orders));
        }
    });
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| exit(64))
}

fn serve(stream: TcpStream, orders: &Orders) {
    let mut reader = BufReader::new(stream);
    while let Some(Request { path, is_last }) = read_request(&mut reader) {
        let (status, body) = answer(&path, orders);
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if reader.get_mut().write_all(head.as_bytes()).is_err() || is_last {
            return;
        }
    }
}

struct Request {
    path: String,
    /// Whether the client wants the connection closed.
    is_last: bool,
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let mut length = 0;
    let mut is_last = false;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        is_last |= line == "connection: close";
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    first.split(' ').nth(1).map(|path| Request { path: path.to_owned(), is_last })
}

fn answer(path: &str, orders: &Orders) -> (&'static str, String) {
    let mut words = path.trim_start_matches('/').splitn(2, '/');
    let (word, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match word {
        "healthz" if orders.never_ready || orders.start.elapsed() < orders.ready_after => {
            ("503 Service Unavailable", "not yet".into())
        }
        "healthz" => ("200 OK", "fine".into()),
        "env" => match env::var(value) {
            Ok(value) => ("200 OK", value),
            Err(_) => ("404 Not Found", String::new()),
        },
        "pid" => ("200 OK", std::process::id().to_string()),
        "slow" => {
            thread::sleep(Duration::from_millis(number(value)));
            ("200 OK", "at last".into())
        }
        "exit" => exit(number(value)),
        "fetch" => match env::var(value).ok().and_then(|url| fetch(&url)) {
            Some(answer) => ("200 OK", answer),
            None => ("502 Bad Gateway", String::new()),
        },
        _ => ("200 OK", format!("{path} of {}", env::var("SYNOD_SERVICE").unwrap_or_default())),
    }
}

fn fetch(url: &str) -> Option<String> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host).ok()?;
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}
