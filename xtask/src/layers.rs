//! The house rules: which crate may know which.
//!
//! [`House`] is what `docs/ARCHITECTURE.md` permits, [`Package`] what cargo says there is, and
//! [`violations`] compares the two without looking at anything else.

mod house;
mod package;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

use house::House;
use package::{DependencyKind, Package};

/// Checks the workspace at `root` and says what was checked.
pub(crate) fn check_workspace(root: &Path) -> anyhow::Result<String> {
    let document = root.join("docs/ARCHITECTURE.md");
    let text = fs::read_to_string(&document)
        .with_context(|| format!("cannot read {}", document.display()))?;
    let house = House::parse(&text).context("docs/ARCHITECTURE.md")?;
    let packages = package::read_all(root)?;
    let found = violations(&house, &packages);
    if found.is_empty() {
        let edges = packages.iter().map(|package| package.ours.len()).sum::<usize>();
        return Ok(format!("layers: {} packages, {edges} edges, all in order", packages.len()));
    }
    for violation in &found {
        eprintln!("layers: {violation}");
    }
    bail!("{} broken house rules; see docs/ARCHITECTURE.md", found.len());
}

/// Every broken rule, one line each.
fn violations(house: &House, packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    let mut used = BTreeSet::new();
    for package in packages {
        check_floor(house, package, &mut found);
        check_edges(house, package, &mut used, &mut found);
        check_purity(house, package, &mut found);
    }
    let stale = house.edges.iter().filter(|edge| !used.contains(*edge));
    found.extend(stale.map(|(from, to)| {
        format!("the listed edge {from} -> {to} does not exist; remove it from the list")
    }));
    for listed in house.no_std.iter().chain(&house.may_be_unsafe) {
        if !packages.iter().any(|package| package.place == *listed) {
            found.push(format!("{listed} is listed, but there is no such crate"));
        }
    }
    found
}

fn check_floor(house: &House, package: &Package, found: &mut Vec<String>) {
    if let Some(floor) = package.floor()
        && house.height(floor).is_none()
    {
        found.push(format!("{} stands on {floor}, which is no listed floor", package.place));
    }
}

fn check_edges(
    house: &House,
    package: &Package,
    used: &mut BTreeSet<(String, String)>,
    found: &mut Vec<String>,
) {
    for (to, kind) in &package.ours {
        let from = &package.place;
        let Some(from_floor) = package.floor() else { continue };
        let Some((to_floor, _)) = to.split_once('/').filter(|_| !package::is_outside(to)) else {
            found.push(format!("{from} -> {to}: a crate may not use a package outside crates/"));
            continue;
        };
        let edge = (from.clone(), to.clone());
        match house.height(from_floor).cmp(&house.height(to_floor)) {
            std::cmp::Ordering::Greater => {}
            std::cmp::Ordering::Less => {
                found.push(format!("{from} -> {to} points up, from {from_floor} to {to_floor}"));
            }
            std::cmp::Ordering::Equal if *kind == DependencyKind::Dev => {}
            std::cmp::Ordering::Equal if house.edges.contains(&edge) => {
                used.insert(edge);
            }
            std::cmp::Ordering::Equal => found.push(format!(
                "{from} -> {to} is not listed among the edges within {from_floor}; \
                 remove it, or list it with its reason"
            )),
        }
    }
}

fn check_purity(house: &House, package: &Package, found: &mut Vec<String>) {
    let place = &package.place;
    if house.no_std.contains(place) {
        if !package.is_no_std {
            found.push(format!("{place} is a replicated core; its root must say #![no_std]"));
        }
        for theirs in package.theirs.difference(&house.no_std_dependencies) {
            found.push(format!("{place} uses {theirs}, which replicated cores may not"));
        }
    }
    if !package.takes_workspace_lints && !house.may_be_unsafe.contains(place) {
        found.push(format!("{place} must say [lints] workspace = true, which forbids unsafe code"));
    }
}

#[cfg(test)]
mod tests;
