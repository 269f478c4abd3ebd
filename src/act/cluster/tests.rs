//! What is asked of an API server, and what is made of its answers. A service
//! in this process stands for it.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use kube::client::Body;
use serde_json::json;
use tower::{BoxError, service_fn};

use super::*;
use crate::act::Patience;

const ACTOR: Actor<'_> = Actor {
    namespace: "ci",
    account: "runner",
};

/// An answer: a status, headers and a body; or none at all.
type Answer = Result<(u16, Vec<(&'static str, &'static str)>, String), io::ErrorKind>;

/// A cluster that answers what it is told to, in order, and what it was asked.
fn cluster(answers: Vec<Answer>) -> (Cluster, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (noted, answers) = (
        Arc::clone(&asked),
        Arc::new(Mutex::new(VecDeque::from(answers))),
    );
    let service = service_fn(move |request: Request<Body>| {
        let line = format!("{} {}", request.method(), request.uri());
        let answer = match request.uri().path() {
            "/api/v1" => ok(json!({
                "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1",
                "resources": [{
                    "name": "configmaps", "singularName": "configmap", "namespaced": true,
                    "kind": "ConfigMap", "verbs": ["create"],
                }],
            })),
            _ => {
                let user = request.headers().get("Impersonate-User");
                let user = user.map_or("the gateway", |user| user.to_str().unwrap());
                noted.lock().unwrap().push(format!("{user}: {line}"));
                answers.lock().unwrap().pop_front().expect("an answer")
            }
        };
        async move {
            let (status, headers, body) =
                answer.map_err(|kind| BoxError::from(io::Error::from(kind)))?;
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok::<_, BoxError>(response.body(Body::from(body.into_bytes())).unwrap())
        }
    });
    (Cluster::new(Client::new(service, "ci")), asked)
}

fn ok(body: Value) -> Answer {
    Ok((200, vec![], body.to_string()))
}

fn refused(code: u16, reason: &str) -> Answer {
    let status = json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason});
    Ok((code, vec![], status.to_string()))
}

fn manifest(event: &str) -> Manifest {
    Manifest(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "a", "namespace": "ci",
            "annotations": {
                "tripline.dev/event-id": event,
                "tripline.dev/trigger": "ci/t",
                "tripline.dev/index": "0",
            },
        },
    }))
}

/// What a watch tells: one line for each event.
fn told(events: &[(&str, &Manifest)]) -> Answer {
    let lines = events.iter().map(|(kind, object)| {
        let event = json!({"type": kind, "object": object.0});
        format!("{event}\n")
    });
    Ok((200, vec![], lines.collect()))
}

const LOOKED: &str = "system:serviceaccount:ci:runner: GET /api/v1/namespaces/ci/configmaps/a";
const WATCHED: &str = "system:serviceaccount:ci:runner: GET /api/v1/namespaces/ci/configmaps\
    ?&watch=true&timeoutSeconds=2&fieldSelector=metadata.name%3Da&resourceVersion=7";
const POSTED: &str =
    "system:serviceaccount:ci:runner: POST /api/v1/namespaces/ci/configmaps?&fieldManager=tripline";

#[tokio::test]
async fn a_first_attempt_asks_for_nothing_but_the_object() {
    let (cluster, asked) = cluster(vec![ok(manifest("1").0)]);
    let effect = cluster.perform(&manifest("1"), ACTOR).await.unwrap();
    assert_eq!(effect, Effect::Created("ci/ConfigMap/a".into()));
    assert_eq!(*asked.lock().unwrap(), [POSTED]);
}

#[tokio::test]
async fn what_is_there_is_not_made_again() {
    let (cluster, asked) = cluster(vec![ok(manifest("1").0)]);
    let mine = manifest("1");
    let again = cluster.perform_again(&mine, ACTOR, Some("7"));
    assert!(matches!(again.await, Ok(Effect::AlreadyThere(_))));
    assert_eq!(*asked.lock().unwrap(), [LOOKED]);
}

#[tokio::test]
async fn what_was_made_and_deleted_is_not_made_again() {
    let mine = manifest("1");
    for history in [
        told(&[("ADDED", &mine), ("DELETED", &mine)]),
        told(&[("DELETED", &mine)]),
    ] {
        let (cluster, asked) = cluster(vec![refused(404, "NotFound"), history]);
        let again = cluster.perform_again(&mine, ACTOR, Some("7")).await;
        assert_eq!(again.unwrap(), Effect::Gone("ci/ConfigMap/a".into()));
        assert_eq!(*asked.lock().unwrap(), [LOOKED, WATCHED]);
    }
}

