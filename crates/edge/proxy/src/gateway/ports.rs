//! Which port stands for a service or route.
//!
//! The same name should get the same port on every run, so that links and notes stay valid: the
//! recorded one if there is one, else a place by the name's hash. The range lies below the one
//! from which the system gives ports to outgoing connections (Linux: from 32768), which would
//! otherwise take ours now and then.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;

use synod_registry::{Address, AddressKey};

use crate::{BindError, Proxy};

const PORTS: Range<u16> = 20_000..30_000;
/// How many places are tried. Others may hold some of them; nobody holds all of so many.
const TRIES: u16 = 1_000;

/// Binds the listener that stands for `key`: where it was `recorded`, or where its name leads. No
/// port of `taken` is chosen anew, since it was promised to somebody.
pub(super) fn bind(
    proxy: &Proxy,
    key: &AddressKey,
    recorded: Option<Address>,
    taken: &BTreeSet<u16>,
) -> Result<SocketAddr, BindError> {
    let name = key.to_string();
    if let Some(recorded) = recorded {
        match proxy.listen(&name, recorded.socket_addr()) {
            Ok(bound) => return Ok(bound),
            Err(error) => tracing::warn!(
                address = %recorded, listener = name, error = %error.source,
                "the recorded address is taken; another is chosen, and who knows only the old one \
                 must be restarted"
            ),
        }
    }
    let mut last = None;
    for port in candidates(&name).filter(|port| !taken.contains(port)) {
        match proxy.listen(&name, SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
            Ok(bound) => return Ok(bound),
            Err(error) => last = Some(error),
        }
    }
    last.map_or_else(|| proxy.listen(&name, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))), Err)
}

/// The ports to try for a name, in order.
fn candidates(name: &str) -> impl Iterator<Item = u16> {
    // FNV-1a: the same on every machine and in every release.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let count = PORTS.end - PORTS.start;
    let first = u16::try_from(hash % u64::from(count)).unwrap_or_default();
    (0..TRIES).map(move |n| PORTS.start + (first + n) % count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_stay_in_range_and_do_not_repeat() {
        let ports: Vec<_> = candidates("shop/service/stock/http").collect();
        assert!(ports.iter().all(|port| PORTS.contains(port)));
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
        assert_eq!(ports, candidates("shop/service/stock/http").collect::<Vec<_>>());
        assert_ne!(ports[0], candidates("shop/service/order/http").next().unwrap());
    }
}
