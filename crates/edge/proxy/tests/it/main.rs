//! The proxy from outside: bytes in, bytes out.

mod agreement;
mod bad_requests;
mod forwarding;
mod gateway;
mod http2;
mod lifecycle;
mod pooling;
mod world;
