//! Recorded requests of every sender: genuine ones are taken, and a changed
//! byte is not.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use tripline::model::event::{BodyRule, RawEvent};
use tripline::model::headers::Headers;
use tripline::model::ids::ListenerId;
use tripline::model::secret::{SecretKeyRef, SecretLookup, SecretValue, Secrets};
use tripline::model::verdict::Reason;
use tripline::verify::{Arrival, Verification, Verifier, identify, registry};

/// What the fixtures are signed with; `tests/fixtures/README.md` says so too.
pub(crate) const SECRETS: [(&str, &str); 5] = [
    ("github", "tripline-demo-github-secret"),
    ("gitlab", "tripline-demo-gitlab-token"),
    ("harbor", "Bearer tripline-demo-harbor-token"),
    ("bitbucket", "tripline-demo-bitbucket-secret"),
    ("slack", "tripline-demo-slack-signing-secret"),
];

/// Senders that sign the body, and so notice a change of it.
const SIGN_THE_BODY: [&str; 3] = ["github", "bitbucket", "slack"];

/// Forms of people at a keyboard: they have no type and no id.
const WITHOUT_TYPE_AND_ID: [&str; 1] = ["slack"];

/// Knows the secret of each sender under its name.
struct Known;

impl Secrets for Known {
    fn find(&self, at: &SecretKeyRef) -> SecretLookup {
        match SECRETS.iter().find(|(sender, _)| *sender == at.name) {
            Some((_, secret)) => SecretLookup::Found(SecretValue::new(secret.as_bytes().to_vec())),
            None => SecretLookup::NoSecret,
        }
    }
}

/// Every recorded request, with the folder it is in.
pub(crate) fn all() -> Vec<(String, PathBuf)> {
    let mut all = Vec::new();
    for sender in std::fs::read_dir("tests/fixtures").unwrap() {
        let folder = sender.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let sender = folder.file_name().unwrap().to_string_lossy().into_owned();
        for file in std::fs::read_dir(&folder).unwrap() {
            all.push((sender.clone(), file.unwrap().path()));
        }
    }
    all.sort();
    assert!(all.len() >= 28, "the fixtures are found");
    all
}

/// A recorded request, as the gateway would have received it.
pub(crate) fn read(path: &Path) -> RawEvent {
    let bytes = std::fs::read(path).unwrap();
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    let head = request.parse(&bytes).unwrap().unwrap();
    let mut headers = Headers::new();
    for field in request.headers.iter() {
        headers.append(field.name, String::from_utf8_lossy(field.value));
    }
    headers.remove("Host");
    RawEvent {
        method: "POST".into(),
        url: request.path.unwrap().to_owned(),
        headers,
        body: Bytes::copy_from_slice(&bytes[head..]),
        rule: BodyRule::default(),
    }
}

/// When a request came: the time that its sender has signed, where one does.
pub(crate) fn came_ms(raw: &RawEvent) -> i64 {
    let signed = raw.headers.get("X-Slack-Request-Timestamp");
    signed.map_or(0, |seconds| seconds.parse::<i64>().unwrap() * 1000)
}

fn verify(sender: &str, raw: RawEvent) -> Verification {
    let came_ms = came_ms(&raw);
    verify_at(came_ms, sender, raw)
}

fn verify_at(received_ms: i64, sender: &str, raw: RawEvent) -> Verification {
    let secret = SecretKeyRef {
        namespace: "default".into(),
        name: sender.into(),
        key: "k".into(),
    };
    let verifier = Verifier::new(registry::scheme(sender).unwrap(), vec![secret]);
    Arrival::new(raw, &Known, received_ms).verify(&[verifier])
}

