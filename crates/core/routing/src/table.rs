//! Finds the route of a request.
//!
//! A route answers to a host and a path prefix. Of those that answer, the one with the most
//! specific host wins (exact, then the longest suffix, then any), and among these the longest
//! path, as in the Kubernetes Gateway API; at a tie the first one given.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::path::is_below;
use crate::{HostPattern, Route};

/// Routes, arranged for looking up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    exact: BTreeMap<String, Vec<Route>>,
    /// Longest suffix first.
    below: Vec<(String, Vec<Route>)>,
    any: Vec<Route>,
}

impl Table {
    /// Arranges `routes`.
    #[must_use]
    pub fn new(routes: impl IntoIterator<Item = Route>) -> Self {
        let mut below: BTreeMap<String, Vec<Route>> = BTreeMap::new();
        let mut table = Self::default();
        for route in routes {
            let of_host = match &route.host {
                HostPattern::Any => &mut table.any,
                HostPattern::Below(suffix) => below.entry(suffix.clone()).or_default(),
                HostPattern::Exact(host) => table.exact.entry(host.clone()).or_default(),
            };
            of_host.push(route);
        }
        table.below = below.into_iter().collect();
        table.below.sort_by_key(|(suffix, _)| Reverse(suffix.len()));
        let groups = table.exact.values_mut().chain(table.below.iter_mut().map(|(_, of)| of));
        for of_host in groups.chain([&mut table.any]) {
            // Stable, so that the first of equals stays first.
            of_host.sort_by_key(|route| Reverse(route.path.trim_end_matches('/').len()));
        }
        table
    }

    /// The route for `host`, in lower case and without a port, and `path`, normalized and without
    /// parameters.
    #[must_use]
    pub fn find(&self, host: &str, path: &str) -> Option<&Route> {
        let exact = self.exact.get(host);
        let below = self
            .below
            .iter()
            .filter(|(_, routes)| routes.first().is_some_and(|route| route.host.covers(host)))
            .map(|(_, routes)| routes);
        let mut groups = exact.into_iter().chain(below).chain([&self.any]);
        groups.find_map(|routes| routes.iter().find(|route| answers(route, path)))
    }

    /// Every route.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        let below = self.below.iter().flat_map(|(_, routes)| routes);
        self.exact.values().flatten().chain(below).chain(&self.any)
    }
}

/// `OPTIONS *` asks the whole host, which is what a route for `/` serves.
fn answers(route: &Route, path: &str) -> bool {
    is_below(if path == "*" { "/" } else { path }, &route.path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn route(n: usize, host: &str, path: &str) -> Route {
        let host = HostPattern::parse(host);
        Route { name: n.to_string(), host, path: path.into(), targets: vec![], timeout: None }
    }

    fn find(table: &Table, host: &str, path: &str) -> Option<String> {
        table.find(host, path).map(|route| route.name.clone())
    }

    #[test]
    fn the_most_specific_host_then_the_longest_path_wins() {
        let table = Table::new([
            route(0, "*", "/"),
            route(1, "*.localhost", "/"),
            route(2, "shop.localhost", "/"),
            route(3, "shop.localhost", "/api"),
            route(4, "shop.localhost", "/api/orders/"),
            route(5, "*.shop.localhost", "/only"),
            route(6, "shop.localhost", "/api"),
        ]);
        for (host, path, want) in [
            ("shop.localhost", "/", "2"),
            ("shop.localhost", "/api", "3"),
            ("shop.localhost", "/apis", "2"),
            ("shop.localhost", "/api/orders", "4"),
            ("shop.localhost", "/api/orders/7", "4"),
            ("shop.localhost", "*", "2"),
            ("web.shop.localhost", "/only/x", "5"),
            ("web.shop.localhost", "/", "1"),
            ("localhost", "/", "0"),
            ("xshop.localhost", "/", "1"),
        ] {
            assert_eq!(find(&table, host, path).as_deref(), Some(want), "{host}{path}");
        }
    }

    #[test]
    fn nothing_answers_where_no_route_leads() {
        let table = Table::new([route(0, "a", "/x")]);
        assert_eq!(find(&table, "a", "/"), None);
        assert_eq!(find(&table, "b", "/x"), None);
    }

    /// Every route that answers, best by the rule as it is told.
    fn model(routes: &[Route], host: &str, path: &str) -> Option<String> {
        let segments = |text: &str| -> Vec<String> {
            text.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect()
        };
        let answering = routes.iter().rev().filter(|route| {
            let host_answers = match &route.host {
                HostPattern::Any => true,
                HostPattern::Exact(exact) => exact == host,
                HostPattern::Below(suffix) => host.ends_with(&format!(".{suffix}")),
            };
            host_answers && segments(path).starts_with(&segments(&route.path))
        });
        let best = answering.max_by_key(|route| {
            let host = match &route.host {
                HostPattern::Any => 0,
                HostPattern::Below(suffix) => 1 + suffix.len(),
                HostPattern::Exact(_) => usize::MAX,
            };
            (host, segments(&route.path).join("/").len())
        });
        best.map(|route| route.name.clone())
    }

    proptest! {
        #[test]
        fn agrees_with_the_slow_model(
            rules in prop::collection::vec(("(\\*|(\\*\\.)?(a\\.|b\\.)?c)", "/((a|ab)(/b)?/?)?"), 0..8),
            host in "(a\\.|b\\.){0,2}c",
            path in "/((a|ab|b)(/b|/c){0,2}/?)?",
        ) {
            let routes: Vec<_> =
                rules.iter().enumerate().map(|(n, (host, path))| route(n, host, path)).collect();
            let table = Table::new(routes.clone());
            prop_assert_eq!(find(&table, &host, &path), model(&routes, &host, &path));
        }
    }
}
