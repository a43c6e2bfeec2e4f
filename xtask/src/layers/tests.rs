use super::*;

const LIST: &str = "
# A document

```layers
floor core
floor engine
edge core/wal -> core/base
no-std core/base
no-std-dependency hash
unsafe engine/sys
```
";

/// A house that breaks no rule.
fn packages() -> Vec<Package> {
    let mut base = package("core/base", &[]);
    base.is_no_std = true;
    base.theirs.insert("hash".into());
    let mut sys = package("engine/sys", &[]);
    sys.takes_workspace_lints = false;
    let wal = package("core/wal", &[("core/base", DependencyKind::Normal)]);
    let store = package("engine/store", &[("core/wal", DependencyKind::Normal)]);
    let xtask = package("./xtask", &[("engine/store", DependencyKind::Normal)]);
    vec![base, sys, wal, store, xtask]
}

fn package(place: &str, ours: &[(&str, DependencyKind)]) -> Package {
    Package {
        place: place.into(),
        ours: ours.iter().map(|(to, kind)| ((*to).into(), *kind)).collect(),
        takes_workspace_lints: true,
        ..Package::default()
    }
}

/// Changes the good house and returns what the rules say then.
fn broken(change: impl FnOnce(&mut Vec<Package>)) -> Vec<String> {
    let house = House::parse(LIST).expect("the list is well-formed");
    let mut packages = packages();
    change(&mut packages);
    violations(&house, &packages)
}

/// Adds an edge between the good house's packages and returns what the rules say then.
fn with_edge(from: &str, to: &str, kind: DependencyKind) -> Vec<String> {
    broken(|packages| {
        let from = packages.iter_mut().find(|package| package.place == from);
        from.expect("a package of the house").ours.push((to.into(), kind));
    })
}

#[track_caller]
fn assert_one(found: &[String], says: &str) {
    assert!(matches!(found, [only] if only.contains(says)), "expected `{says}`, found {found:?}");
}

#[test]
fn a_house_in_order_passes() {
    assert_eq!(broken(|_| ()), Vec::<String>::new());
}

#[test]
fn an_edge_up_fails_even_for_tests() {
    for kind in [DependencyKind::Normal, DependencyKind::Dev] {
        assert_one(&with_edge("core/base", "engine/sys", kind), "points up, from core to engine");
    }
}

#[test]
fn an_unlisted_edge_within_a_floor_fails_unless_for_tests() {
    let found = with_edge("engine/store", "engine/sys", DependencyKind::Normal);
    assert_one(&found, "engine/store -> engine/sys is not listed");
    assert!(with_edge("engine/store", "engine/sys", DependencyKind::Dev).is_empty());
}

#[test]
fn a_listed_edge_does_not_permit_its_reverse() {
    let found = with_edge("core/base", "core/wal", DependencyKind::Normal);
    assert_one(&found, "core/base -> core/wal is not listed");
}

#[test]
fn a_listed_edge_that_is_gone_fails() {
    let found = broken(|packages| packages.retain(|package| package.place != "core/wal"));
    assert_one(&found, "core/wal -> core/base does not exist");
    let found = broken(|packages| {
        for package in packages.iter_mut().filter(|package| package.place == "core/wal") {
            package.ours[0].1 = DependencyKind::Dev;
        }
    });
    assert_one(&found, "core/wal -> core/base does not exist");
}

#[test]
fn nothing_may_use_a_package_outside_the_floors() {
    let found = with_edge("engine/store", "./xtask", DependencyKind::Normal);
    assert_one(&found, "outside crates/");
}

#[test]
fn an_unlisted_floor_fails() {
    let found = broken(|packages| packages.push(package("attic/chest", &[])));
    assert_one(&found, "attic, which is no listed floor");
}

#[test]
fn replicated_cores_stay_pure() {
    assert_one(&broken(|packages| packages[0].is_no_std = false), "must say #![no_std]");
    let found = broken(|packages| {
        packages[0].theirs.insert("rand".into());
    });
    assert_one(&found, "core/base uses rand");
}

#[test]
fn only_the_listed_crate_leaves_the_workspace_lints() {
    let found = broken(|packages| packages[3].takes_workspace_lints = false);
    assert_one(&found, "engine/store must say [lints] workspace = true");
}

#[test]
fn a_listed_crate_that_is_gone_fails() {
    let found = broken(|packages| {
        packages.remove(1);
    });
    assert_one(&found, "engine/sys is listed, but there is no such crate");
}

#[test]
fn a_malformed_list_names_the_line() {
    let bad = |line: &str| {
        let error = House::parse(&format!("```layers\n{line}\n```\n")).expect_err(line);
        format!("{error:#}")
    };
    assert!(bad("edge core/a -> engine/b").contains("only edges within one floor"));
    assert!(bad("edge core/a").contains("expected `from -> to`"));
    assert!(bad("roof blue").contains("line `roof blue`"));
    assert!(bad("floor a\nfloor a").contains("listed twice"));
    assert!(House::parse("no block").is_err());
    assert!(House::parse("```layers\nfloor a\n").is_err());
}
