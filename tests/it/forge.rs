//! What GitHub's API is asked, and with whose token: answers are canned,
//! because the real one is somebody's cloud.

use std::sync::{Arc, Mutex};

use axum::http::Response;
use bytes::Bytes;
use tripline::catalog::{Loader, SourceFile};
use tripline::intercept::calls::{CallError, Calls, Repository};
use tripline::model::event::{BodyRule, RawEvent};
use tripline::model::headers::Headers;
use tripline::model::secret::SecretValue;
use tripline::model::verdict::Verdict;
use tripline::outbound::{Http, Outgoing, Reach, Sent};
use tripline::pipeline::{Circumstances, consult, judge};
use tripline::secrets::SecretStore;
use tripline::worker::Caller;
use uuid::Uuid;

/// Status, headers and body of an answer.
type Answer = (u16, Vec<(&'static str, &'static str)>, &'static str);

/// Address, token and reach of a request.
type Asked = (String, Option<String>, Reach);

/// GitHub, with an answer for each address; 404 for all others.
struct Canned {
    answers: Vec<(&'static str, Answer)>,
    asked: Mutex<Vec<Asked>>,
}

impl Http for Canned {
    fn send(&self, outgoing: Outgoing) -> Sent<'_> {
        let url = outgoing.request.uri().to_string();
        let token = outgoing.request.headers().get("authorization");
        let token = token.map(|token| token.to_str().unwrap().to_owned());
        let asked = (url.clone(), token, outgoing.reach);
        self.asked.lock().unwrap().push(asked);
        let known = self.answers.iter().find(|(known, _)| *known == url);
        let known = known.map(|(_, answer)| answer.clone());
        let (status, headers, body) = known.unwrap_or((404, vec![], "{}"));
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        let response = response.body(Bytes::from_static(body.as_bytes()));
        Box::pin(async move { Ok(response.unwrap()) })
    }
}

fn caller(answers: Vec<(&'static str, Answer)>) -> (Caller, Arc<Canned>) {
    let canned = Arc::new(Canned {
        answers,
        asked: Mutex::default(),
    });
    let hosts = vec!["listed.example".to_owned()];
    let http: Arc<dyn Http> = canned.clone();
    (Caller::new(http, hosts), canned)
}

fn repository(host: Option<&'static str>, is_proven: bool) -> Repository<'static> {
    Repository {
        host,
        is_proven,
        owner: "acme",
        name: "rocket",
        token: Some(SecretValue::new(b"token-1\n".to_vec())),
    }
}

#[tokio::test]
async fn a_token_goes_only_to_hosts_that_are_listed_or_proved() {
    let bearer = || Some("Bearer token-1".to_owned());
    let enterprise = |host: &str| format!("https://{host}/api/v3/repos/acme/rocket/collaborators");
    for (host, is_proven, expected) in [
        (
            None,
            false,
            Some((
                "https://api.github.com/repos/acme/rocket/collaborators".to_owned(),
                Reach::Configured,
            )),
        ),
        (
            Some("listed.example"),
            false,
            Some((enterprise("listed.example"), Reach::Configured)),
        ),
        (
            Some("LISTED.example"),
            false,
            Some((enterprise("LISTED.example"), Reach::Configured)),
        ),
        (
            Some("signed.example"),
            true,
            Some((enterprise("signed.example"), Reach::Guarded)),
        ),
        (Some("evil.example"), false, None),
    ] {
        let (caller, canned) = caller(vec![]);
        let asked = caller
            .is_collaborator(&repository(host, is_proven), "wile")
            .await;
        let error = asked.unwrap_err();
        let asked = canned.asked.lock().unwrap().clone();
        match expected {
            Some((url, reach)) => assert_eq!(asked, [(url, bearer(), reach)], "{host:?}"),
            None => {
                assert_eq!(asked, [], "{host:?}");
                assert!(error.message.contains("outbound.githubHosts"), "{error}");
                assert!(!error.may_pass);
            }
        }
        assert!(!error.message.contains("token-1"), "{error}");
    }
}

const FILES: &str = "https://api.github.com/repos/acme/rocket/pulls/7/files";

#[tokio::test]
async fn all_pages_of_a_list_are_read() {
    let first: Answer = (
        200,
        vec![(
            "link",
            "<https://api.github.com/x?page=2&per_page=100>; rel=\"next\", <https://api.github.com/x?page=2>; rel=\"last\"",
        )],
        r#"[{"filename": "a"}, {"filename": "b"}]"#,
    );
    let second: Answer = (200, vec![], r#"[{"filename": "c"}]"#);
    let (caller, _) = caller(vec![
        (
            "https://api.github.com/repos/acme/rocket/pulls/7/files?per_page=100",
            first,
        ),
        (
            "https://api.github.com/repos/acme/rocket/pulls/7/files?page=2&per_page=100",
            second,
        ),
    ]);
    let files = caller.changed_files(&repository(None, false), 7).await;
    assert_eq!(files.unwrap(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_list_without_an_end_is_no_list() {
    let endless: Answer = (
        200,
        vec![("link", "<https://api.github.com/x?page=1>; rel=\"next\"")],
        "[]",
    );
    let (caller, canned) = caller(vec![
        (
            "https://api.github.com/repos/acme/rocket/pulls/7/files?per_page=100",
            endless.clone(),
        ),
        (
            "https://api.github.com/repos/acme/rocket/pulls/7/files?page=1&per_page=100",
            endless,
        ),
    ]);
    let files = caller.changed_files(&repository(None, false), 7).await;
    assert!(!files.unwrap_err().may_pass);
    let asked = canned.asked.lock().unwrap();
    assert_eq!(asked.len(), 100);
    assert!(asked.iter().all(|(url, ..)| url.starts_with(FILES)));
}

#[tokio::test]
async fn an_owner_that_is_no_organisation_has_no_members() {
    let (caller, _) = caller(vec![]);
    let member = caller.is_member(&repository(None, false), "wile").await;
    assert_eq!(member, Ok(false));
    let members: Answer = (200, vec![], r#"[{"login": "wile"}, {"login": "bugs"}]"#);
    let (caller, _) = self::caller(vec![(
        "https://api.github.com/orgs/acme/public_members",
        members,
    )]);
    let repository = repository(None, false);
    assert_eq!(caller.is_member(&repository, "bugs").await, Ok(true));
    assert_eq!(caller.is_member(&repository, "Bugs").await, Ok(false));
}

#[tokio::test]
async fn what_github_refuses_for_now_is_asked_again() {
    for (answer, may_pass) in [
        ((403, vec![("x-ratelimit-remaining", "0")], "{}"), true),
        ((403, vec![("retry-after", "30")], "{}"), true),
        ((429, vec![], "{}"), true),
        ((502, vec![], "{}"), true),
        ((401, vec![], "{}"), false),
        ((403, vec![], "{}"), false),
        ((200, vec![], "no list"), false),
    ] {
        let (caller, _) = caller(vec![(
            "https://api.github.com/repos/acme/rocket/collaborators",
            answer.clone(),
        )]);
        let asked = caller
            .is_collaborator(&repository(None, false), "wile")
            .await;
        let CallError { may_pass: is, .. } = asked.unwrap_err();
        assert_eq!(is, may_pass, "{answer:?}");
    }
}

#[tokio::test]
async fn a_file_is_decoded_and_may_be_missing() {
    let file: Answer = (
        200,
        vec![],
        r#"{"encoding": "base64", "content": "YXBwcm92\nZXJzOgo=\n"}"#,
    );
    let (caller, _) = caller(vec![(
        "https://api.github.com/repos/acme/rocket/contents/OWNERS",
        file,
    )]);
    let repository = repository(None, false);
    let found = caller.file(&repository, "OWNERS").await;
    assert_eq!(found, Ok(Some(Bytes::from_static(b"approvers:\n"))));
    assert_eq!(caller.file(&repository, "docs/OWNERS").await, Ok(None));
}

const ASKING: &str = r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: hook}
spec:
  triggerGroups:
  - name: g
    interceptors:
    - ref: {name: github}
      params: [{name: addChangedFiles, value: {enabled: true}}]
    triggerSelector: {labelSelector: {matchLabels: {g: "1"}}}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: Trigger
metadata: {name: t, labels: {g: "1"}, annotations: {tripline.dev/interceptor-failure: continue}}
spec:
  interceptors: [{ref: {name: remote}}]
  template: {spec: {resourcetemplates: []}}
---
apiVersion: triggers.tekton.dev/v1alpha1
kind: ClusterInterceptor
metadata: {name: remote}
spec: {clientConfig: {url: "http://remote.example/"}}
"#;

#[tokio::test]
async fn what_github_says_of_a_pull_request_proves_nobody() {
    for (answer, expected) in [
        ((503, vec![], "{}"), Verdict::Deferred),
        ((200, vec![], r#"{"continue": false}"#), Verdict::Refused),
        ((200, vec![], r#"{"continue": true}"#), Verdict::Matched),
    ] {
        let files = (200, vec![], r#"[{"filename": "a"}]"#);
        let (caller, canned) = caller(vec![
            (
                "https://api.github.com/repos/acme/rocket/pulls/7/files?per_page=100",
                files,
            ),
            ("http://remote.example/", answer),
        ]);
        let file = SourceFile {
            name: "a.yaml".into(),
            text: ASKING.into(),
        };
        let loaded = Loader::default().load(&vec![file].into());
        let listener = loaded.snapshot.only().unwrap();
        let mut headers = Headers::new();
        headers.append("X-GitHub-Event", "pull_request");
        let body = r#"{"number": 7, "repository": {"full_name": "acme/rocket"}}"#;
        let stranger = RawEvent {
            method: "POST".into(),
            url: "/".into(),
            headers,
            body: body.into(),
            rule: BodyRule::default(),
        };
        let secrets = SecretStore::default();
        let circumstances = Circumstances {
            secrets: &secrets,
            fresh: Uuid::now_v7(),
            received_ms: 0,
            explain: false,
            proven: &[],
        };
        let mut accepted = judge(listener, stranger, &circumstances);
        consult(listener, &mut accepted, &circumstances, &caller).await;
        let judgement = &accepted.judgements[0];
        let asked = canned.asked.lock().unwrap().len();
        assert_eq!(judgement.verdict, expected, "{judgement:?}, {asked} asked");
        assert_eq!(asked, 2);
        assert_eq!(judgement.resume, None, "nobody is left to be asked");
    }
}
