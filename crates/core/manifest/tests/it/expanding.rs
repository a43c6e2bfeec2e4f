//! Writing every default out.

use synod_manifest::expand;

use crate::app;

#[test]
fn every_default_is_written_out() {
    let expanded = expand(&app(include_str!("../../testdata/shop.toml")));
    assert_eq!(expanded, include_str!("../../testdata/shop.expanded.toml"), "{expanded}");
}

#[test]
fn what_is_written_out_is_the_same_app() {
    let app = app(include_str!("../../testdata/shop.toml"));
    let expanded = expand(&app);
    assert_eq!(crate::app(&expanded), app);
    assert_eq!(expand(&crate::app(&expanded)), expanded);
}
