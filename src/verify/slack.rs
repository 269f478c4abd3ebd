//! Slack: HMAC-SHA256 of a version, the time and the raw body in
//! `X-Slack-Signature`; the body is a form.
//!
//! Format: <https://docs.slack.dev/authentication/verifying-requests-from-slack/>.

use serde_json::Value;

use crate::model::headers::Headers;
use crate::model::sender::{ChangedFiles, Sender, Vocabulary};

use super::scheme::{Check, Scheme};

const SIGNATURE: &str = "X-Slack-Signature";

/// How old a request may be, in seconds: what Slack recommends.
const TOLERANCE: i64 = 5 * 60;

pub(super) const SCHEME: Scheme = Scheme {
    name: "slack",
    claims: &[SIGNATURE, "X-Slack-Request-Timestamp"],
    disclaims: &[],
    check: Check::TimedHmac {
        header: SIGNATURE,
        version: "v0",
        time: "X-Slack-Request-Timestamp",
        tolerance: TOLERANCE,
    },
};

/// As Tekton's interceptor has it: whoever sends the header is believed.
pub(super) const TEKTON_SCHEME: Scheme = Scheme {
    name: "slack",
    claims: &[SIGNATURE],
    disclaims: &[],
    check: Check::Presence { header: SIGNATURE },
};

pub(super) const SENDER: Sender = Sender {
    name: "slack",
    recognises,
    event_header: None,
    event_type: |_, _| None,
    pings: &[],
    // A form has nothing that stays the same when it is sent again.
    delivery: |_, _| None,
    credential_headers: &[SIGNATURE],
    vocabulary: Vocabulary {
        repository: &[],
        repository_url: &[],
        action: &[],
        actor: &[],
        draft: &[],
        git_ref: |_| None,
        labels: |_| Vec::new(),
        changed: |_| ChangedFiles::default(),
    },
};

fn recognises(headers: &Headers, _: Option<&Value>) -> bool {
    headers.get(SIGNATURE).is_some()
}
