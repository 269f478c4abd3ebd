//! Recorded requests of every sender: genuine ones are taken, and a changed
//! byte is not.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use tripline::model::event::{BodyRule, RawEvent};
use tripline::model::headers::Headers;
use tripline::model::ids::ListenerId;
use tripline::model::secret::{SecretKeyRef, SecretLookup, SecretValue, Secrets};
use tripline::verify::{Arrival, Verification, Verifier, identify, registry};

/// What the fixtures are signed with; `tests/fixtures/README.md` says so too.
pub(crate) const SECRETS: [(&str, &str); 3] = [
    ("github", "tripline-demo-github-secret"),
    ("gitlab", "tripline-demo-gitlab-token"),
    ("harbor", "Bearer tripline-demo-harbor-token"),
];

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
    assert!(all.len() >= 17, "the fixtures are found");
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

fn verify(sender: &str, raw: RawEvent) -> Verification {
    let secret = SecretKeyRef {
        namespace: "default".into(),
        name: sender.into(),
        key: "k".into(),
    };
    let verifier = Verifier::new(registry::scheme(sender).unwrap(), vec![secret]);
    Arrival::new(raw, &Known, 0).verify(&[verifier])
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
        let signed = scheme.sign(b"another secret", &raw.body, 0);
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
        if sender == "github" {
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
