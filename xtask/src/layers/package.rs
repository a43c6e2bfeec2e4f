//! What `cargo metadata` says of the workspace's packages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

/// One package of the workspace.
#[derive(Debug, Default)]
pub(crate) struct Package {
    /// `<floor>/<folder>` for a crate; the path from the workspace's root, with a leading `./`,
    /// for a package outside `crates/`.
    pub(crate) place: String,
    /// The places of the workspace's packages that it depends on.
    pub(crate) ours: Vec<(String, DependencyKind)>,
    /// The names of other people's packages that its code (not its tests) depends on.
    pub(crate) theirs: BTreeSet<String>,
    /// Whether the root of its library says `#![no_std]`.
    pub(crate) is_no_std: bool,
    /// Whether its manifest takes the workspace's lint table.
    pub(crate) takes_workspace_lints: bool,
}

/// What a dependency is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DependencyKind {
    /// Tests, examples and benches only.
    Dev,
    /// The code itself, or its build script.
    Normal,
}

impl Package {
    /// The floor it stands on; `None` outside `crates/`.
    pub(crate) fn floor(&self) -> Option<&str> {
        if is_outside(&self.place) {
            return None;
        }
        self.place.split_once('/').map(|(floor, _)| floor)
    }
}

/// Whether a place is not in `crates/`.
pub(crate) fn is_outside(place: &str) -> bool {
    place.starts_with("./")
}

/// Asks cargo for every package of the workspace at `root`.
pub(crate) fn read_all(root: &Path) -> anyhow::Result<Vec<Package>> {
    let output = Command::new(crate::verify::cargo())
        .args(["metadata", "--format-version=1", "--no-deps"])
        .current_dir(root)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed");
    let metadata = serde_json::from_slice(&output.stdout).context("cargo metadata's answer")?;
    from_metadata(&metadata)
}

fn from_metadata(metadata: &Value) -> anyhow::Result<Vec<Package>> {
    let root = text(metadata, "workspace_root")?;
    let packages = metadata["packages"].as_array().context("packages are a list")?;
    let mut places = BTreeMap::new();
    for package in packages {
        let folder = Path::new(text(package, "manifest_path")?).parent();
        let folder = folder.context("a manifest lies in a folder")?;
        let path = folder.strip_prefix(root).unwrap_or(folder).to_string_lossy();
        let place = path.strip_prefix("crates/").map_or(format!("./{path}"), str::to_owned);
        places.insert(text(package, "name")?, place);
    }
    packages.iter().map(|package| read(package, &places)).collect()
}

fn read(metadata: &Value, places: &BTreeMap<&str, String>) -> anyhow::Result<Package> {
    let mut package = Package::default();
    package.place.clone_from(&places[text(metadata, "name")?]);
    for dependency in metadata["dependencies"].as_array().context("dependencies are a list")? {
        let kind = match dependency["kind"].as_str() {
            Some("dev") => DependencyKind::Dev,
            _ => DependencyKind::Normal,
        };
        let name = text(dependency, "name")?;
        match places.get(name) {
            // A package of ours comes by path; a stranger of the same name comes from a registry.
            Some(place) if dependency["source"].is_null() => {
                package.ours.push((place.clone(), kind));
            }
            _ if kind == DependencyKind::Normal => {
                package.theirs.insert(name.to_owned());
            }
            _ => {}
        }
    }
    let manifest = fs::read_to_string(text(metadata, "manifest_path")?)?;
    package.takes_workspace_lints = takes_workspace_lints(&manifest);
    for target in metadata["targets"].as_array().context("targets are a list")? {
        if target["kind"].as_array().is_some_and(|kinds| kinds.contains(&"lib".into())) {
            package.is_no_std = is_no_std(&fs::read_to_string(text(target, "src_path")?)?);
        }
    }
    Ok(package)
}

/// Whether the crate root `source` is `no_std` without condition.
fn is_no_std(source: &str) -> bool {
    source.lines().any(|line| line.trim() == "#![no_std]")
}

/// Whether the manifest has `workspace = true` in its `[lints]` table.
fn takes_workspace_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    lines
        .by_ref()
        .take_while(|line| !line.starts_with('['))
        .any(|line| line.replace(' ', "") == "workspace=true")
}

fn text<'a>(value: &'a Value, key: &str) -> anyhow::Result<&'a str> {
    value[key].as_str().with_context(|| format!("cargo metadata gave no {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_std_must_be_unconditional() {
        assert!(is_no_std("//! Doc.\n\n#![no_std]\n"));
        assert!(!is_no_std("//! Doc.\n#![cfg_attr(not(test), no_std)]\n"));
        assert!(!is_no_std("// #![no_std]\n"));
    }

    #[test]
    fn lints_are_taken_only_in_their_own_table() {
        assert!(takes_workspace_lints("[package]\nname = \"a\"\n[lints]\nworkspace = true\n"));
        assert!(!takes_workspace_lints("[lints]\n[dependencies]\nworkspace = true\n"));
        assert!(!takes_workspace_lints("[lints.rust]\nmissing_docs = \"warn\"\n"));
    }

    #[test]
    fn places_are_folders_and_strangers_stay_strangers() {
        let places = BTreeMap::from([("synod-a", "core/a".to_owned())]);
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let registry = "registry+https://example.test";
        let metadata = serde_json::json!({
            "name": "synod-a", "manifest_path": manifest, "targets": [],
            "dependencies": [
                { "name": "synod-a", "kind": "dev", "source": null },
                { "name": "synod-a", "kind": null, "source": registry },
                { "name": "tests-only", "kind": "dev", "source": registry },
            ],
        });
        let package = read(&metadata, &places).expect("well-formed metadata");
        assert_eq!(package.place, "core/a");
        assert_eq!(package.ours, [("core/a".to_owned(), DependencyKind::Dev)]);
        assert_eq!(package.theirs, BTreeSet::from(["synod-a".to_owned()]));
        assert!(package.takes_workspace_lints);
    }
}
