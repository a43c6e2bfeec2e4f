//! Full disks.

use crate::home::Home;

#[test]
fn a_full_disk_stops_the_store_with_a_clear_error_and_loses_nothing() {
    let home = Home::new();
    let text = "app = \"one\"\n[service.a]\nrun = \"$OBEDIENT\"\nports = { http = \"auto\" }\n";
    let manifest = home.manifest("one.toml", text);
    // No file may pass 16 KiB: the log cannot be laid out.
    let binary = env!("CARGO_BIN_EXE_synod");
    let ran = std::process::Command::new("sh")
        .args(["-c", "ulimit -f 16; exec \"$0\" up \"$1\" --detach"])
        .args([binary, manifest.to_str().expect("text")])
        .env("SYNOD_DATA_DIR", home.data_dir())
        .env("SYNOD_GATEWAY_PORT", "0")
        .output()
        .expect("sh runs");
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("store"), "the error names the file: {stderr}");
    // With space again, the same command works.
    home.up(&manifest);
}
