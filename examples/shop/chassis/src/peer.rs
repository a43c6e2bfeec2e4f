//! Calling another service: JSON over HTTP/1.1.

use std::io;
use std::time::Duration;

use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a whole call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// Another service, by its URL.
#[derive(Clone, Debug)]
pub struct Peer {
    authority: String,
    /// What precedes every path, without a slash at its end.
    base: String,
}

/// Why a call brought no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The peer understood and said no. It did nothing.
    #[error("{reason}")]
    Refused {
        /// Its status, 400 to 499.
        status: StatusCode,
        /// Its reason.
        reason: String,
    },
    /// The peer failed or could not be asked. It may have done it or not.
    #[error("{0}")]
    Unknown(String),
}

impl Peer {
    /// The peer whose URL is in the environment.
    ///
    /// # Errors
    /// When the variable is missing or no `http://` URL.
    pub fn from_env(variable: &str) -> io::Result<Self> {
        let url = std::env::var(variable)
            .map_err(|_| io::Error::other(format!("set {variable} to the URL of the peer")))?;
        Self::new(&url)
    }

    /// The peer at a URL.
    ///
    /// # Errors
    /// When it is no `http://` URL.
    pub fn new(url: &str) -> io::Result<Self> {
        let bad = || io::Error::other(format!("{url:?} is not the http:// URL of a peer"));
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let http = uri.scheme_str() == Some("http");
        let authority = uri.authority().filter(|_| http).ok_or_else(bad)?.to_string();
        Ok(Self { authority, base: uri.path().trim_end_matches('/').into() })
    }

    /// Sends `body` and reads the answer; `()` is what a `204 No Content` answers.
    ///
    /// # Errors
    /// When the peer refuses, fails, or gives no answer in time.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: impl Serialize,
    ) -> Result<T, CallError> {
        let unknown = |error: &dyn std::fmt::Display| CallError::Unknown(error.to_string());
        let body = serde_json::to_vec(&body).map_err(|error| unknown(&error))?;
        let exchanged = timeout(CALL_TIMEOUT, self.exchange(method, path, body)).await;
        let (status, answer) = exchanged
            .map_err(|_| unknown(&format_args!("no answer within {CALL_TIMEOUT:?}")))?
            .map_err(|error| unknown(&error))?;
        if status.is_success() {
            let answer: &[u8] = if answer.is_empty() { b"null" } else { &answer };
            return serde_json::from_slice(answer).map_err(|error| unknown(&error));
        }
        let reason = reason(status, &answer);
        if status.is_client_error() {
            return Err(CallError::Refused { status, reason });
        }
        Err(CallError::Unknown(reason))
    }

    /// One request over a connection of its own.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(&self.authority).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::HOST, &self.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let answer = async move {
            let response = sender.send_request(request).await?;
            let status = response.status();
            Ok::<_, hyper::Error>((status, response.into_body().collect().await?.to_bytes()))
        };
        // The connection makes the exchange happen; both end together, here.
        let (answer, _) = tokio::join!(answer, connection);
        Ok(answer?)
    }
}

/// What went wrong, in the peer's words if it has some.
fn reason(status: StatusCode, answer: &[u8]) -> String {
    let said = serde_json::from_slice::<Value>(answer).unwrap_or_default();
    let sentence = ["error", "detail", "title"].iter().find_map(|key| said.get(key)?.as_str());
    sentence.map_or_else(|| format!("it answered {status}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_an_http_url_with_or_without_a_path() {
        let peer = Peer::new("http://127.0.0.1:80/").unwrap();
        assert_eq!((peer.authority.as_str(), peer.base.as_str()), ("127.0.0.1:80", ""));
        assert_eq!(Peer::new("http://h:1/pay/").unwrap().base, "/pay");
        for bad in ["", "127.0.0.1:80", "https://h:1", "http://"] {
            assert!(Peer::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_reason_is_what_the_peer_said_or_its_status() {
        let status = StatusCode::CONFLICT;
        assert_eq!(reason(status, br#"{"error":"2 left"}"#), "2 left");
        assert_eq!(
            reason(status, br#"{"title":"no","detail":"no ready instance"}"#),
            "no ready instance"
        );
        assert_eq!(reason(status, b"<html>"), "it answered 409 Conflict");
    }
}
