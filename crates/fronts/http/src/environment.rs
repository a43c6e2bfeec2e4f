//! The addresses of an app's services, as its own instances are told them.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use synod_jobs::ServiceStatus;
use synod_manifest::{Port, Protocol};
use synod_registry::Address;

use crate::api::Api;
use crate::extract::AppName;
use crate::problem::Problem;

/// `<NAME>_URL`, `<NAME>_HOST` and `<NAME>_PORT` of every service whose first port the gateway has
/// bound: for a program that is no instance but wants to reach them, such as a test.
pub(crate) async fn environment(
    State(api): State<Api>,
    AppName(app): AppName,
) -> Result<Json<BTreeMap<String, String>>, Problem> {
    let status = api.jobs().status(&app).await?;
    let addresses = api.registry().addresses();
    let mut environment = BTreeMap::new();
    for ServiceStatus { name, ports, .. } in &status.services {
        let Some(port) = ports.first() else { continue };
        if let Some(address) = addresses.service(&app, name, &port.name).await? {
            environment.extend(variables(name, port, address));
        }
    }
    Ok(Json(environment))
}

fn variables(service: &str, port: &Port, address: Address) -> [(String, String); 3] {
    let name = service.to_ascii_uppercase().replace('-', "_");
    let scheme = match port.protocol {
        Protocol::Grpc | Protocol::Http => "http",
        Protocol::Tcp => "tcp",
    };
    [
        (format!("{name}_URL"), format!("{scheme}://{address}")),
        (format!("{name}_HOST"), address.host.to_string()),
        (format!("{name}_PORT"), address.port.to_string()),
    ]
}
