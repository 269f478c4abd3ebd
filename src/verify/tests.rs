//! The four results, and the doors to a verified event.

use std::collections::HashMap;

use super::*;
use crate::model::event::BodyRule;
use crate::model::headers::Headers;
use crate::model::ids::ListenerId;

struct Store(HashMap<&'static str, SecretLookup>);

impl Secrets for Store {
    fn find(&self, at: &SecretKeyRef) -> SecretLookup {
        self.0
            .get(at.name.as_str())
            .cloned()
            .unwrap_or(SecretLookup::NoSecret)
    }
}

fn store() -> Store {
    let found = |text: &str| SecretLookup::Found(SecretValue::new(text.as_bytes().to_vec()));
    Store(HashMap::from([
        ("good", found("It's a Secret to Everybody")),
        ("other", found("something else")),
        ("empty", found("")),
        ("keyless", SecretLookup::NoKey),
        ("unsynced", SecretLookup::NotSynced),
    ]))
}

const NOW: i64 = 1_700_000_000_000;

const SIGNED: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

fn request(headers: &[(&str, &str)], body: &'static [u8]) -> RawEvent {
    let mut map = Headers::new();
    for (name, value) in headers {
        map.append(name, *value);
    }
    RawEvent {
        method: "POST".into(),
        url: "/".into(),
        headers: map,
        body: body.into(),
        rule: BodyRule::default(),
    }
}

fn verifier(sender: &str, secrets: &[&str]) -> Verifier {
    let secrets = secrets.iter().map(|name| SecretKeyRef {
        namespace: "default".into(),
        name: (*name).into(),
        key: "token".into(),
    });
    Verifier::new(registry::scheme(sender).unwrap(), secrets.collect())
}

/// A word for each result, with its reason.
fn verify(raw: RawEvent, verifiers: &[Verifier]) -> String {
    let store = store();
    match Arrival::new(raw, &store, NOW).verify(verifiers) {
        Verification::Verified(_) => "verified".into(),
        Verification::Refused(reason) => format!("refused {reason}"),
        Verification::NotMine(reason) => format!("not_mine {reason}"),
        Verification::Deferred(reason, _) => format!("deferred {reason}"),
    }
}

#[test]
fn github_is_verified_by_the_mac_of_the_raw_body() {
    let github = |signature: &str, body: &'static [u8], secrets: &[&str]| {
        let headers = [
            ("X-GitHub-Event", "push"),
            ("X-Hub-Signature-256", signature),
        ];
        verify(request(&headers, body), &[verifier("github", secrets)])
    };
    assert_eq!(github(SIGNED, b"Hello, World!", &["good"]), "verified");
    assert_eq!(
        github(SIGNED, b"Hello, World?", &["good"]),
        "refused signature_mismatch"
    );
    assert_eq!(
        github(SIGNED, b"Hello, World!", &["other"]),
        "refused signature_mismatch"
    );
    for (signature, reason) in [
        ("", "signature_missing"),
        ("sha256=", "signature_missing"),
        (
            "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59",
            "signature_malformed",
        ),
        ("sha256=77", "signature_malformed"),
        (&SIGNED[7..], "signature_malformed"),
    ] {
        let result = github(signature, b"Hello, World!", &["good"]);
        assert_eq!(result, format!("refused {reason}"), "{signature}");
    }
}

#[test]
fn tokens_are_compared_verbatim() {
    for (sender, header, event) in [
        ("gitlab", "X-Gitlab-Token", ("X-Gitlab-Event", "Push Hook")),
        (
            "harbor",
            "Authorization",
            ("Content-Type", "application/json"),
        ),
    ] {
        let with = |token: &str| {
            verify(
                request(&[event, (header, token)], b"{}"),
                &[verifier(sender, &["good"])],
            )
        };
        assert_eq!(with("It's a Secret to Everybody"), "verified");
        assert_eq!(with("It's a Secret to everybody"), "refused token_mismatch");
        assert_eq!(
            with("It's a Secret to Everybody "),
            "refused token_mismatch"
        );
        assert_eq!(with(""), "refused token_missing");
        let without = verify(request(&[event], b"{}"), &[verifier(sender, &["good"])]);
        assert_eq!(without, "refused token_missing");
    }
}