#[tokio::test]
async fn what_nobody_can_say_has_been_there_is_made() {
    let (mine, other) = (manifest("1"), manifest("2"));
    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old"}});
    for history in [
        told(&[]),
        told(&[("ADDED", &other), ("DELETED", &other)]),
        refused(403, "Forbidden"),
        refused(410, "Expired"),
        Ok((200, vec![], format!("{gone}\n"))),
        Err(io::ErrorKind::ConnectionReset),
    ] {
        let answers = vec![refused(404, "NotFound"), history, ok(mine.0.clone())];
        let (cluster, asked) = cluster(answers);
        let again = cluster.perform_again(&mine, ACTOR, Some("7")).await;
        assert_eq!(again.unwrap(), Effect::Created("ci/ConfigMap/a".into()));
        assert_eq!(*asked.lock().unwrap(), [LOOKED, WATCHED, POSTED]);
    }
    // From no moment at all nothing can be looked up.
    let (cluster, asked) = cluster(vec![refused(404, "NotFound"), ok(mine.0.clone())]);
    cluster.perform_again(&mine, ACTOR, None).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), [LOOKED, POSTED]);
}

#[tokio::test]
async fn who_cannot_look_does_not_forget_that_he_has_to() {
    for (answer, expected) in [
        (refused(503, "ServiceUnavailable"), Reason::OutcomeUnknown),
        (refused(429, "TooManyRequests"), Reason::OutcomeUnknown),
        (
            Err(io::ErrorKind::ConnectionRefused),
            Reason::OutcomeUnknown,
        ),
    ] {
        let (cluster, _) = cluster(vec![answer]);
        let mine = manifest("1");
        let again = cluster.perform_again(&mine, ACTOR, Some("7"));
        let error = again.await.unwrap_err();
        assert_eq!(error.reason(), expected, "{error}");
        assert_eq!(error.patience(), Patience::Long);
    }
}

#[tokio::test]
async fn a_request_is_made_once_and_says_when_to_come_again() {
    for (answer, reason, wait) in [
        (
            Ok((
                429,
                vec![("Retry-After", "7")],
                "Too many requests".to_owned(),
            )),
            Reason::ApiUnavailable,
            Some(7),
        ),
        (
            Ok((503, vec![("Retry-After", "3")], String::new())),
            Reason::OutcomeUnknown,
            Some(3),
        ),
        (refused(500, "InternalError"), Reason::OutcomeUnknown, None),
        (
            Err(io::ErrorKind::ConnectionReset),
            Reason::OutcomeUnknown,
            None,
        ),
    ] {
        let (cluster, asked) = cluster(vec![answer]);
        let error = cluster.perform(&manifest("1"), ACTOR).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        assert_eq!(error.retry_after(), wait.map(Duration::from_secs));
        assert_eq!(*asked.lock().unwrap(), [POSTED]);
    }
}

#[tokio::test]
async fn what_was_there_a_moment_ago_may_have_been_its_own() {
    let answers = vec![refused(409, "AlreadyExists"), refused(404, "NotFound")];
    let (cluster, _) = cluster(answers);
    let error = cluster.perform(&manifest("1"), ACTOR).await.unwrap_err();
    assert_eq!(error.reason(), Reason::OutcomeUnknown, "{error}");
}

#[tokio::test]
async fn a_moment_is_asked_for_once_in_a_while_by_the_gateway_itself() {
    let list = json!({"metadata": {"resourceVersion": "41"}, "items": []});
    let (cluster, asked) = cluster(vec![ok(list)]);
    let moments = futures_util::future::join_all((0..9).map(|_| cluster.moment())).await;
    assert!(moments.iter().all(|moment| moment.as_deref() == Some("41")));
    assert_eq!(
        *asked.lock().unwrap(),
        ["the gateway: GET /apis/triggers.tekton.dev/v1beta1/eventlisteners?limit=1"]
    );
}

#[tokio::test]
async fn where_the_gateway_may_not_ask_what_it_made_last_is_a_moment() {
    let mut made = manifest("1").0;
    made["metadata"]["resourceVersion"] = "43".into();
    let (cluster, _) = cluster(vec![refused(403, "Forbidden"), ok(made)]);
    assert_eq!(cluster.moment().await, None);
    cluster.perform(&manifest("1"), ACTOR).await.unwrap();
    assert_eq!(cluster.moment().await.as_deref(), Some("43"));
}

#[test]
fn a_fixed_name_beside_a_prefix_is_not_taken_for_a_derived_one() {
    let derived = |prefix: &str, name: &str| {
        let metadata = json!({"generateName": prefix, "name": name});
        is_derived(&Manifest(json!({ "metadata": metadata })))
    };
    assert!(derived("build-", "build-lfzswg3juacx"));
    assert!(derived("a-prefix-that-was-cut", "a-prefix-lfzswg3juacx"));
    for fixed in [
        "build",
        "release",
        "build-LFZSWG3JUACX",
        "other-lfzswg3juacx",
    ] {
        assert!(!derived("build-", fixed), "{fixed}");
    }
    assert!(!is_derived(&Manifest(
        json!({"metadata": {"name": "build-lfzswg3juacx"}})
    )));
}
