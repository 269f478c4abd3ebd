//! Events that are performed once more.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Gateway, PUSH, PUSH_SECRET, push_gateway, wait_until};

const BODY: &str = r#"{"after":"abc"}"#;

/// Pushes once; the event's id.
async fn pushed(gateway: &Gateway, delivery: &str) -> String {
    let answer = gateway.push("/default/hook", delivery, BODY).await.json();
    answer["eventID"].as_str().unwrap().to_owned()
}

async fn replay(gateway: &Gateway, event: &str, order: Value) -> Value {
    let path = format!("/api/v1/events/{event}/replay");
    let answer = gateway.order(&path, &order).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Waits until no delivery is under way.
async fn quiet(gateway: &Gateway) {
    let path = "/api/v1/deliveries?state=pending,running,retrying";
    gateway
        .ask_until(path, |answer| answer["items"] == json!([]))
        .await;
}

#[tokio::test]
async fn a_replay_is_an_event_of_its_own_with_names_of_its_own() {
    let gateway = push_gateway().await;
    let event = pushed(&gateway, "1").await;
    gateway.wait_for_objects(1).await;
    quiet(&gateway).await;
    let replayed = replay(&gateway, &event, json!({})).await;
    let row = &replayed["triggers"][0];
    assert_eq!(
        (&row["fires"], &row["verdict"]),
        (&true.into(), &"matched".into())
    );
    let objects = gateway.wait_for_objects(2).await;
    let names: BTreeSet<_> = objects.iter().filter_map(|path| path.file_name()).collect();
    assert_eq!(names.len(), 2);
    let new = replayed["replay"].as_str().unwrap();
    assert_ne!(new, event);
    let shown = gateway.ask(&format!("/api/v1/events/{new}")).await.json();
    assert_eq!(shown["requests"][0]["replayOf"], event.as_str());
    let first = gateway.ask(&format!("/api/v1/events/{event}")).await.json();
    assert_eq!(first["replays"], json!([new]));
    // The sender's redelivery is still known for what it is.
    let again = gateway.push("/default/hook", "1", BODY).await.json();
    assert_eq!(
        (&again["duplicate"], &again["eventID"]),
        (&true.into(), &event.into())
    );
}

#[tokio::test]
async fn a_dry_run_says_what_would_fire_and_writes_nothing() {
    let gateway = push_gateway().await;
    let event = pushed(&gateway, "1").await;
    quiet(&gateway).await;
    let said = replay(&gateway, &event, json!({"dryRun": true})).await;
    assert_eq!(said["triggers"][0]["fires"], true);
    assert_eq!(said["replay"], Value::Null);
    let events = gateway.ask("/api/v1/events").await.json();
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
    assert_eq!(gateway.objects().len(), 1);
}

/// The push trigger, and another one with what differs.
fn with_another(other: &str) -> String {
    let own = PUSH.split_once("  - name: push").unwrap().1;
    format!(
        "{PUSH}  - name: other{}",
        own.replace("generateName: push-", other)
    )
}

#[tokio::test]
async fn today_s_triggers_judge_it_by_what_it_had_proved() {
    let gateway = push_gateway().await;
    let event = pushed(&gateway, "1").await;
    quiet(&gateway).await;
    // A new trigger with the same secret, and one whose secret nobody has seen.
    let same = with_another("generateName: other-");
    let foreign = same
        .split_once("  - name: other")
        .unwrap()
        .1
        .replace("secretName: hook", "secretName: foreign")
        .replace("rev: $(tt", "foreign: $(tt");
    gateway.write("push.yaml", &format!("{same}  - name: foreign{foreign}"));
    gateway.write(
        "foreign.yaml",
        &PUSH_SECRET
            .replace("name: hook", "name: foreign")
            .replace("a secret", "another secret"),
    );
    let status = |answer: &Value| {
        let triggers = answer["listeners"][0]["triggers"].as_array();
        triggers.is_some_and(|triggers| triggers.len() == 3)
    };
    gateway.ask_until("/api/v1/status", status).await;
    let replayed = replay(&gateway, &event, json!({})).await;
    let rows = replayed["triggers"].as_array().unwrap();
    let row = |name: &str| {
        let id = format!("default/hook#{name}");
        rows.iter()
            .find(|row| row["trigger"] == id.as_str())
            .unwrap()
    };
    assert_eq!(row("push")["fires"], true);
    assert_eq!(row("push")["recorded"], true);
    assert_eq!(row("other")["fires"], true, "{replayed}");
    assert_eq!(row("other")["recorded"], false);
    assert_eq!(row("foreign")["fires"], false);
    assert_eq!(row("foreign")["verdict"], "refused");
    let detail = row("foreign")["detail"].as_str().unwrap();
    assert!(detail.contains("credentials are not recorded"), "{detail}");
    gateway.wait_for_objects(3).await;
}

#[tokio::test]
async fn as_recorded_is_what_the_trigger_was_then() {
    let gateway = push_gateway().await;
    let event = pushed(&gateway, "1").await;
    quiet(&gateway).await;
    // From now on it wants something else and makes something else.
    let changed = PUSH
        .replace("value: [push]", "value: [release]")
        .replace("generateName: push-", "generateName: changed-");
    gateway.write("push.yaml", &changed);
    let before = gateway.ask(&format!("/api/v1/events/{event}")).await.json();
    let revision = &before["requests"][0]["deliveries"][0]["revision"];
    gateway
        .ask_until("/api/v1/status", |answer| {
            answer["listeners"][0]["triggers"][0]["revision"] != *revision
        })
        .await;
    let today = replay(&gateway, &event, json!({})).await;
    assert_eq!(today["triggers"][0]["verdict"], "filtered");
    assert_eq!(today["triggers"][0]["reason"], "event_not_listed");
    assert_eq!(today["replay"], Value::Null);
    let then = replay(&gateway, &event, json!({"asRecorded": true})).await;
    assert_eq!(then["triggers"][0]["fires"], true, "{then}");
    let objects = gateway.wait_for_objects(2).await;
    let is_of_then = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("push-")
    };
    assert!(objects.iter().all(is_of_then), "{objects:?}");
    // A trigger that was taken away is not performed as it was either.
    let gone = changed.replace("- name: push", "- name: another");
    gateway.write("push.yaml", &gone);
    gateway
        .ask_until("/api/v1/status", |answer| {
            answer["listeners"][0]["triggers"][0]["id"] == "default/hook#another"
        })
        .await;
    let gone = replay(&gateway, &event, json!({"asRecorded": true})).await;
    assert_eq!(gone["triggers"][0]["reason"], "trigger_missing");
    assert_eq!(gone["triggers"][0]["fires"], false);
}

