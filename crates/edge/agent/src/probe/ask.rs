//! One question to an instance.

use std::collections::BTreeMap;
use std::future::pending;
use std::net::Ipv4Addr;

use regex_lite::Regex;
use synod_manifest::ProbeAction;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::log::{LogQuery, LogReader};

/// As much of an answer as is read; the status line, and enough to quote on failure.
const ANSWER_BYTES_MAX: usize = 4096;
/// As much of a body as is quoted.
const QUOTE_CHARS_MAX: usize = 120;

/// Where an instance is asked.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) app: String,
    pub(crate) service: String,
    pub(crate) instance: String,
    pub(crate) ports: BTreeMap<String, u16>,
    pub(crate) started_ms: u64,
    pub(crate) logs: LogReader,
}

impl Target {
    /// The question in words.
    pub(crate) fn question(&self, action: &ProbeAction) -> String {
        match action {
            ProbeAction::Http { port, path } => format!("GET {path} on port {}", self.named(port)),
            ProbeAction::Log { pattern } => format!("a line that matches `{pattern}`"),
            ProbeAction::Tcp { port } => format!("a connection to port {}", self.named(port)),
        }
    }

    /// Asks by HTTP or TCP; the error is the answer in one line.
    pub(crate) async fn ask(&self, action: &ProbeAction) -> Result<(), String> {
        match action {
            ProbeAction::Http { port, path } => {
                let answer = self.get(port, path).await;
                answer.map_err(|answer| format!("{} {answer}", self.question(action)))
            }
            ProbeAction::Log { pattern } => self.printed(pattern).await,
            ProbeAction::Tcp { port } => match self.connect(port).await {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("{} failed: {error}", self.question(action))),
            },
        }
    }

    /// Waits until a line that matches was printed.
    pub(crate) async fn printed(&self, pattern: &str) -> Result<(), String> {
        let regex = Regex::new(pattern).map_err(|error| format!("`{pattern}`: {error}"))?;
        let query = LogQuery {
            services: vec![self.service.clone()],
            instance: Some(self.instance.clone()),
            since_ms: Some(self.started_ms),
            follow: true,
            ..LogQuery::new(&self.app)
        };
        let failed = |error: std::io::Error| format!("the log can't be read: {error}");
        let mut lines = self.logs.query(query).map_err(failed)?;
        while let Some(line) = lines.next().await.map_err(failed)? {
            if regex.is_match(&line.text) {
                return Ok(());
            }
        }
        pending().await
    }

    async fn get(&self, port: &str, path: &str) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("failed: {error}");
        let mut stream = self.connect(port).await.map_err(failed)?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost:{}\r\nuser-agent: synod-probe\r\n\
             accept: */*\r\nconnection: close\r\n\r\n",
            self.ports.get(port).copied().unwrap_or_default()
        );
        stream.write_all(request.as_bytes()).await.map_err(failed)?;
        let mut answer = Vec::new();
        loop {
            if let Some(status) = status(&answer)? {
                if (200..400).contains(&status) {
                    return Ok(());
                }
                // The rest often says why. It need not come.
                let mut rest = stream.take(ANSWER_BYTES_MAX as u64);
                let reading = rest.read_to_end(&mut answer);
                let _ = tokio::time::timeout(std::time::Duration::from_millis(50), reading).await;
                return Err(format!("answered {status}{}", quote(&answer)));
            }
            let mut chunk = [0; 1024];
            let count = stream.read(&mut chunk).await.map_err(failed)?;
            if count == 0 || answer.len() > ANSWER_BYTES_MAX {
                return Err("got no HTTP answer".into());
            }
            answer.extend_from_slice(&chunk[..count]);
        }
    }

    async fn connect(&self, port: &str) -> std::io::Result<TcpStream> {
        let number = self.ports.get(port).copied().unwrap_or_default();
        TcpStream::connect((Ipv4Addr::LOCALHOST, number)).await
    }

    fn named(&self, port: &str) -> String {
        self.ports.get(port).map_or_else(|| port.to_owned(), u16::to_string)
    }
}

/// The status of an answer; `None` while its first line is not there.
fn status(answer: &[u8]) -> Result<Option<u16>, String> {
    let Some(end) = answer.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
    let line = String::from_utf8_lossy(&answer[..end]);
    let status =
        line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.trim().parse().ok());
    match status {
        Some(status) => Ok(Some(status)),
        None => Err("got no HTTP answer".into()),
    }
}

/// The beginning of an answer's body, as it goes behind the status.
fn quote(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body.trim());
    let line = body.lines().next().unwrap_or_default();
    if line.is_empty() {
        return String::new();
    }
    let quoted: String = line.chars().take(QUOTE_CHARS_MAX).collect();
    format!(": {quoted}")
}
