//! The one vocabulary of outcomes, used in answers, logs, metrics and the
//! journal alike. `docs/errors.md` lists every reason.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a trigger made of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The request is not from the sender that this trigger verifies.
    NotMine,
    /// It claims to be, and the proof is missing or wrong.
    Refused,
    /// Nobody can say yet; the event waits in the journal.
    Deferred,
    /// Genuine, and the trigger does not want it.
    Filtered,
    /// Genuine and wanted.
    Matched,
    /// Genuine, and the trigger could not be evaluated.
    Failed,
}

impl Verdict {
    /// Every verdict, for tables and tests.
    pub const ALL: [Self; 6] = [
        Self::NotMine,
        Self::Refused,
        Self::Deferred,
        Self::Filtered,
        Self::Matched,
        Self::Failed,
    ];

    /// The word for it in answers, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotMine => "not_mine",
            Self::Refused => "refused",
            Self::Deferred => "deferred",
            Self::Filtered => "filtered",
            Self::Matched => "matched",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Nobody works on it yet.
    Pending,
    /// A worker has it.
    Running,
    /// An attempt failed; another one is due.
    Retrying,
    /// Every resource is where it belongs.
    Done,
    /// Given up; the reason says why.
    Dead,
    /// No longer wanted; the reason says why.
    Cancelled,
}

