//! System calls: the only crate with unsafe code and operating system switches
