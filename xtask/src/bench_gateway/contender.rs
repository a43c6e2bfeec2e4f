//! The proxies that are compared, and how each is told to do the same.
//!
//! The same means: HTTP/1.1 to both sides over kept connections without a limit of requests, the
//! client's address in `X-Forwarded-For`, one thread that moves bytes, no access log.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::Context;

use super::child::Child;

/// A proxy at work.
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) address: String,
    child: Child,
}

/// A folder for configurations, removed when this is dropped.
pub(super) struct Workplace(PathBuf);

impl Workplace {
    pub(super) fn new() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("bench-gateway-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn write(&self, name: &str, content: &str) -> io::Result<PathBuf> {
        let file = self.0.join(name);
        fs::write(&file, content)?;
        Ok(file)
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // What is left in a folder for temporary files does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Contender {
    /// Our proxy, or the relay that only copies bytes.
    pub(super) fn role(role: &str, request_cost: &Path, endpoint: &str) -> anyhow::Result<Self> {
        let child = Child::start_and_read(request_cost, &[role, endpoint])?;
        let name = if role == "proxy" { "synod" } else { role };
        Ok(Self { name: name.to_owned(), address: child.line().to_owned(), child })
    }

    /// Another build of our proxy.
    pub(super) fn beside(request_cost: &Path, endpoint: &str) -> anyhow::Result<Self> {
        let other = Self::role("proxy", request_cost, endpoint)?;
        Ok(Self { name: "beside".to_owned(), ..other })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// One process, which is master and worker.
pub(super) fn nginx(
    place: &Workplace,
    program: &Path,
    endpoint: &str,
) -> anyhow::Result<Contender> {
    let address = free_address()?;
    let folder = place.0.display();
    let temp_paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {folder}/{name};\n"))
        .concat();
    let config = format!(
        "daemon off;
        master_process off;
        worker_processes 1;
        pid {folder}/nginx.pid;
        error_log stderr crit;
        events {{ worker_connections 1024; }}
        http {{
            access_log off;
            {temp_paths}
            tcp_nodelay on;
            keepalive_requests 1000000000;
            upstream endpoint {{
                server {endpoint};
                keepalive 256;
                keepalive_requests 1000000000;
            }}
            server {{
                listen {address};
                location / {{
                    proxy_pass http://endpoint;
                    proxy_http_version 1.1;
                    proxy_set_header Connection \"\";
                    proxy_set_header Host $http_host;
                    proxy_set_header X-Forwarded-For $remote_addr;
                    proxy_set_header X-Forwarded-Proto $scheme;
                    proxy_set_header X-Forwarded-Host $http_host;
                    proxy_pass_header Date;
                }}
            }}
        }}"
    );
    let config = place.write("nginx.conf", &config)?;
    let mut command = Command::new(program);
    command.arg("-p").arg(&place.0).arg("-c").arg(config).args(["-e", "stderr"]);
    start("nginx", &mut command, address)
}

/// One worker thread beside the main thread, which has nothing to do; statistics stay on, as they
/// cannot be had without.
pub(super) fn envoy(
    place: &Workplace,
    program: &Path,
    endpoint: &str,
) -> anyhow::Result<Contender> {
    let address = free_address()?;
    let socket = |address: &str| {
        let (host, port) = address.split_once(':').unwrap_or((address, "0"));
        let port = port.parse::<u16>().unwrap_or_default();
        serde_json::json!({ "socket_address": { "address": host, "port_value": port } })
    };
    let typed = |name: &str| format!("type.googleapis.com/envoy.extensions.{name}");
    let route = serde_json::json!({
        "match": { "prefix": "/" },
        "route": { "cluster": "endpoint", "timeout": "30s" },
    });
    let manager = serde_json::json!({
        "@type": typed(
            "filters.network.http_connection_manager.v3.HttpConnectionManager"
        ),
        "stat_prefix": "bench",
        "use_remote_address": true,
        "normalize_path": true,
        "merge_slashes": true,
        "generate_request_id": false,
        "route_config": {
            "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [route] }],
        },
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": typed("filters.http.router.v3.Router"),
                "dynamic_stats": false,
            },
        }],
    });
    let config = serde_json::json!({
        "static_resources": {
            "listeners": [{
                "address": socket(&address),
                "filter_chains": [{ "filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": manager,
                }]}],
            }],
            "clusters": [{
                "name": "endpoint",
                "type": "STATIC",
                "connect_timeout": "2s",
                "load_assignment": {
                    "cluster_name": "endpoint",
                    "endpoints": [{ "lb_endpoints": [
                        { "endpoint": { "address": socket(endpoint) } },
                    ]}],
                },
            }],
        },
    });
    let config = place.write("envoy.json", &config.to_string())?;
    let mut command = Command::new(program);
    command.arg("-c").arg(config).args(["--concurrency", "1", "--log-level", "error"]);
    // Without it a second Envoy on the machine stands in the way.
    command.arg("--disable-hot-restart");
    start("envoy", &mut command, address)
}

fn start(name: &str, command: &mut Command, address: String) -> anyhow::Result<Contender> {
    let child = Child::start_and_connect(command, &address)?;
    Ok(Contender { name: name.to_owned(), address, child })
}

/// An address that was free a moment ago: neither proxy tells which port it was given. Should
/// another process take it meanwhile, the start fails and says so.
fn free_address() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?.to_string())
}
