//! Bytes from one connection to another, unread: upgraded connections and TCP listeners.

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use synod_routing::ClusterId;
use synod_task::{TaskKind, Tasks};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use crate::counters::Held;
use crate::pool::connect;
use crate::proxy::Shared;
use crate::snapshot::Snapshot;

const TUNNEL: TaskKind = TaskKind::new("proxy-tunnel");

/// Joins two connections once both have switched protocols.
pub(crate) fn join(tasks: &Tasks, client: OnUpgrade, endpoint: OnUpgrade, held: Held) {
    tasks.spawn(TUNNEL, async move {
        let _held = held;
        // Either side may vanish before the switch is complete; the other is then closed.
        let (Ok(client), Ok(endpoint)) = tokio::join!(client, endpoint) else { return };
        let (mut client, mut endpoint) = (TokioIo::new(client), TokioIo::new(endpoint));
        // How a tunnel ends is between its ends.
        let _ = copy_bidirectional(&mut client, &mut endpoint).await;
    });
}

/// Copies a TCP client's bytes to an endpoint and back. Without one the client is closed, which is
/// all that bytes can say.
pub(crate) async fn relay(shared: &Shared, mut client: TcpStream, cluster: ClusterId) {
    let snapshot: Arc<Snapshot> = shared.snapshot.load_full();
    for _ in 0..snapshot.config.cluster(cluster).endpoints.len() {
        let Ok(picked) = snapshot.pick(cluster) else { break };
        match connect(picked.bucket.address(), shared.options.connect_timeout).await {
            Ok(mut endpoint) => {
                drop(snapshot);
                let _ = copy_bidirectional(&mut client, &mut endpoint).await;
                return;
            }
            Err(error) => {
                tracing::debug!(instance = picked.instance, %error, "endpoint passed over");
            }
        }
    }
    let service = &snapshot.config.cluster(cluster).service;
    tracing::debug!(service, "no endpoint for a connection");
}
