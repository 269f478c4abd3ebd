//! Bitbucket, Cloud and Data Center: HMAC-SHA256 of the raw body in
//! `X-Hub-Signature`.
//!
//! Format: <https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/>
//! and <https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html>.

use serde_json::Value;

use crate::model::headers::Headers;
use crate::model::sender::{
    ChangedFiles, DeliveryMark, GitRef, Mark, Sender, Vocabulary, find, find_str,
};

use super::hmac::Hash;
use super::registry;
use super::scheme::{Check, Scheme};

const SIGNATURE: &str = "X-Hub-Signature";

pub(super) const SCHEME: Scheme = Scheme {
    name: "bitbucket",
    claims: &["X-Event-Key", "X-Hook-Uuid"],
    disclaims: &["X-Github-Event", "X-Gitlab-Event"],
    check: Check::Hmac {
        header: SIGNATURE,
        hashes: &[(Hash::Sha256, "sha256=")],
    },
};

/// As Tekton's interceptor has it.
pub(super) const TEKTON_SCHEME: Scheme = Scheme {
    name: "bitbucket",
    claims: &["X-Event-Key", "X-Hook-Uuid", SIGNATURE],
    disclaims: &[],
    check: Check::Hmac {
        header: SIGNATURE,
        hashes: registry::TEKTON_HASHES,
    },
};

pub(super) const SENDER: Sender = Sender {
    name: "bitbucket",
    recognises: |headers, _| headers.get("X-Event-Key").is_some(),
    event_header: Some("X-Event-Key"),
    event_type: |headers, _| headers.get("X-Event-Key"),
    pings: &["diagnostics:ping"],
    delivery,
    credential_headers: &[SIGNATURE],
    vocabulary: Vocabulary {
        repository: &[&["repository", "full_name"], &["repository", "slug"]],
        repository_url: &[&["repository", "links", "html", "href"]],
        action: &[],
        actor: &[&["actor", "nickname"], &["actor", "name"]],
        draft: &[&["pullrequest", "draft"], &["pullRequest", "draft"]],
        git_ref,
        labels: |_| Vec::new(),
        changed: |_| ChangedFiles::default(),
    },
};

/// Cloud numbers a delivery by `X-Request-UUID` and counts its attempts apart;
/// Data Center by `X-Request-Id`.
fn delivery(headers: &Headers, _: Option<&Value>) -> Option<DeliveryMark> {
    let ids = ["X-Request-Uuid", "X-Request-Id"];
    let id = ids.iter().find_map(|name| headers.get(name));
    Some(DeliveryMark {
        scope: headers.get("X-Hook-Uuid").unwrap_or_default().into(),
        id: Mark::Id(id.filter(|id| !id.is_empty())?.into()),
    })
}

/// The target of a pull request, else what was pushed first.
fn git_ref(body: &Value) -> Option<GitRef<'_>> {
    let target = find_str(
        body,
        &[
            &["pullrequest", "destination", "branch", "name"],
            &["pullRequest", "toRef", "displayId"],
        ],
    );
    if let Some(target) = target {
        return Some(GitRef::Branch(target));
    }
    if let Some(changes) = find(body, &[&["push", "changes"]]).and_then(Value::as_array) {
        let change = changes.first()?;
        let reference = find(change, &[&["new"], &["old"]])?;
        let name = find_str(reference, &[&["name"]])?;
        return Some(match find_str(reference, &[&["type"]]) {
            Some("tag") => GitRef::Tag(name),
            _ => GitRef::Branch(name),
        });
    }
    let change = find(body, &[&["changes"]])
        .and_then(Value::as_array)?
        .first()?;
    registry::full_ref(find_str(change, &[&["ref", "id"], &["refId"]])?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_found_in_events_of_both_products() {
        for (body, expected) in [
            (
                json!({"push": {"changes": [{"new": {"type": "branch", "name": "main"}}]}}),
                GitRef::Branch("main"),
            ),
            (
                json!({"push": {"changes": [{"new": null, "old": {"type": "tag", "name": "v1"}}]}}),
                GitRef::Tag("v1"),
            ),
            (
                json!({"pullrequest": {"destination": {"branch": {"name": "main"}}}}),
                GitRef::Branch("main"),
            ),
            (
                json!({"changes": [{"ref": {"id": "refs/heads/main"}}]}),
                GitRef::Branch("main"),
            ),
            (
                json!({"pullRequest": {"toRef": {"displayId": "main"}}}),
                GitRef::Branch("main"),
            ),
        ] {
            assert_eq!(git_ref(&body), Some(expected), "{body}");
        }
        assert_eq!(git_ref(&json!({"test": true})), None);
    }

    #[test]
    fn a_delivery_is_numbered_by_either_product() {
        let mut headers = Headers::new();
        assert_eq!(delivery(&headers, None), None);
        headers.append("X-Request-Id", "server");
        let id = |headers: &Headers| delivery(headers, None).map(|mark| mark.id);
        assert_eq!(id(&headers), Some(Mark::Id("server".into())));
        headers.append("X-Request-UUID", "cloud");
        assert_eq!(id(&headers), Some(Mark::Id("cloud".into())));
    }
}
