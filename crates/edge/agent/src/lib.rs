//! Instances on a node: shims, drivers, probes and logs
