//! What an answer of the API server means for a delivery: by the reason and
//! the causes of its Status, not by the code alone.

use std::error::Error;
use std::time::Duration;

use hyper_util::client::legacy::Error as ClientError;
use kube::core::Status;

use crate::act::{ActError, Actor};
use crate::model::verdict::Reason;

use super::exchange::Refusal;

/// Tells whether the same request may work later, and why it did not.
pub(super) fn classify(what: &str, actor: Actor<'_>, refusal: Refusal) -> ActError {
    let retry_after = refusal.retry_after;
    let status = match refusal.error {
        kube::Error::Api(status) => status,
        error => return unavailable(what, &error),
    };
    let message = format!("{what}: {}", message(&status, actor));
    match reason(&status) {
        Some(reason) => ActError::Api {
            reason,
            message,
            retry_after: retry_after.or_else(|| asked_for(&status)),
        },
        None => ActError::Invalid(message),
    }
}

/// The same for a request that was to make something. Where nobody knows
/// whether it has, that is the reason.
pub(super) fn classify_create(what: &str, actor: Actor<'_>, refusal: Refusal) -> ActError {
    let is_unclear = is_unclear(&refusal.error);
    let error = classify(what, actor, refusal);
    if is_unclear { unclear(error) } else { error }
}

/// An error after which nobody knows whether something was made: not by what
/// failed now, or not by what failed before.
pub(super) fn unclear(error: ActError) -> ActError {
    match error {
        ActError::Api {
            reason: Reason::ApiUnavailable,
            message,
            retry_after,
        } => ActError::Api {
            reason: Reason::OutcomeUnknown,
            message,
            retry_after,
        },
        error => error,
    }
}

/// An API server that could not be asked.
pub(super) fn unavailable(what: &str, error: &kube::Error) -> ActError {
    ActError::Api {
        reason: Reason::ApiUnavailable,
        message: format!("{what}: {}", with_causes(error)),
        retry_after: None,
    }
}

/// The error of a request that took too long.
pub(super) fn unreachable_api() -> kube::Error {
    kube::Error::Service("the API server did not answer in time".into())
}

/// Whether a request may have been carried out although it failed.
fn is_unclear(error: &kube::Error) -> bool {
    match error {
        // It may have been stored before the time was up, or before whoever
        // passes answers on lost this one.
        kube::Error::Api(status) => !(300..500).contains(&status.code) || status.code == 408,
        kube::Error::BuildRequest(_) | kube::Error::HttpError(_) | kube::Error::Auth(_) => false,
        error => {
            let mut causes = causes(error);
            let failed = causes.find_map(|cause| cause.downcast_ref::<ClientError>());
            !failed.is_some_and(ClientError::is_connect)
        }
    }
}

fn causes(error: &kube::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: &(dyn Error + 'static) = error;
    std::iter::successors(Some(first), |cause: &&(dyn Error + 'static)| {
        Error::source(*cause)
    })
}

/// What failed, and why: the first of them alone says but that something did.
fn with_causes(error: &kube::Error) -> String {
    let mut texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    // Some say what their causes say as well.
    let said = |texts: &[String], text: &str| texts.iter().any(|said| said.contains(text));
    let mut shown: Vec<String> = Vec::new();
    for text in texts.drain(..) {
        if !said(&shown, &text) {
            shown.push(text);
        }
    }
    shown.join(": ")
}

/// How long a Status asks for.
fn asked_for(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

/// Why it may pass; nothing where it will not.
fn reason(status: &Status) -> Option<Reason> {
    let says = |text: &str| status.message.contains(text);
    let has_cause = |reason: &str| {
        let details = status.details.iter();
        let mut causes = details.flat_map(|details| &details.causes);
        causes.any(|cause| cause.reason == reason)
    };
    let is_denied = says("denied the request") || says("denied request");
    Some(match (status.reason.as_str(), status.code) {
        // Policies say so under the same code as missing rights. One that is
        // only too busy has a code for that.
        (_, 400..=428) if is_denied => return None,
        ("Forbidden", _) | (_, 403) => match () {
            () if has_cause("NamespaceTerminating") => Reason::NamespaceMissing,
            () if says("exceeded quota") || says("failed quota") || says("unknown for quota") => {
                Reason::QuotaExceeded
            }
            () => Reason::Forbidden,
        },
        ("NotFound", _) | (_, 404) => match status.details.as_ref() {
            Some(details) if details.kind == "namespaces" => Reason::NamespaceMissing,
            _ => Reason::KindNotServed,
        },
        ("Unauthorized" | "Conflict" | "TooManyRequests" | "Timeout" | "ServerTimeout", _)
        | ("InternalError" | "ServiceUnavailable", _) => Reason::ApiUnavailable,
        // Who is sent elsewhere has met somebody else than an API server.
        (_, ..400 | 401 | 408 | 409 | 425 | 429 | 500..) => Reason::ApiUnavailable,
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
            (
                status(403, "Forbidden", "status unknown for quota: q"),
                Some(Reason::QuotaExceeded),
            ),
            (
                status(504, "Timeout", "request did not complete"),
                Some(Reason::ApiUnavailable),
            ),
            (
                status(500, "ServerTimeout", "etcdserver: leader changed"),
                Some(Reason::ApiUnavailable),
            ),
            (status(302, "", "moved"), Some(Reason::ApiUnavailable)),
            (status(405, "MethodNotAllowed", "no create"), None),
            (status(413, "RequestEntityTooLarge", "too large"), None),
            (
                status(429, "", "admission webhook \"x\" denied the request: later"),
                Some(Reason::ApiUnavailable),
            ),
        ] {
            assert_eq!(reason(&status), expected, "{status:?}");
        }
    }

    const ACTOR: Actor<'_> = Actor {
        namespace: "ci",
        account: "runner",
    };

    fn refused(error: kube::Error) -> Refusal {
        Refusal {
            error,
            retry_after: None,
        }
    }

    #[test]
    fn only_what_was_certainly_not_made_is_not_looked_for() {
        let api = |code| kube::Error::Api(status(code, "", "x").boxed());
        for (error, expected) in [
            (api(429), Reason::ApiUnavailable),
            (api(409), Reason::ApiUnavailable),
            (api(401), Reason::ApiUnavailable),
            (api(403), Reason::Forbidden),
            (api(408), Reason::OutcomeUnknown),
            (api(500), Reason::OutcomeUnknown),
            (api(503), Reason::OutcomeUnknown),
            (api(504), Reason::OutcomeUnknown),
            (unreachable_api(), Reason::OutcomeUnknown),
        ] {
            let shown = error.to_string();
            let error = classify_create("x", ACTOR, refused(error));
            assert_eq!(error.reason(), expected, "{shown}");
        }
    }

    #[test]
    fn how_long_to_wait_is_taken_from_the_header_or_the_status() {
        let mut busy = status(429, "TooManyRequests", "");
        busy.details = serde_json::from_value(serde_json::json!({"retryAfterSeconds": 3})).unwrap();
        let mut refusal = refused(kube::Error::Api(busy.boxed()));
        refusal.retry_after = Some(Duration::from_secs(9));
        let asked = classify("x", ACTOR, refusal).retry_after();
        assert_eq!(asked, Some(Duration::from_secs(9)));
        let mut busy = status(429, "TooManyRequests", "");
        busy.details = serde_json::from_value(serde_json::json!({"retryAfterSeconds": 3})).unwrap();
        let refusal = refused(kube::Error::Api(busy.boxed()));
        let asked = classify("x", ACTOR, refusal).retry_after();
        assert_eq!(asked, Some(Duration::from_secs(3)));
    }
}