/// A trigger whose only proof is a comparison in an expression.
const COMPARING: &str = r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: hook}
spec:
  triggers:
  - name: cel
    interceptors:
    - ref: {name: cel}
      params: [{name: filter, value: "header.canonical('X-Token').compareSecret('token', 'hook')"}]
    template:
      spec:
        resourcetemplates: [{apiVersion: v1, kind: ConfigMap, metadata: {generateName: c-}}]
"#;

#[tokio::test]
async fn a_comparison_that_has_held_holds_while_its_trigger_is_the_same() {
    let files = [("t.yaml", COMPARING), ("s.yaml", PUSH_SECRET)];
    let gateway = Gateway::start(&files).await;
    let token = [("X-Token", "a secret of tests")];
    let answer = gateway.post("/default/hook", &token, b"{}").await.json();
    let event = answer["eventID"].as_str().unwrap().to_owned();
    quiet(&gateway).await;
    let same = replay(&gateway, &event, json!({"dryRun": true})).await;
    assert_eq!(same["triggers"][0]["fires"], true, "{same}");
    gateway.write(
        "t.yaml",
        &COMPARING.replace("generateName: c-", "generateName: d-"),
    );
    let changed = async |order| replay(&gateway, &event, order).await["triggers"][0].clone();
    let mut row = changed(json!({"dryRun": true})).await;
    while row["recorded"] == true {
        row = changed(json!({"dryRun": true})).await;
    }
    assert_eq!(row["reason"], "secret_comparison_false");
    assert!(row["detail"].as_str().unwrap().contains("as recorded"));
    let row = changed(json!({"dryRun": true, "asRecorded": true})).await;
    assert_eq!(row["fires"], true);
}

/// Lets a delivery die: its fixed name is somebody else's.
const TAKEN: &str = "metadata: {name: taken}";

async fn with_dead_letter() -> (Gateway, String) {
    let taken = PUSH.replace("metadata: {generateName: push-}", TAKEN);
    let gateway = Gateway::start(&[("push.yaml", &taken), ("s.yaml", PUSH_SECRET)]).await;
    pushed(&gateway, "1").await;
    gateway.wait_for_objects(1).await;
    let event = pushed(&gateway, "2").await;
    let dead = gateway
        .ask_until("/api/v1/dead-letters", |answer| {
            answer["items"] != json!([])
        })
        .await;
    assert_eq!(dead["items"][0]["event"], event.as_str());
    assert_eq!(dead["items"][0]["reason"], "name_taken");
    (gateway, event)
}

