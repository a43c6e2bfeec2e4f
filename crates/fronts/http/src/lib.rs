//! The admin REST API: apps, services, logs and events