#[test]
fn genuine_requests_are_verified_and_recognised() {
    let listener = ListenerId {
        namespace: "default".into(),
        name: "all".into(),
    };
    for (sender, path) in all() {
        let shown = path.display();
        let Verification::Verified(event) = verify(&sender, read(&path)) else {
            panic!("{shown} is not verified");
        };
        assert_eq!(
            event.sender().map(|s| s.name),
            Some(sender.as_str()),
            "{shown}"
        );
        if WITHOUT_TYPE_AND_ID.contains(&sender.as_str()) {
            assert!(identify(&listener, &event).is_none(), "{shown}");
            continue;
        }
        let facts = event.facts().unwrap();
        assert!(
            facts.event_type().is_some_and(|event| !event.is_empty()),
            "{shown}"
        );
        assert!(
            identify(&listener, &event).is_some(),
            "{shown} has no delivery key"
        );
    }
}

#[test]
fn a_changed_byte_is_refused() {
    for (sender, path) in all() {
        let scheme = registry::scheme(&sender).unwrap();
        let raw = read(&path);
        let signed = scheme.sign(b"another secret", &raw.body, came_ms(&raw));
        let (header, value) = signed.unwrap().remove(0);
        let mut other_secret = raw.clone();
        other_secret.headers.remove(header);
        other_secret.headers.append(header, value);
        assert!(
            matches!(verify(&sender, other_secret), Verification::Refused(_)),
            "{}",
            path.display()
        );
        let mut changed = raw.clone();
        let genuine = changed.headers.get(header).unwrap().to_owned();
        changed.headers.remove(header);
        let last = if genuine.ends_with('0') { '1' } else { '0' };
        changed
            .headers
            .append(header, format!("{}{last}", &genuine[..genuine.len() - 1]));
        assert!(
            matches!(verify(&sender, changed), Verification::Refused(_)),
            "{}",
            path.display()
        );
        // Who signs the body notices a change of it.
        if SIGN_THE_BODY.contains(&sender.as_str()) {
            let mut changed = raw;
            let mut body = changed.body.to_vec();
            body[10] ^= 1;
            changed.body = body.into();
            assert!(
                matches!(verify(&sender, changed), Verification::Refused(_)),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn a_signature_with_a_time_is_good_around_that_time_only() {
    let now_ms = 1_900_000_000_000;
    for (sender, path) in all().into_iter().filter(|(name, _)| name == "slack") {
        let mut raw = read(&path);
        let (_, secret) = SECRETS.iter().find(|(name, _)| *name == sender).unwrap();
        let scheme = registry::scheme(&sender).unwrap();
        let signed = scheme.sign(secret.as_bytes(), &raw.body, now_ms).unwrap();
        assert_eq!(signed.len(), 2, "a signature and its time");
        for (header, value) in signed {
            raw.headers.remove(header);
            raw.headers.append(header, value);
        }
        for seconds in [-301, -300, 0, 300, 301_i64] {
            let verified = verify_at(now_ms + seconds * 1000, &sender, raw.clone());
            match seconds.abs() {
                301 => assert!(
                    matches!(verified, Verification::Refused(Reason::SignatureExpired)),
                    "{seconds}: {verified:?}"
                ),
                _ => assert!(
                    matches!(verified, Verification::Verified(_)),
                    "{seconds}: {verified:?}"
                ),
            }
        }
        // Another time under the same signature is a forgery.
        raw.headers.remove("X-Slack-Request-Timestamp");
        let other = (now_ms / 1000 + 1).to_string();
        raw.headers.append("X-Slack-Request-Timestamp", other);
        let verified = verify_at(now_ms, &sender, raw);
        assert!(
            matches!(verified, Verification::Refused(Reason::SignatureMismatch)),
            "{verified:?}"
        );
    }
}

#[test]
fn a_request_of_another_sender_is_not_mine() {
    for (sender, path) in all() {
        for (other, _) in SECRETS {
            // Whoever shows no name of his own may be Harbor, and is refused.
            if other != sender && sender != "harbor" && other != "harbor" {
                let result = verify(other, read(&path));
                assert!(
                    matches!(result, Verification::NotMine(_)),
                    "{} for {other}",
                    path.display()
                );
            }
        }
    }
}