#[tokio::test]
async fn a_dead_letter_that_was_replayed_is_settled_and_keeps_its_reason() {
    let (gateway, event) = with_dead_letter().await;
    let before = gateway.ask("/api/v1/status").await.json();
    let revision = |answer: &Value| answer["listeners"][0]["triggers"][0]["revision"].clone();
    gateway.write("push.yaml", PUSH);
    gateway
        .ask_until("/api/v1/status", |answer| {
            revision(answer) != revision(&before)
        })
        .await;
    // The mended trigger performs it.
    let order = json!({"deadLetters": {"reason": "name_taken"}});
    let answer = gateway.order("/api/v1/replay", &order).await.json();
    assert_eq!(answer["results"][0]["event"], event.as_str(), "{answer}");
    let open = gateway.ask("/api/v1/dead-letters").await.json();
    let still = open["items"].as_array().unwrap().iter();
    assert!(
        still
            .map(|row| &row["event"])
            .all(|id| *id != event.as_str()),
        "{open}"
    );
    let all = gateway.ask("/api/v1/dead-letters?replayed=1").await.json();
    let rows = all["items"].as_array().unwrap();
    let row = rows
        .iter()
        .find(|row| row["event"] == event.as_str())
        .unwrap();
    assert_eq!(row["replayedBy"], answer["results"][0]["replay"]);
    assert_eq!(row["reason"], "name_taken");
    gateway.wait_for_objects(2).await;
}

#[tokio::test]
async fn a_dead_letter_can_be_put_away() {
    let (gateway, _) = with_dead_letter().await;
    let dead = gateway.ask("/api/v1/dead-letters").await.json();
    let id = &dead["items"][0]["id"];
    let path = format!("/api/v1/deliveries/{id}/discard");
    assert_eq!(gateway.order(&path, &json!({})).await.status, 200);
    let left = gateway.ask("/api/v1/dead-letters").await.json();
    assert_eq!(left["items"], json!([]));
    let shown = gateway
        .ask(&format!("/api/v1/deliveries/{id}"))
        .await
        .json();
    assert_eq!(
        (&shown["state"], &shown["reason"]),
        (&"cancelled".into(), &"discarded".into())
    );
    let again = gateway.order(&path, &json!({})).await;
    assert_eq!(
        (again.status, &again.json()["error"]["code"]),
        (409, &"wrong_state".into())
    );
}

#[tokio::test]
async fn a_filter_replays_each_event_once_and_no_replay() {
    let gateway = push_gateway().await;
    for delivery in ["1", "2", "3"] {
        pushed(&gateway, delivery).await;
    }
    gateway.wait_for_objects(3).await;
    quiet(&gateway).await;
    let mut order = json!({"filter": {"trigger": "default/hook#push"}, "limit": 2});
    let mut replayed = 0;
    // As whoever was broken off goes on.
    for _ in 0..2 {
        loop {
            let answer = gateway.order("/api/v1/replay", &order).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let answer = answer.json();
            replayed += answer["results"].as_array().unwrap().len();
            if answer["next"].is_null() {
                break;
            }
            order["cursor"] = answer["next"].clone();
        }
        order = json!({"filter": {"trigger": "default/hook#push"}});
    }
    assert_eq!(replayed, 3);
    gateway.wait_for_objects(6).await;
}

#[tokio::test]
async fn what_cannot_be_replayed_says_why() {
    let gateway = push_gateway().await;
    let unknown = "00000000-0000-4000-8000-000000000000";
    let answer = gateway
        .order(&format!("/api/v1/events/{unknown}/replay"), &json!({}))
        .await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (404, &"not_found".into())
    );
    let event = pushed(&gateway, "1").await;
    quiet(&gateway).await;
    let erase = format!("/api/v1/events/{event}/erase");
    assert_eq!(gateway.order(&erase, &json!({})).await.status, 200);
    let answer = gateway
        .order(&format!("/api/v1/events/{event}/replay"), &json!({}))
        .await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (409, &"erased".into())
    );
    // Among others it does not keep those from being replayed.
    let other = pushed(&gateway, "2").await;
    quiet(&gateway).await;
    let order = json!({"events": [event, other]});
    let answer = gateway.order("/api/v1/replay", &order).await.json();
    assert_eq!(answer["results"][0]["error"]["code"], "erased");
    assert_eq!(answer["results"][1]["triggers"][0]["fires"], true);
    wait_until(|| gateway.objects().len() == 3, "the replayed object").await;
}

#[tokio::test]
async fn what_is_under_way_is_not_replayed() {
    let gateway = push_gateway().await;
    // The sink's folder cannot be made, so that deliveries are retried.
    std::fs::write(gateway.folder.path().join("out"), "a file").unwrap();
    let event = pushed(&gateway, "1").await;
    let path = "/api/v1/deliveries?state=retrying";
    let retrying = gateway
        .ask_until(path, |answer| answer["items"] != json!([]))
        .await;
    let said = replay(&gateway, &event, json!({})).await;
    assert_eq!(said["triggers"][0]["fires"], false);
    assert_eq!(said["replay"], Value::Null);
    // It can be tried at once when that is mended.
    std::fs::remove_file(gateway.folder.path().join("out")).unwrap();
    let id = &retrying["items"][0]["id"];
    let hurried = gateway
        .order(&format!("/api/v1/deliveries/{id}/retry"), &json!({}))
        .await;
    assert!(matches!(hurried.status, 200 | 409), "{hurried:?}");
    gateway.wait_for_objects(1).await;
}