#[test]
fn any_of_several_secrets_verifies() {
    let headers = [("X-GitHub-Event", "push"), ("X-Hub-Signature-256", SIGNED)];
    let with = |secrets: &[&str]| {
        verify(
            request(&headers, b"Hello, World!"),
            &[verifier("github", secrets)],
        )
    };
    assert_eq!(with(&["other", "good"]), "verified");
    assert_eq!(with(&["missing", "good"]), "verified");
    // The missing one might be the right one.
    assert_eq!(with(&["other", "missing"]), "deferred secret_missing");
}

#[test]
fn a_secret_that_cannot_be_used_defers() {
    let headers = [("X-GitHub-Event", "push"), ("X-Hub-Signature-256", SIGNED)];
    for (secret, reason) in [
        ("missing", "secret_missing"),
        ("keyless", "secret_key_missing"),
        ("empty", "secret_empty"),
        ("unsynced", "secrets_not_synced"),
    ] {
        let result = verify(
            request(&headers, b"Hello, World!"),
            &[verifier("github", &[secret])],
        );
        assert_eq!(result, format!("deferred {reason}"));
    }
}

#[test]
fn a_request_of_another_sender_is_not_mine() {
    for (sender, event) in [
        ("github", ("X-Gitlab-Event", "Push Hook")),
        ("gitlab", ("X-GitHub-Event", "push")),
        ("harbor", ("X-GitHub-Event", "push")),
        ("github", ("Content-Type", "application/json")),
    ] {
        let result = verify(request(&[event], b"{}"), &[verifier(sender, &["good"])]);
        assert_eq!(result, "not_mine not_this_sender", "{sender} {event:?}");
    }
}

#[test]
fn a_mac_is_computed_once_for_all_triggers_that_share_the_secret() {
    struct Counting(std::sync::atomic::AtomicUsize);
    impl Secrets for Counting {
        fn find(&self, _: &SecretKeyRef) -> SecretLookup {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            SecretLookup::Found(SecretValue::new(b"It's a Secret to Everybody".to_vec()))
        }
    }
    let counting = Counting(0.into());
    let headers = [("X-GitHub-Event", "push"), ("X-Hub-Signature-256", SIGNED)];
    let mut arrival = Arrival::new(request(&headers, b"Hello, World!"), &counting, NOW);
    for _ in 0..100 {
        let result = arrival.verify(&[verifier("github", &["good"])]);
        assert!(matches!(result, Verification::Verified(_)));
    }
    assert_eq!(counting.0.into_inner(), 1);
}

#[test]
fn what_may_be_recorded_has_no_credentials() {
    let headers = [
        ("X-GitHub-Event", "push"),
        ("X-Hub-Signature-256", SIGNED),
        ("X-Gitlab-Token", "canary"),
        ("authorization", "canary"),
        ("Cookie", "canary"),
    ];
    let event = recall(request(&headers, b"{}"));
    let kept: Vec<_> = recordable(&event, &[])
        .iter()
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(kept, ["X-Github-Event"]);
}

#[test]
fn an_event_of_an_unknown_sender_has_no_delivery_key() {
    let listener = ListenerId {
        namespace: "ci".into(),
        name: "all".into(),
    };
    let anonymous = recall(request(&[("Idempotency-Key", "1")], b"{}"));
    assert_eq!(identify(&listener, &anonymous), None);
    let github = recall(request(
        &[("X-GitHub-Event", "push"), ("X-GitHub-Delivery", "1")],
        b"{}",
    ));
    assert!(!identify(&listener, &github).unwrap().by_hash);
    let harbor = recall(request(&[], br#"{"type":"PUSH_ARTIFACT","event_data":{}}"#));
    assert!(identify(&listener, &harbor).unwrap().by_hash);
}

#[test]
fn what_an_event_has_proved_needs_no_credentials_and_nothing_else_passes() {
    let store = store();
    let proving = verifier("github", &["good"]);
    let proven = [Proven {
        verifier: "github".into(),
        secret: proving.secrets()[0].clone(),
    }];
    let bare = || request(&[("X-GitHub-Event", "push")], b"{}");
    let recalled = |verifier: Verifier| {
        let mut arrival = Arrival::new(bare(), &store, NOW).recalling(&proven);
        matches!(arrival.verify(&[verifier]), Verification::Verified(_))
    };
    assert!(recalled(proving));
    assert!(recalled(verifier("github", &["other", "good"])));
    assert!(!recalled(verifier("github", &["other"])));
    assert!(!recalled(verifier("gitlab", &["good"])));
    let unproven = verify(bare(), &[verifier("github", &["good"])]);
    assert_eq!(unproven, "refused signature_missing");
}
