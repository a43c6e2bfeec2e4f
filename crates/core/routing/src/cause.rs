//! Why a request was not served, in terms that its sender can act on.

use std::fmt;
use std::time::Duration;

use crate::Refusal;

/// Why a request was not served.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// An instance is ready but took no connection.
    ConnectFailed {
        /// `<app>/<service>`.
        service: String,
        /// The instance.
        instance: String,
        /// What the system says.
        reason: String,
    },
    /// No instance of the service is ready.
    NoEndpoints {
        /// `<app>/<service>`.
        service: String,
        /// Why each instance is not, a line each.
        absent: Vec<String>,
    },
    /// No route answers to the host and path.
    NoRoute {
        /// The host asked for.
        host: String,
        /// The path asked for.
        path: String,
    },
    /// The instance already serves as many requests at once as it is given.
    Overloaded {
        /// `<app>/<service>`.
        service: String,
        /// The instance.
        instance: String,
    },
    /// The request itself is at fault.
    Refused(Refusal),
    /// The route's time was over.
    Timeout {
        /// `<app>/<service>`.
        service: String,
        /// The time that the route gives.
        after: Duration,
    },
    /// The instance broke off before it answered.
    UpstreamFailed {
        /// `<app>/<service>`.
        service: String,
        /// The instance.
        instance: String,
        /// What happened.
        reason: String,
    },
}

impl Cause {
    /// The status code of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::ConnectFailed { .. } | Self::NoEndpoints { .. } | Self::Overloaded { .. } => 503,
            Self::NoRoute { .. } => 404,
            Self::Refused(refusal) => refusal.status(),
            Self::Timeout { .. } => 504,
            Self::UpstreamFailed { .. } => 502,
        }
    }

    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ConnectFailed { .. } => "connect_failed",
            Self::NoEndpoints { .. } => "no_endpoints",
            Self::NoRoute { .. } => "no_route",
            Self::Overloaded { .. } => "overloaded",
            Self::Refused(_) => "bad_request",
            Self::Timeout { .. } => "timeout",
            Self::UpstreamFailed { .. } => "upstream_failed",
        }
    }

    /// A short summary that is the same for every request with this cause.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match self {
            Self::ConnectFailed { .. } => "the instance cannot be reached",
            Self::NoEndpoints { .. } => "no instance is ready",
            Self::NoRoute { .. } => "no route answers",
            Self::Overloaded { .. } => "the instance is overloaded",
            Self::Refused(_) => "the request is refused",
            Self::Timeout { .. } => "the request took too long",
            Self::UpstreamFailed { .. } => "the instance failed to answer",
        }
    }
}

/// The whole story in one line.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectFailed { service, instance, reason } => {
                write!(f, "{instance} of {service} took no connection: {reason}")
            }
            Self::NoEndpoints { service, absent } if absent.is_empty() => {
                write!(f, "no ready instance of {service}: none is running")
            }
            Self::NoEndpoints { service, absent } => {
                write!(f, "no ready instance of {service}: {}", absent.join("; "))
            }
            Self::NoRoute { host, path } => write!(f, "no route answers to http://{host}{path}"),
            Self::Overloaded { service, instance } => {
                write!(f, "{instance} of {service} serves as many requests at once as it is given")
            }
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Timeout { service, after } => {
                write!(f, "{service} did not finish within {after:?}")
            }
            Self::UpstreamFailed { service, instance, reason } => {
                write!(f, "{instance} of {service} broke off: {reason}")
            }
        }
    }
}

impl From<Refusal> for Cause {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
