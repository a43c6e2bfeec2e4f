//! The smallest program that can host shims: what `synod shim` does. The agent's tests run it.

use std::process::ExitCode;

fn main() -> ExitCode {
    synod_agent::shim::main()
}
