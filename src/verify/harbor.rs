//! Harbor: the "Auth Header" of the webhook policy, verbatim in
//! `Authorization`. Two payload formats: its own, and structured CloudEvents.
//!
//! Format: <https://goharbor.io/docs/main/working-with-projects/project-configuration/configure-webhooks/>.

use serde_json::Value;

use crate::model::headers::Headers;
use crate::model::sender::{
    ChangedFiles, DeliveryMark, GitRef, Mark, Sender, Vocabulary, find_str,
};

use super::scheme::{Check, Scheme};

pub(super) const SCHEME: Scheme = Scheme {
    name: "harbor",
    // Harbor sends no header of its own, so whoever is nobody else may be Harbor.
    claims: &["Authorization", "Content-Type"],
    disclaims: &[
        "X-Github-Event",
        "X-Gitlab-Event",
        "X-Event-Key",
        "X-Slack-Signature",
    ],
    check: Check::Token {
        header: "Authorization",
    },
};

pub(super) const SENDER: Sender = Sender {
    name: "harbor",
    recognises,
    event_header: None,
    event_type: |_, body| event_type(body),
    pings: &[],
    delivery,
    credential_headers: &["Authorization"],
    vocabulary: Vocabulary {
        repository: &[
            &["event_data", "repository", "repo_full_name"],
            &["data", "repository", "repo_full_name"],
        ],
        repository_url: &[],
        action: &[],
        actor: &[&["operator"]],
        draft: &[],
        git_ref: |body| tag(body).map(GitRef::Tag),
        labels: |_| Vec::new(),
        changed: |_| ChangedFiles::default(),
    },
};

/// Harbor's name of an event, the type it has as a CloudEvent, and the name
/// that Harbor 1.x gave it.
const EVENTS: [(&str, &str, &str); 10] = [
    ("PUSH_ARTIFACT", "harbor.artifact.pushed", "pushImage"),
    ("PULL_ARTIFACT", "harbor.artifact.pulled", "pullImage"),
    ("DELETE_ARTIFACT", "harbor.artifact.deleted", "deleteImage"),
    ("QUOTA_EXCEED", "harbor.quota.exceeded", "quotaExceed"),
    ("QUOTA_WARNING", "harbor.quota.warned", "quotaWarning"),
    ("SCANNING_FAILED", "harbor.scan.failed", "scanningFailed"),
    ("SCANNING_STOPPED", "harbor.scan.stopped", "scanningStopped"),
    (
        "SCANNING_COMPLETED",
        "harbor.scan.completed",
        "scanningCompleted",
    ),
    (
        "REPLICATION",
        "harbor.replication.status.changed",
        "replication",
    ),
    (
        "TAG_RETENTION",
        "harbor.tag_retention.finished",
        "tagRetention",
    ),
];

/// Harbor's name of the event, whichever format and age the body has.
fn event_type(body: &Value) -> Option<&str> {
    let written = find_str(body, &[&["type"]])?;
    let known = EVENTS
        .iter()
        .find(|(_, cloud, old)| written == *cloud || written == *old);
    Some(known.map_or(written, |(name, _, _)| name))
}

fn recognises(headers: &Headers, body: Option<&Value>) -> bool {
    let Some(body) = body else {
        return false;
    };
    let others = ["X-Github-Event", "X-Gitlab-Event", "X-Event-Key"];
    if others.iter().any(|name| headers.get(name).is_some()) {
        return false;
    }
    let named = find_str(body, &[&["type"]]).unwrap_or_default();
    if body.get("specversion").is_some() {
        return EVENTS.iter().any(|(_, cloud, _)| named == *cloud);
    }
    body.get("event_data").is_some_and(Value::is_object)
        && EVENTS
            .iter()
            .any(|(name, _, old)| named == *name || named == *old)
}

/// Harbor's own format has no id; the CloudEvents one has, stable over retries.
fn delivery(_: &Headers, body: Option<&Value>) -> Option<DeliveryMark> {
    let body = body?;
    let text = |key| body.get(key).and_then(Value::as_str);
    Some(match (text("specversion"), text("id"), text("source")) {
        (Some(_), Some(id), Some(source)) => DeliveryMark {
            scope: source.into(),
            id: Mark::Id(id.into()),
        },
        _ => DeliveryMark {
            scope: String::new(),
            id: Mark::BodyHash,
        },
    })
}

/// The first tag of the artifact. An artifact without one shows its digest
/// there.
fn tag(body: &Value) -> Option<&str> {
    let data = body.get("event_data").or_else(|| body.get("data"))?;
    let tag = data.get("resources")?.get(0)?.get("tag")?.as_str()?;
    Some(tag).filter(|tag| !tag.contains(':'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn push() -> Value {
        json!({"type": "PUSH_ARTIFACT", "operator": "admin", "event_data": {
            "resources": [{"tag": "v1", "digest": "sha256:0"}],
            "repository": {"repo_full_name": "library/busybox"},
        }})
    }

    #[test]
    fn both_formats_and_old_names_give_one_event_type() {
        assert_eq!(event_type(&push()), Some("PUSH_ARTIFACT"));
        assert_eq!(
            event_type(&json!({"type": "harbor.artifact.pushed"})),
            Some("PUSH_ARTIFACT")
        );
        assert_eq!(
            event_type(&json!({"type": "pushImage"})),
            Some("PUSH_ARTIFACT")
        );
        assert_eq!(
            event_type(&json!({"type": "SOMETHING_NEW"})),
            Some("SOMETHING_NEW")
        );
    }

    #[test]
    fn harbor_is_recognised_by_its_body() {
        let none = Headers::new();
        assert!(recognises(&none, Some(&push())));
        assert!(recognises(
            &none,
            Some(&json!({"specversion": "1.0", "type": "harbor.scan.completed"}))
        ));
        assert!(!recognises(&none, Some(&json!({"type": "PUSH_ARTIFACT"}))));
        assert!(!recognises(
            &none,
            Some(&json!({"specversion": "1.0", "type": "other"}))
        ));
        let mut github = Headers::new();
        github.append("X-GitHub-Event", "push");
        assert!(!recognises(&github, Some(&push())));
    }

    #[test]
    fn a_digest_in_place_of_a_tag_is_no_tag() {
        assert_eq!(tag(&push()), Some("v1"));
        let untagged = json!({"event_data": {"resources": [{"tag": "sha256:0"}]}});
        assert_eq!(tag(&untagged), None);
    }

    #[test]
    fn a_cloud_event_is_marked_by_its_id_and_the_own_format_by_its_bytes() {
        let none = Headers::new();
        let mark = delivery(&none, Some(&push())).unwrap();
        assert_eq!(mark.id, Mark::BodyHash);
        let event = json!({"specversion": "1.0", "type": "harbor.artifact.pushed",
            "id": "1", "source": "/projects/1/webhook/policies/2"});
        let mark = delivery(&none, Some(&event)).unwrap();
        assert_eq!(mark.id, Mark::Id("1".into()));
        assert_eq!(mark.scope, "/projects/1/webhook/policies/2");
    }
}
