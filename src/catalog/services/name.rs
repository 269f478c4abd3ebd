//! What the Service of a listener is called.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// What the names of all these Services begin with, as Tekton's do.
const PREFIX: &str = "el-";

/// Longest name of a Service.
const LONGEST: usize = 63;

/// Hexadecimal digits that tell names apart that had to be changed.
const DIGITS: usize = 8;

/// The Service of the listener called `listener`: `el-` and its name. Where no
/// Service may be called so, it is cut, and a hash keeps it apart from others.
pub fn service_name(listener: &str) -> String {
    let plain = tekton_name(listener);
    let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if plain.len() <= LONGEST && plain.chars().all(is_label) && !plain.ends_with('-') {
        return plain;
    }
    let fits = |c: char| if is_label(c) { c } else { '-' };
    let cut: String = plain.chars().map(fits).take(LONGEST - DIGITS - 1).collect();
    let hash = HEXLOWER.encode(&Sha256::digest(listener.as_bytes()));
    format!("{}-{}", cut.trim_end_matches('-'), &hash[..DIGITS])
}

/// What Tekton calls it.
pub(crate) fn tekton_name(listener: &str) -> String {
    format!("{PREFIX}{listener}")
}

/// The listener, as `namespace/name`, whose Service a `Host` header names:
/// `el-NAME.NAMESPACE`, `el-NAME.NAMESPACE.svc` and what follows. Names that
/// had to be cut are not found.
pub fn listener_of_host(host: &str) -> Option<String> {
    let host = host.split(':').next()?.to_ascii_lowercase();
    let mut labels = host.trim_end_matches('.').split('.');
    let name = labels.next()?.strip_prefix(PREFIX)?;
    let namespace = labels.next()?;
    let is_ours = labels.next().is_none_or(|third| third == "svc");
    let is_whole = is_ours && !name.is_empty() && !namespace.is_empty();
    is_whole.then(|| format!("{namespace}/{name}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_service_is_called_as_tekton_calls_it() {
        assert_eq!(service_name("hook"), "el-hook");
        let longest = "a".repeat(60);
        assert_eq!(service_name(&longest), format!("el-{longest}"));
    }

    #[test]
    fn hosts_name_listeners() {
        for host in [
            "el-hook.ci",
            "el-hook.ci.svc",
            "el-hook.ci.svc:8080",
            "EL-Hook.ci.svc.cluster.local.:8080",
        ] {
            assert_eq!(listener_of_host(host).as_deref(), Some("ci/hook"), "{host}");
        }
        for host in [
            "",
            "hook.ci.svc",
            "el-hook",
            "el-.ci",
            "el-hook.example.com",
            "el-hook..svc",
        ] {
            assert_eq!(listener_of_host(host), None, "{host}");
        }
    }

    proptest! {
        #[test]
        fn every_name_becomes_one_that_a_service_may_have(name in "[a-z0-9.-]{0,200}") {
            let given = service_name(&name);
            prop_assert!(given.len() <= LONGEST && given.starts_with("el-"));
            prop_assert!(!given.ends_with('-') && !given.contains('.'), "{given}");
        }

        #[test]
        fn names_that_differ_lead_to_different_services(
            one in "[a-z0-9.]{50,80}", other in "[a-z0-9.]{50,80}"
        ) {
            prop_assume!(one != other);
            prop_assert_ne!(service_name(&one), service_name(&other));
        }
    }
}
