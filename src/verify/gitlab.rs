//! GitLab: the secret itself in `X-Gitlab-Token`.
//!
//! Format: <https://docs.gitlab.com/user/project/integrations/webhook_events/>.

use serde_json::Value;

use crate::model::headers::Headers;
use crate::model::sender::{
    ChangedFiles, DeliveryMark, GitRef, Mark, Sender, Vocabulary, find, find_str,
};

use super::registry;
use super::scheme::{Check, Scheme};

pub(super) const SCHEME: Scheme = Scheme {
    name: "gitlab",
    claims: &["X-Gitlab-Event", "X-Gitlab-Token"],
    disclaims: &["X-Github-Event"],
    check: Check::Token {
        header: "X-Gitlab-Token",
    },
};

/// As Tekton's interceptor has it.
pub(super) const TEKTON_SCHEME: Scheme = Scheme {
    disclaims: &[],
    ..SCHEME
};

pub(super) const SENDER: Sender = Sender {
    name: "gitlab",
    recognises: |headers, _| headers.get("X-Gitlab-Event").is_some(),
    event_header: Some("X-Gitlab-Event"),
    event_type: |headers, _| headers.get("X-Gitlab-Event"),
    pings: &[],
    delivery,
    credential_headers: &["X-Gitlab-Token", "Webhook-Signature"],
    vocabulary: Vocabulary {
        repository: &[
            &["project", "path_with_namespace"],
            &["path_with_namespace"],
        ],
        repository_url: &[&["project", "web_url"]],
        action: &[&["object_attributes", "action"]],
        actor: &[&["user", "username"], &["user_username"]],
        draft: &[
            &["object_attributes", "draft"],
            &["object_attributes", "work_in_progress"],
        ],
        git_ref,
        labels,
        changed,
    },
};

/// `Idempotency-Key` stays the same over retries; `X-Gitlab-Webhook-UUID` is
/// drawn anew for each attempt and `X-Gitlab-Event-UUID` is shared by hooks,
/// so neither can serve. `webhook-id` is covered by the signature, so it is
/// preferred where there is one.
fn delivery(headers: &Headers, _: Option<&Value>) -> Option<DeliveryMark> {
    let signed = headers.get("Webhook-Signature").is_some();
    let id = signed
        .then(|| headers.get("Webhook-Id"))
        .flatten()
        .or_else(|| headers.get("Idempotency-Key"))
        .filter(|id| !id.is_empty())?;
    Some(DeliveryMark {
        scope: headers.get("X-Gitlab-Instance").unwrap_or_default().into(),
        id: Mark::Id(id.into()),
    })
}

fn git_ref(body: &Value) -> Option<GitRef<'_>> {
    if let Some(target) = find_str(
        body,
        &[
            &["object_attributes", "target_branch"],
            &["merge_request", "target_branch"],
        ],
    ) {
        return Some(GitRef::Branch(target));
    }
    if find_str(body, &[&["object_kind"]]) == Some("release") {
        return find_str(body, &[&["tag"]]).map(GitRef::Tag);
    }
    let name = find_str(body, &[&["ref"], &["object_attributes", "ref"]])?;
    // Pipelines and jobs give the bare name and say whether it is a tag.
    registry::full_ref(name).or_else(|| {
        let is_tag = find(body, &[&["tag"], &["object_attributes", "tag"]])?.as_bool()?;
        Some(if is_tag {
            GitRef::Tag(name)
        } else {
            GitRef::Branch(name)
        })
    })
}

fn labels(body: &Value) -> Vec<&str> {
    registry::names_of(
        body,
        &[&["labels"], &["object_attributes", "labels"]],
        "title",
    )
}

/// Only the newest commits are listed; `total_commits_count` tells how many
/// there are.
fn changed(body: &Value) -> ChangedFiles<'_> {
    let total = find(body, &[&["total_commits_count"]]).and_then(Value::as_u64);
    registry::changed_by_commits(body, |listed| {
        total.is_some_and(|total| total <= listed as u64)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_found_in_every_kind_of_event() {
        for (body, expected) in [
            (
                json!({"ref": "refs/heads/main"}),
                Some(GitRef::Branch("main")),
            ),
            (json!({"ref": "refs/tags/v1"}), Some(GitRef::Tag("v1"))),
            (
                json!({"object_attributes": {"target_branch": "main", "source_branch": "x"}}),
                Some(GitRef::Branch("main")),
            ),
            (
                json!({"object_attributes": {"ref": "v1", "tag": true}}),
                Some(GitRef::Tag("v1")),
            ),
            (
                json!({"ref": "main", "tag": false}),
                Some(GitRef::Branch("main")),
            ),
            (
                json!({"object_kind": "release", "tag": "v2"}),
                Some(GitRef::Tag("v2")),
            ),
            (json!({}), None),
        ] {
            assert_eq!(git_ref(&body), expected, "{body}");
        }
    }

    #[test]
    fn a_cut_list_of_commits_is_known_to_be_incomplete() {
        let body = json!({"total_commits_count": 40, "commits": [{"added": ["a"]}]});
        assert!(!changed(&body).complete);
        let body = json!({"total_commits_count": 1, "commits": [{"added": ["a"]}]});
        assert!(changed(&body).complete);
    }

    #[test]
    fn a_signed_id_is_preferred_and_ids_of_an_attempt_are_not_used() {
        let mut headers = Headers::new();
        headers.append("X-Gitlab-Webhook-UUID", "attempt");
        headers.append("X-Gitlab-Event-UUID", "shared");
        assert_eq!(delivery(&headers, None), None);
        headers.append("Idempotency-Key", "key");
        headers.append("webhook-id", "signed");
        let id = |headers: &Headers| delivery(headers, None).map(|mark| mark.id);
        assert_eq!(id(&headers), Some(Mark::Id("key".into())));
        headers.append("webhook-signature", "v1,abc");
        assert_eq!(id(&headers), Some(Mark::Id("signed".into())));
    }
}
