//! The proxy's decisions: sanitizing, routing, weights and balancing, without sockets