impl DeliveryState {
    /// Every state, for tables and tests.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Running,
        Self::Retrying,
        Self::Done,
        Self::Dead,
        Self::Cancelled,
    ];

    /// The word for it in answers, logs, metrics and the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state that a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing more will happen to the delivery by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Dead | Self::Cancelled)
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Declares the reasons once: variant, code, and the sentence that
/// `docs/errors.md` prints.
macro_rules! reasons {
    ($($variant:ident $code:literal $text:literal,)+) => {
        /// Why an outcome is what it is. Codes are stable: scripts rely on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Reason {
            $(#[doc = $text] $variant,)+
        }

        impl Reason {
            /// Every reason, in the order in which an event may meet them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The stable code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

reasons! {
    // ingress
    NotFound "not_found" "There is no EventListener under this path.",
    ConfigUnread "config_unread" "A part of the configuration could not be read, so that triggers of this EventListener may be missing; send the event again after Retry-After.",
    NoTriggers "no_triggers" "The EventListener has no trigger, so that nobody could want the event; send it again after Retry-After.",
    MethodNotAllowed "method_not_allowed" "Events are posted: use POST.",
    BodyTooLarge "body_too_large" "The body is larger than the limit `limits.body`.",
    EncodingUnsupported "encoding_unsupported" "The body has a Content-Encoding; send it plain.",
    BodyTimeout "body_timeout" "The body did not arrive in time; the same request may be sent again.",
    BodyIncomplete "body_incomplete" "The connection broke before the whole body had arrived.",
    Overloaded "overloaded" "Too many bytes are in flight; send the request again after Retry-After.",
    Flood "flood" "Too many unverified requests reach this listener; slow down.",
    JournalUnavailable "journal_unavailable" "The event could not be made durable, so it was not accepted; send it again after Retry-After.",
    DeferredQuota "deferred_quota" "Too many events wait for this listener already; send it again after Retry-After.",
    RequestTimeout "request_timeout" "The request took longer than is allowed; send it again after Retry-After.",
    Internal "internal" "The gateway failed; the log has the details. The same request may be sent again.",
    // verify
    NotThisSender "not_this_sender" "The request does not carry the headers of the sender that this trigger verifies.",
    SignatureMissing "signature_missing" "The signature header is absent or empty.",
    SignatureMalformed "signature_malformed" "The signature header cannot be read.",
    SignatureExpired "signature_expired" "The signature is of another time than now: the request is old, or a clock is wrong.",
    SignatureMismatch "signature_mismatch" "No configured secret gives this signature.",
    TokenMissing "token_missing" "The token header is absent or empty.",
    TokenMismatch "token_mismatch" "The token is none of the configured secrets.",
    SecretMissing "secret_missing" "A Secret that the trigger names does not exist; the event waits for it.",
    SecretKeyMissing "secret_key_missing" "The Secret exists and lacks the key that the trigger names; the event waits for it.",
    SecretEmpty "secret_empty" "The secret is empty, which would let everybody in; the event waits for a value.",
    SecretsNotSynced "secrets_not_synced" "Secrets have not been read yet; the event waits.",
    // body
    BodyEmpty "body_empty" "The body is empty and the trigger needs a JSON object.",
    BodyNotJson "body_not_json" "The body is not JSON.",
    BodyNotObject "body_not_object" "The body is JSON, and not an object.",
    BodyTooComplex "body_too_complex" "The body has so many values in so few bytes that it would take up too much memory.",
    FormRefused "form_refused" "The interceptor takes no forms on this EventListener; let the sender send JSON.",
    BodyNotForm "body_not_form" "The body is not the form that the interceptor needs.",
    FormWithoutPayload "form_without_payload" "The form has no field `payload` that holds JSON.",
    // match
    Ping "ping" "The sender tests the connection; a ping never fires a trigger.",
    EventNotListed "event_not_listed" "The event type is not among those that the trigger lists.",
    ActionNotListed "action_not_listed" "The action is not among those that the trigger lists.",
    RepositoryNotListed "repository_not_listed" "The repository matches none of the patterns.",
    OwnerNotListed "owner_not_listed" "The owner of the repository matches none of the patterns.",
    ProjectNotListed "project_not_listed" "The Harbor project matches none of the patterns.",
    BranchNotListed "branch_not_listed" "The branch matches none of the patterns.",
    TagNotListed "tag_not_listed" "The tag matches none of the patterns.",
    PathsNotListed "paths_not_listed" "No changed file matches the patterns.",
    PathsIgnored "paths_ignored" "Every changed file is among those to ignore.",
    ActorNotListed "actor_not_listed" "Whoever caused the event matches none of the patterns.",
    LabelNotListed "label_not_listed" "No label matches the patterns.",
    DraftMismatch "draft_mismatch" "The change is a draft, or is none, against what the trigger wants.",
    SenderUnknown "sender_unknown" "The trigger filters by a fact that only a recognised sender's event has.",
    FilterFalse "filter_false" "The CEL filter is not true.",
    SecretComparisonFalse "secret_comparison_false" "A comparison with a secret in the CEL filter failed.",
    CelFailed "cel_failed" "A CEL expression failed on this event.",
    CelExhausted "cel_exhausted" "A CEL expression took more work or memory than is allowed.",
    OverlayFailed "overlay_failed" "A CEL overlay has no JSON value, or its key is invalid.",
    PayloadIncomplete "payload_incomplete" "The event lacks something that an interceptor needs; the detail names it.",
    NotAnOwner "not_an_owner" "Whoever caused the event is neither an owner nor a member, and nobody who is has let it in.",
    AwaitsInterceptor "awaits_interceptor" "An interceptor elsewhere has to be asked first; the event waits for its answer.",
    InterceptorStopped "interceptor_stopped" "An interceptor elsewhere does not want the event.",
    InterceptorUnavailable "interceptor_unavailable" "An interceptor elsewhere gave no answer; it is asked again.",
    InterceptorFailed "interceptor_failed" "An interceptor elsewhere gave no answer that can be used.",
    BadConfig "bad_config" "The trigger's configuration is invalid; the event waits until it is mended.",
    // bind and render
    BindFailed "bind_failed" "A binding names something that the event does not have.",
    BindExhausted "bind_exhausted" "A binding expression took more work than is allowed.",
    DuplicateParam "duplicate_param" "Two bindings of the trigger give the same parameter.",
    RenderFailed "render_failed" "The template does not give a valid resource with these parameters.",
    ManifestTooLarge "manifest_too_large" "A rendered resource is larger than the API server would take.",
    // act
    NameTaken "name_taken" "An object of this name exists and belongs to another event.",
    ManifestInvalid "manifest_invalid" "The rendered resource lacks a name, kind or apiVersion, or has an invalid one.",
    Forbidden "forbidden" "The trigger's account may not create the resource; the detail names the missing permission. It is tried for 15 minutes.",
    QuotaExceeded "quota_exceeded" "A ResourceQuota of the namespace does not allow the resource; it is tried for 15 minutes.",
    KindNotServed "kind_not_served" "The API server does not serve the resource's kind; it is tried for 15 minutes.",
    NamespaceMissing "namespace_missing" "The resource's namespace does not exist or is being deleted; it is tried for 15 minutes.",
    ApiUnavailable "api_unavailable" "The API server did not take the resource; it is tried again.",
    OutcomeUnknown "outcome_unknown" "The API server gave no clear answer, so that it may have made the resource; the next attempt looks first.",
    SinkUnavailable "sink_unavailable" "The sink could not take the resource; it is tried again.",
    RetriesExhausted "retries_exhausted" "The delivery was tried as often, or for as long, as it may be; the detail has the last failure.",
    // turns
    ConcurrencyLimited "concurrency_limited" "As many deliveries as the limit `max-concurrent` allows are being performed; the delivery waits for its turn.",
    RateLimited "rate_limited" "Deliveries begin as often as the limit `max-rate` allows; the delivery waits for its turn.",
    AwaitsSlot "awaits_slot" "Others are being performed; the delivery waits for its turn.",
    // journal
    RecordUnreadable "record_unreadable" "The journal's record of the delivery cannot be read.",
    TriggerMissing "trigger_missing" "The configuration does not have the trigger; the delivery waits for it to come back.",
    TriggerDeleted "trigger_deleted" "The trigger was deleted before the delivery was done.",
    Discarded "discarded" "Somebody has discarded the delivery.",
    Erased "erased" "The event's payload was erased before the delivery was done.",
    DeferredExpired "deferred_expired" "What the event waited for did not come in time.",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_are_what_serde_writes() {
        let mut seen = std::collections::HashSet::new();
        for &reason in Reason::ALL {
            assert!(seen.insert(reason.code()), "{reason} stands twice");
            let written = serde_json::to_value(reason).expect("a reason serialises");
            assert_eq!(written, reason.code());
        }
    }

    #[test]
    fn a_state_reads_back_from_its_word() {
        for state in DeliveryState::ALL {
            assert_eq!(DeliveryState::parse(state.as_str()), Some(state));
        }
        assert_eq!(DeliveryState::parse("lost"), None);
    }
}
