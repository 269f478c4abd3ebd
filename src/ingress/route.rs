//! Which listener a request means.

use axum::http::HeaderMap;
use axum::http::header::HOST;

use crate::catalog::services::listener_of_host;

/// What a request's target says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A listener by its path, and what remains for the event.
    Listener {
        /// `namespace/name`.
        path: &'a str,
        /// Path and query after it, without a leading slash where a query
        /// follows at once.
        rest: &'a str,
    },
    /// `/`: the only listener, or the default one.
    Root,
    /// Nothing that could be a listener.
    Nowhere,
}

/// Reads a request target: `/NAMESPACE/LISTENER[/…][?…]`.
pub fn target(target: &str) -> Target<'_> {
    let (path, _) = target.split_once('?').unwrap_or((target, ""));
    let Some(path) = path.strip_prefix('/') else {
        return Target::Nowhere;
    };
    if path.is_empty() {
        return Target::Root;
    }
    let mut segments = path.splitn(3, '/');
    match (segments.next(), segments.next()) {
        (Some(namespace), Some(name)) if !namespace.is_empty() && !name.is_empty() => {
            let length = namespace.len() + 1 + name.len();
            Target::Listener {
                path: &path[..length],
                rest: &target[1 + length..],
            }
        }
        _ => Target::Nowhere,
    }
}

/// The listener, as `namespace/name`, whose Service the sender has called.
pub(super) fn hosted(headers: &HeaderMap) -> Option<String> {
    listener_of_host(headers.get(HOST)?.to_str().ok()?)
}

/// `requestURL` of an event: what remains of the target, as a path of its own.
pub fn request_url(rest: &str) -> String {
    if rest.starts_with('/') {
        rest.to_owned()
    } else {
        format!("/{rest}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_names_a_listener_and_leaves_the_rest_to_the_event() {
        for (given, path, url) in [
            ("/ci/github", "ci/github", "/"),
            ("/ci/github/", "ci/github", "/"),
            ("/ci/github/a/b?x=1", "ci/github", "/a/b?x=1"),
            ("/ci/github?x=/1", "ci/github", "/?x=/1"),
            ("/ci/github//a", "ci/github", "//a"),
        ] {
            let Target::Listener { path: found, rest } = target(given) else {
                panic!("{given} names a listener");
            };
            assert_eq!((found, request_url(rest).as_str()), (path, url), "{given}");
        }
    }

    #[test]
    fn other_paths_name_none() {
        assert_eq!(target("/"), Target::Root);
        assert_eq!(target("/?x=1"), Target::Root);
        for nowhere in ["/ci", "/ci/", "//github", "*", "", "ci/github"] {
            assert_eq!(target(nowhere), Target::Nowhere, "{nowhere}");
        }
    }

    proptest! {
        #[test]
        fn no_target_breaks_the_router(asked in "[/?a.%é#]{0,12}") {
            if let Target::Listener { path, rest } = target(&asked) {
                prop_assert_eq!(format!("/{path}{rest}"), asked.as_str());
                prop_assert!(request_url(rest).starts_with('/'));
            }
        }
    }
}
