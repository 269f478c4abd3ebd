//! Events with interceptors elsewhere, performed once more.

use super::*;

async fn replay(gateway: &Gateway, event: EventId, order: Value) -> Value {
    let path = format!("/api/v1/events/{event}/replay");
    let answer = gateway.order(&path, &order).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// What was made so far: the extension that each object has.
async fn made(gateway: &Gateway, count: usize) -> Vec<String> {
    let objects = gateway.wait_for_objects(count).await;
    let extension = |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let object = serde_saphyr::from_str::<Value>(&text).unwrap();
        object["data"]["x"].as_str().unwrap().to_owned()
    };
    let mut made: Vec<String> = objects.iter().map(extension).collect();
    made.sort();
    made
}

fn answers(words: &[&str]) -> Vec<(u16, Value)> {
    let answer = |word| (200, json!({"continue": true, "extensions": {"x": word}}));
    words.iter().map(answer).collect()
}

#[tokio::test]
async fn an_interceptor_is_asked_again_without_credentials_or_not_at_all() {
    let elsewhere = Elsewhere::start(&answers(&["then", "today"])).await;
    let interceptors = format!("{GITHUB}, {{ref: {{name: remote}}}}");
    let files = [
        &trigger(&interceptors, ""),
        PUSH_SECRET,
        &elsewhere.manifest("remote"),
    ];
    let gateway = gateway(&files).await;
    let event = event_of(&gateway.push("/default/hook", "1", BODY).await);
    assert_eq!(ended(&gateway, event).await.0, DeliveryState::Done);
    let recorded = replay(&gateway, event, json!({"asRecorded": true})).await;
    assert_eq!(recorded["triggers"][0]["fires"], true, "{recorded}");
    assert_eq!(made(&gateway, 2).await, ["then", "then"]);
    assert_eq!(elsewhere.asked().len(), 1);
    replay(&gateway, event, json!({})).await;
    assert_eq!(made(&gateway, 3).await, ["then", "then", "today"]);
    let asked = elsewhere.asked();
    let headers = |index: usize| {
        let request: Value = serde_json::from_str(&asked[index].1).unwrap();
        request["header"].clone()
    };
    assert!(headers(0).get("X-Hub-Signature-256").is_some());
    assert!(headers(1).get("X-Hub-Signature-256").is_none());
    assert!(headers(1).get("X-Github-Event").is_some());
}

#[tokio::test]
async fn where_an_interceptor_alone_says_who_sent_it_a_changed_trigger_asks_it() {
    let elsewhere = Elsewhere::start(&answers(&["then", "today"])).await;
    let file = trigger("{ref: {name: remote}}", "");
    let gateway = gateway(&[&file, &elsewhere.manifest("remote")]).await;
    let event = event_of(&gateway.push("/default/hook", "1", BODY).await);
    assert_eq!(made(&gateway, 1).await, ["then"]);
    gateway.write(
        "a.yaml",
        &file.replace("generateName: c-", "generateName: d-"),
    );
    let mut dry = replay(&gateway, event, json!({"dryRun": true})).await;
    while dry["triggers"][0]["recorded"] == true {
        dry = replay(&gateway, event, json!({"dryRun": true})).await;
    }
    // Nobody is asked to find out what would be.
    assert_eq!(dry["triggers"][0]["verdict"], "deferred");
    assert_eq!(dry["triggers"][0]["reason"], "awaits_interceptor");
    assert_eq!(elsewhere.asked().len(), 1);
    let replayed = replay(&gateway, event, json!({})).await;
    assert_eq!(replayed["triggers"][0]["fires"], true, "{replayed}");
    assert_eq!(made(&gateway, 2).await, ["then", "today"]);
    let asked = elsewhere.asked();
    let request: Value = serde_json::from_str(&asked[1].1).unwrap();
    assert_eq!(request["context"]["event_id"], replayed["replay"]);
}
