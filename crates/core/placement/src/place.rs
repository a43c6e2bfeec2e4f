//! Which node runs an instance, or why none does.
//!
//! Each filter that turns a node away is counted, so that a wait can always be explained. Among
//! the nodes left the one with the fewest instances of the same service wins, then the emptiest,
//! then the first by name: spread, and the same answer every time.

use std::fmt;

use crate::NodeLoad;

/// What is asked for: room for one instance of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The app.
    pub app: String,
    /// The service.
    pub service: String,
}

/// Why no node fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons {
    /// How many nodes were looked at.
    pub nodes: u32,
    /// How many take no new instances.
    pub not_eligible: u32,
    /// How many have no room left.
    pub full: u32,
}

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes == 0 {
            return f.write_str("no node is there");
        }
        write!(f, "0 of {} nodes fit: ", self.nodes)?;
        let parts = [(self.not_eligible, "not eligible"), (self.full, "full")];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<_> = parts.map(|(count, what)| format!("{count} {what}")).collect();
        f.write_str(&parts.join(", "))
    }
}

/// Finds a node for each request in turn; those before it in the batch take up room.
#[must_use]
pub fn place(batch: &[Request], nodes: &[NodeLoad]) -> Vec<Result<String, Reasons>> {
    let mut nodes = nodes.to_vec();
    batch.iter().map(|request| place_one(request, &mut nodes)).collect()
}

fn place_one(request: &Request, nodes: &mut [NodeLoad]) -> Result<String, Reasons> {
    let mut reasons = Reasons::default();
    let mut best: Option<&mut NodeLoad> = None;
    let rank = |load: &NodeLoad| {
        (load.of(&request.app, &request.service), load.used(), load.node.name.clone())
    };
    for load in nodes {
        reasons.nodes += 1;
        if !load.node.eligible {
            reasons.not_eligible += 1;
        } else if load.used() >= load.node.capacity {
            reasons.full += 1;
        } else if best.as_ref().is_none_or(|best| rank(load) < rank(best)) {
            best = Some(load);
        }
    }
    let best = best.ok_or(reasons)?;
    best.add(&request.app, &request.service);
    Ok(best.node.name.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Node;

    fn node(name: &str, eligible: bool, capacity: u32) -> NodeLoad {
        let attributes = BTreeMap::new();
        NodeLoad::new(Node { name: name.into(), eligible, capacity, attributes })
    }

    fn ask(service: &str) -> Request {
        Request { app: "shop".into(), service: service.into() }
    }

    #[test]
    fn a_service_spreads_before_the_load_evens_out() {
        let mut busy = node("a", true, 9);
        for _ in 0..3 {
            busy.add("shop", "other");
        }
        let placed =
            place(&[ask("order"), ask("order"), ask("order")], &[busy, node("b", true, 9)]);
        assert_eq!(placed, [Ok("b".into()), Ok("a".into()), Ok("b".into())]);
    }

    #[test]
    fn a_batch_never_overfills_a_node() {
        let placed = place(&[ask("order"), ask("stock")], &[node("a", true, 1)]);
        let full = Reasons { nodes: 1, not_eligible: 0, full: 1 };
        assert_eq!(placed, [Ok("a".into()), Err(full)]);
    }

    #[test]
    fn every_node_turned_away_is_counted_by_its_reason() {
        let nodes = [node("a", false, 5), node("b", true, 0)];
        let reasons = place(&[ask("order")], &nodes).remove(0).unwrap_err();
        assert_eq!(reasons.to_string(), "0 of 2 nodes fit: 1 not eligible, 1 full");
        let none = place(&[ask("order")], &[]).remove(0).unwrap_err();
        assert_eq!(none.to_string(), "no node is there");
    }
}
