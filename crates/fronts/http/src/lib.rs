//! The admin REST API: apps, services, logs and the daemon itself.
//!
//! A front: it decodes, asks the services below, and encodes; it decides nothing. The same routes
//! are served on a unix socket, where the file's mode says who may connect, and, if wanted, on a
//! loopback TCP port, where a token does. Both check `Host` and `Origin`, so that no page in a
//! browser can make its way in by a name that resolves to this machine.
//!
//! Answers are JSON. Streams are newline-delimited JSON, one value a line; one that ends cleanly
//! has told everything, one that is cut off has not. Blocking queries take the `index` of the last
//! answer (header `X-Synod-Index`) and answer once it is out of date, or after `wait`. Errors are
//! problem documents of RFC 9457 with a stable `code`.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/health` | [`Health`], and a list of [`Rejected`] |
//! | `GET /v1/version` | `{version}` |
//! | `POST /v1/shutdown?if_idle=` | 202 `{stopping}`; the daemon ends, instances go on |
//! | `POST /v1/plan`, `POST /v1/apply` | [`Apply`](synod_jobs::Apply) in, [`Plan`](synod_jobs::Plan) out |
//! | `GET /v1/apps` | a list of [`AppOverview`](synod_jobs::AppOverview) |
//! | `GET /v1/apps/{app}` | [`AppStatus`](synod_jobs::AppStatus) |
//! | `DELETE /v1/apps/{app}` | 202; the app is taken down |
//! | `GET /v1/apps/{app}/watch` | a stream of [`AppStatus`](synod_jobs::AppStatus), ending with the app |
//! | `GET /v1/apps/{app}/environment` | the variables with which its services find each other |
//! | `GET /v1/apps/{app}/logs?service=&instance=&since_ms=&tail=&follow=` | a stream of [`LogLine`](synod_agent::log::LogLine) |
//! | `POST /v1/apps/{app}/restart` | 202 `{services}`; each is restarted |
//! | `POST /v1/apps/{app}/services/{service}/restart` | the same for one |
//! | `POST /v1/apps/{app}/services/{service}/stop` | 202 `{services}` |
//! | `GET /v1/services?app=&service=&index=&wait=` | `{index, services}`, a blocking query |

mod api;
mod app_body;
mod apps;
mod extract;
mod guard;
mod health;
mod listen;
mod logs;
mod ndjson;
mod problem;
mod refusal;
mod services;
mod token;

pub use api::{Api, Parts};
pub use health::{Health, Rejected};
pub use listen::{BindError, bind_loopback, bind_unix};
pub use token::Token;
