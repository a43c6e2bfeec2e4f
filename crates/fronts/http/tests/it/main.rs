//! The admin API over real sockets, above an in-memory store.

mod apps;
mod home;
mod logs;
mod requests;
mod services;
mod sockets;
