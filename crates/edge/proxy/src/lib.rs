//! The gateway and sidecar: moves bytes by the decisions of core/routing
