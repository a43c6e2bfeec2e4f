//! The gateway and sidecar: moves bytes by the decisions of `core/routing`.
//!
//! `listener → inspect → sanitize → route → pick → pool → endpoint`, written as plain functions:
//! a [`Proxy`] holds the listeners; a connection's bytes pass the inspector before the HTTP
//! library sees them; a request is sanitized, routed by the configuration it began with, and sent
//! on a pooled connection. Bodies are streamed both ways. Who cannot be served is told why, as
//! `application/problem+json` with the cause in `x-synod-cause`.
//!
//! HTTP/1.1 and HTTP/2 without TLS are spoken to clients; to endpoints whichever their port
//! speaks. TCP listeners copy bytes. [`Gateway`] keeps a proxy in step with the store.
//!
//! Where HTTP/2 differs from the strictness of HTTP/1.1: a fragment in `:path` is cut off by the
//! library before we see it, instead of being refused; what the library finds malformed is
//! answered by a stream reset rather than by 400; a header section over the size limit is refused
//! by the library, and one over the count limit by us, both with 431. Extended CONNECT (WebSocket
//! over HTTP/2, RFC 8441) is not served.
//!
//! Not here yet: TLS, a cap on client connections, a deadline for clients that do not read their
//! answer, a lower bound on the rate of bodies, and ejection of endpoints that keep failing (one
//! that takes no connection is passed over, for that request).

mod alarm;
mod answer;
mod body;
mod counters;
mod forward;
mod gateway;
mod inspected;
mod joined;
mod link;
mod options;
mod pool;
mod proxy;
mod sanitize;
mod serve;
mod snapshot;
mod spawner;
mod tunnel;

pub use counters::{Counters, Counts};
pub use gateway::{Gateway, GatewayOptions, Rejected, StartError};
pub use options::Options;
pub use proxy::{BindError, Proxy};
