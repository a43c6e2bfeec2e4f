//! Paths: of requests, of routes, and of directories, all judged by their text alone.

use std::path::{Component, Path, PathBuf};

/// Whether this can stand in a request as it is: a slash, then visible ASCII but `#`.
pub(crate) fn check_request_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// A route's path prefix without its last slash, or what is wrong with it.
pub(crate) fn read_route_path(path: &str) -> Result<String, &'static str> {
    if !path.starts_with('/') {
        return Err("must start with a slash");
    }
    if path == "/" {
        return Ok(path.to_owned());
    }
    if !check_request_path(path) {
        return Err("must be visible ASCII without #");
    }
    if path.contains(['?', '*']) {
        return Err("is a plain prefix: it takes neither ? nor *");
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.split('/').skip(1).any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("must not have empty segments, . or ..");
    }
    Ok(path.to_owned())
}

/// `path` seen from `base`, without `.` and `..`. Links are not followed: nothing is looked up.
pub(crate) fn resolve(base: &Path, path: &str) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in base.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                resolved.pop();
            }
            other => resolved.push(other),
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_resolved_by_their_text() {
        let check = |path, expect| {
            assert_eq!(resolve(Path::new("/srv/shop"), path), Path::new(expect), "{path:?}");
        };
        check("", "/srv/shop");
        check(".", "/srv/shop");
        check("api/./src", "/srv/shop/api/src");
        check("../other/", "/srv/other");
        check("../../../..", "/");
        check("/opt/api", "/opt/api");
    }

    #[test]
    fn route_paths_lose_their_last_slash() {
        assert_eq!(read_route_path("/"), Ok("/".into()));
        assert_eq!(read_route_path("/api"), Ok("/api".into()));
        assert_eq!(read_route_path("/api/"), Ok("/api".into()));
    }

    #[test]
    fn odd_route_paths_are_refused() {
        for path in ["", "api", "//", "/a//b", "/a/../b", "/.", "/a?b", "/a#b", "/a b", "/ä", "/*"]
        {
            assert!(read_route_path(path).is_err(), "{path:?}");
        }
    }
}
