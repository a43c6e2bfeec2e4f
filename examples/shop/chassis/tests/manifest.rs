//! The shop's manifest beside this crate, checked as `synod check` does.

use std::path::Path;

use synod_manifest::{App, Options, parse};

fn app(profile: Option<&str>) -> App {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../app.toml").canonicalize().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let options = Options { profile: profile.map(Into::into), ..Options::default() };
    parse(&text, &path, &options).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn the_manifest_is_valid_in_every_profile() {
    for (profile, dir) in [(None, "release"), (Some("dev"), "debug")] {
        let app = app(profile);
        let rust: Vec<_> = app.services.values().filter(|it| it.build.is_some()).collect();
        assert_eq!(rust.len(), 4);
        for service in rust {
            let program = format!("{:?}", service.run[0]);
            assert!(program.contains(&format!("../../target/{dir}/shop-")), "{program}");
        }
    }
}

#[test]
fn a_tenth_of_the_payments_goes_to_the_next_version() {
    let payments = &app(None).routes["payments"];
    let shares: Vec<_> = payments.to.iter().map(|to| (to.service.as_str(), to.weight)).collect();
    assert_eq!(shares, [("payment", 90), ("payment-next", 10)]);
}
