//! What an answer of the API server means for a delivery: by the reason and
//! the causes of its Status, not by the code alone.

use kube::core::Status;

use crate::act::{ActError, Actor};
use crate::model::verdict::Reason;

/// Tells whether the same request may work later, and why it did not.
pub(super) fn classify(what: &str, actor: Actor<'_>, error: kube::Error) -> ActError {
    let status = match error {
        kube::Error::Api(status) => status,
        error => return unavailable(what, &error),
    };
    let message = format!("{what}: {}", message(&status, actor));
    match reason(&status) {
        Some(reason) => ActError::Api { reason, message },
        None => ActError::Invalid(message),
    }
}

/// An API server that could not be asked.
pub(super) fn unavailable(what: &str, error: &kube::Error) -> ActError {
    ActError::Api {
        reason: Reason::ApiUnavailable,
        message: format!("{what}: {error}"),
    }
}

/// The error of a request that took too long.
pub(super) fn unreachable_api() -> kube::Error {
    kube::Error::Service("the API server did not answer in time".into())
}

/// Why it may pass; nothing where it will not.
fn reason(status: &Status) -> Option<Reason> {
    let says = |text: &str| status.message.contains(text);
    let has_cause = |reason: &str| {
        let details = status.details.iter();
        let mut causes = details.flat_map(|details| &details.causes);
        causes.any(|cause| cause.reason == reason)
    };
    Some(match (status.reason.as_str(), status.code) {
        // Policies say so under the same code as missing rights.
        _ if says("denied the request") || says("denied request") => return None,
        ("Forbidden", _) | (_, 403) => match () {
            () if has_cause("NamespaceTerminating") => Reason::NamespaceMissing,
            () if says("exceeded quota") || says("failed quota") => Reason::QuotaExceeded,
            () => Reason::Forbidden,
        },
        ("NotFound", _) | (_, 404) => match status.details.as_ref() {
            Some(details) if details.kind == "namespaces" => Reason::NamespaceMissing,
            _ => Reason::KindNotServed,
        },
        ("Unauthorized" | "Conflict" | "TooManyRequests" | "Timeout" | "ServerTimeout", _)
        | ("InternalError" | "ServiceUnavailable", _) => Reason::ApiUnavailable,
        (_, 401 | 408 | 409 | 429 | 500..) => Reason::ApiUnavailable,
        _ => return None,
    })
}

/// What the API server says, and for a denial what would mend it.
fn message(status: &Status, actor: Actor<'_>) -> String {
    let said = &status.message;
    if said.contains("cannot impersonate resource") {
        return format!(
            "{said}; the gateway's account needs the verb impersonate on serviceaccounts in namespace {}",
            actor.namespace
        );
    }
    said.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, reason: &str, message: &str) -> Status {
        Status {
            code,
            reason: reason.into(),
            message: message.into(),
            ..Status::default()
        }
    }

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        let mut terminating = status(403, "Forbidden", "unable to create");
        let details = serde_json::json!({"causes": [{"reason": "NamespaceTerminating"}]});
        terminating.details = serde_json::from_value(details).unwrap();
        let mut missing = status(404, "NotFound", "namespaces \"x\" not found");
        let details = serde_json::json!({"kind": "namespaces"});
        missing.details = serde_json::from_value(details).unwrap();
        for (status, expected) in [
            (
                status(403, "Forbidden", "cannot create"),
                Some(Reason::Forbidden),
            ),
            (
                status(403, "Forbidden", "exceeded quota: q"),
                Some(Reason::QuotaExceeded),
            ),
            (terminating, Some(Reason::NamespaceMissing)),
            (missing, Some(Reason::NamespaceMissing)),
            (
                status(404, "NotFound", "page not found"),
                Some(Reason::KindNotServed),
            ),
            (
                status(409, "Conflict", "try again"),
                Some(Reason::ApiUnavailable),
            ),
            (
                status(429, "TooManyRequests", ""),
                Some(Reason::ApiUnavailable),
            ),
            (
                status(500, "InternalError", "webhook failed"),
                Some(Reason::ApiUnavailable),
            ),
            (status(503, "", ""), Some(Reason::ApiUnavailable)),
            (
                status(
                    403,
                    "Forbidden",
                    "admission webhook \"x\" denied the request: no",
                ),
                None,
            ),
            (status(422, "Invalid", "spec: Required"), None),
            (status(400, "BadRequest", "admission webhook denied"), None),
        ] {
            assert_eq!(reason(&status), expected, "{status:?}");
        }
    }
}
