//! The manifest through its public API.

mod expanding;
mod parsing;
mod problems;
mod properties;
mod reference;

use std::path::Path;

use synod_manifest::{App, Options, Problem, parse};

/// Where the manifests of these tests pretend to be.
const PATH: &str = "/srv/shop/app.toml";

fn read_with(text: &str, options: &Options) -> Result<App, Vec<Problem>> {
    parse(text, Path::new(PATH), options)
}

fn read(text: &str) -> Result<App, Vec<Problem>> {
    read_with(text, &Options::default())
}

/// The app of a manifest that must be good.
fn app(text: &str) -> App {
    read(text).unwrap_or_else(|problems| panic!("{}", render(text, &problems)))
}

fn render(text: &str, problems: &[Problem]) -> String {
    let render = |problem| synod_manifest::render(problem, text, "app.toml") + "\n";
    problems.iter().map(render).collect()
}
