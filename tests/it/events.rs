//! `tripline events` against a running gateway.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{Gateway, push_gateway};

const BODY: &str = r#"{"after":"abc"}"#;

fn events(gateway: &Gateway, arguments: &[&str]) -> Output {
    let admin = format!("http://{}", gateway.app.admin);
    run(&[&["--admin", &admin], arguments].concat())
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tripline"))
        .arg("events")
        .args(arguments)
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A gateway that has performed two pushes; their ids.
async fn with_events() -> (Gateway, Vec<String>) {
    let gateway = push_gateway().await;
    let mut ids = Vec::new();
    for delivery in ["d-1", "d-2"] {
        let answer = gateway.push("/default/hook", delivery, BODY).await.json();
        ids.push(answer["eventID"].as_str().unwrap().to_owned());
    }
    let done = |answer: &Value| answer["items"].as_array().unwrap().len() == 2;
    gateway
        .ask_until("/api/v1/deliveries?state=done", done)
        .await;
    (gateway, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_listed_and_shown() {
    let (gateway, ids) = with_events().await;
    let listed = events(&gateway, &["list", "--since", "1h", "--state", "done"]);
    let text = out(&listed);
    assert!(listed.status.success(), "{}", err(&listed));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("RECEIVED"), "{text}");
    assert!(
        lines[1].contains(&ids[1]) && lines[2].contains(&ids[0]),
        "{text}"
    );
    assert!(lines[1].ends_with("default/hook#push  done"), "{text}");

    let one = events(&gateway, &["list", "--delivery-id", "d-1", "-o", "json"]);
    let answer: Value = serde_json::from_str(&out(&one)).unwrap();
    assert_eq!(answer["items"][0]["id"], ids[0].as_str());
    assert_eq!(answer["items"].as_array().unwrap().len(), 1);

    let shown = out(&events(&gateway, &["show", &ids[0], "--body"]));
    for part in [
        "d-1",
        "default/hook[token]",
        BODY,
        "param rev = \"abc\"",
        "makes ConfigMap push-",
    ] {
        assert!(shown.contains(part), "`{part}` is not in {shown}");
    }
    let again = gateway.push("/default/hook", "d-1", BODY).await.json();
    assert_eq!(again["duplicate"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_replayed_by_id_by_filter_and_dry() {
    let (gateway, ids) = with_events().await;
    let dry = events(&gateway, &["replay", &ids[0], "--dry-run"]);
    assert!(
        out(&dry).contains("default/hook#push: fires, matched"),
        "{dry:?}"
    );
    assert!(err(&dry).contains("1 event would be replayed"), "{dry:?}");
    gateway.wait_for_objects(2).await;
    let one = events(&gateway, &["replay", &ids[0], "--as-recorded"]);
    assert_eq!(one.status.code(), Some(0), "{one:?}");
    gateway.wait_for_objects(3).await;
    // The rest of what the filter means.
    let rest = events(
        &gateway,
        &["replay", "--listener", "default/hook", "--limit", "1000"],
    );
    assert_eq!(rest.status.code(), Some(0), "{rest:?}");
    assert!(
        err(&rest).contains("1 event replayed, 2 left out"),
        "{}",
        err(&rest)
    );
    gateway.wait_for_objects(4).await;
    let unknown = "00000000-0000-4000-8000-000000000000";
    let none = events(&gateway, &["replay", unknown, &ids[1]]);
    assert_eq!(none.status.code(), Some(1));
    assert!(err(&none).contains("there is no event 0000"), "{none:?}");
    gateway.wait_for_objects(5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_erased() {
    let (gateway, ids) = with_events().await;
    let erased = events(&gateway, &["erase", &ids[0]]);
    assert!(erased.status.success(), "{erased:?}");
    let shown = out(&events(&gateway, &["show", &ids[0], "--body"]));
    assert!(
        shown.contains("erased") && !shown.contains("abc"),
        "{shown}"
    );
    let replayed = events(&gateway, &["replay", &ids[0]]);
    assert_eq!(replayed.status.code(), Some(1));
    assert!(err(&replayed).contains("was erased"), "{replayed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_understood_or_asked_has_a_status_of_its_own() {
    let gateway = push_gateway().await;
    let state = events(&gateway, &["list", "--state", "gone"]);
    assert_eq!(state.status.code(), Some(2));
    assert!(
        err(&state).contains("state: `gone` is no state"),
        "{state:?}"
    );
    let nothing = events(&gateway, &["replay"]);
    assert!(err(&nothing).contains("say which"), "{nothing:?}");
    let missing = events(&gateway, &["show", "99"]);
    assert_eq!(missing.status.code(), Some(1));
    // Nobody listens on a port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let nobody = run(&["list", "--admin", &address]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(
        err(&nobody).contains("no gateway answers on http://"),
        "{nobody:?}"
    );
    let ingress = gateway.app.ingress.to_string();
    let other = run(&["list", "--admin", &ingress]);
    assert!(err(&other).contains("is it another port?"), "{other:?}");
}
