//! GitHub: HMAC-SHA256 of the raw body in `X-Hub-Signature-256`, whether the
//! body is JSON or a form with the JSON in `payload`.
//!
//! Format: <https://docs.github.com/webhooks/webhook-events-and-payloads>.

use serde_json::Value;

use crate::model::headers::Headers;
use crate::model::sender::{
    ChangedFiles, DeliveryMark, GitRef, Mark, Sender, Vocabulary, find_str,
};

use super::hmac::Hash;
use super::registry;
use super::scheme::{Check, Scheme};

/// A push never lists more commits than this, and does not say so.
const COMMITS_LISTED_AT_MOST: usize = 2048;

pub(super) const SCHEME: Scheme = Scheme {
    name: "github",
    claims: &[
        "X-Github-Event",
        "X-Github-Delivery",
        "X-Hub-Signature-256",
        "X-Hub-Signature",
    ],
    // Bitbucket signs under a header of this name, too.
    disclaims: &["X-Gitlab-Event", "X-Event-Key"],
    check: Check::Hmac {
        header: "X-Hub-Signature-256",
        hashes: &[(Hash::Sha256, "sha256=")],
    },
};

/// As Tekton's interceptor has it.
pub(super) const TEKTON_SCHEME: Scheme = Scheme {
    check: Check::Hmac {
        header: "X-Hub-Signature-256",
        hashes: registry::TEKTON_HASHES,
    },
    disclaims: &[],
    ..SCHEME
};

pub(super) const SENDER: Sender = Sender {
    name: "github",
    recognises,
    event_header: Some("X-Github-Event"),
    event_type: |headers, _| headers.get("X-Github-Event"),
    pings: &["ping"],
    delivery,
    credential_headers: &["X-Hub-Signature", "X-Hub-Signature-256"],
    vocabulary: Vocabulary {
        repository: &[&["repository", "full_name"]],
        repository_url: &[&["repository", "html_url"], &["repository", "clone_url"]],
        action: &[&["action"]],
        actor: &[&["sender", "login"], &["pusher", "name"]],
        draft: &[&["pull_request", "draft"]],
        git_ref,
        labels,
        changed,
    },
};

/// Gitea, Forgejo and Gogs send GitHub's headers beside their own.
fn recognises(headers: &Headers, _: Option<&Value>) -> bool {
    let has = |name: &str| headers.get(name).is_some();
    has("X-Github-Event")
        && !["X-Gitea-Event", "X-Forgejo-Event", "X-Gogs-Event"]
            .into_iter()
            .any(has)
}

fn delivery(headers: &Headers, _: Option<&Value>) -> Option<DeliveryMark> {
    let id = headers
        .get("X-Github-Delivery")
        .filter(|id| !id.is_empty())?;
    Some(DeliveryMark {
        scope: headers.get("X-Github-Hook-Id").unwrap_or_default().into(),
        id: Mark::Id(id.into()),
    })
}

fn git_ref(body: &Value) -> Option<GitRef<'_>> {
    if let Some(base) = find_str(body, &[&["pull_request", "base", "ref"]]) {
        return Some(GitRef::Branch(base));
    }
    if let Some(tag) = find_str(body, &[&["release", "tag_name"]]) {
        return Some(GitRef::Tag(tag));
    }
    if let Some(name) = find_str(body, &[&["ref"]]) {
        // Events `create` and `delete` give the bare name and say what it is.
        return match find_str(body, &[&["ref_type"]]) {
            Some("branch") => Some(GitRef::Branch(name)),
            Some("tag") => Some(GitRef::Tag(name)),
            _ => registry::full_ref(name),
        };
    }
    let head = find_str(
        body,
        &[
            &["workflow_run", "head_branch"],
            &["check_suite", "head_branch"],
            &["check_run", "check_suite", "head_branch"],
        ],
    );
    head.map(GitRef::Branch)
}

fn labels(body: &Value) -> Vec<&str> {
    registry::names_of(
        body,
        &[&["pull_request", "labels"], &["issue", "labels"]],
        "name",
    )
}

fn changed(body: &Value) -> ChangedFiles<'_> {
    registry::changed_by_commits(body, |commits| commits < COMMITS_LISTED_AT_MOST)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_found_in_every_kind_of_event() {
        for (body, expected) in [
            (
                json!({"ref": "refs/heads/feature/x"}),
                Some(GitRef::Branch("feature/x")),
            ),
            (json!({"ref": "refs/tags/v1"}), Some(GitRef::Tag("v1"))),
            (
                json!({"ref": "v2", "ref_type": "tag"}),
                Some(GitRef::Tag("v2")),
            ),
            (
                json!({"ref": "topic", "ref_type": "branch"}),
                Some(GitRef::Branch("topic")),
            ),
            (
                json!({"pull_request": {"base": {"ref": "main"}, "head": {"ref": "topic"}}}),
                Some(GitRef::Branch("main")),
            ),
            (
                json!({"release": {"tag_name": "v3"}}),
                Some(GitRef::Tag("v3")),
            ),
            (
                json!({"workflow_run": {"head_branch": "main"}}),
                Some(GitRef::Branch("main")),
            ),
            (json!({"zen": "…"}), None),
        ] {
            assert_eq!(git_ref(&body), expected, "{body}");
        }
    }

    #[test]
    fn changed_files_of_a_push_are_those_of_its_commits() {
        let body = json!({"commits": [
            {"added": ["a"], "modified": ["b"], "removed": []},
            {"added": [], "modified": ["b"], "removed": ["c"]},
        ]});
        let changed = changed(&body);
        assert_eq!(changed.listed, ["a", "b", "b", "c"]);
        assert!(changed.complete);
    }

    #[test]
    fn a_pull_request_does_not_list_its_files() {
        assert_eq!(
            changed(&json!({"pull_request": {}})),
            ChangedFiles::default()
        );
    }

    #[test]
    fn an_imitation_of_github_is_not_taken_for_github() {
        let mut headers = Headers::new();
        headers.append("X-GitHub-Event", "push");
        assert!(recognises(&headers, None));
        headers.append("X-Gitea-Event", "push");
        assert!(!recognises(&headers, None));
    }
}
