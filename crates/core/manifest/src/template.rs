//! Text with typed references, such as `${service.api.url}`.

use serde::{Deserialize, Serialize};

/// Text with references that are filled in when an instance starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The parts, in order.
    pub segments: Vec<Segment>,
}

/// A part of a template. `${vars.x}` is not among them: variables are filled in while parsing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Segment {
    /// `${app.name}`.
    AppName,
    /// `${instance.id}`.
    InstanceId,
    /// `${instance.port}` or `${instance.port.<name>}`: the instance's own port.
    InstancePort {
        /// The port's name.
        port: String,
    },
    /// `${instance.slot}`, from 0.
    InstanceSlot,
    /// Text as it stands.
    Literal(String),
    /// `${route.<name>.url|host|port}`: a stable loopback address of the route.
    Route {
        /// The route.
        route: String,
        /// The part of the address.
        part: EndpointPart,
    },
    /// `${service.<name>.url|host|port}` or `${service.<name>.<port>.url|host|port}`: a stable
    /// loopback address, balanced over the service's ready instances.
    Service {
        /// The service.
        service: String,
        /// The port's name.
        port: String,
        /// The part of the address.
        part: EndpointPart,
    },
}

/// A part of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointPart {
    /// The host, always an IP address.
    Host,
    /// The port number.
    Port,
    /// Scheme, host and port; for a route also its path.
    Url,
}
