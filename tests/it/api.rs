//! The admin port's API: what it shows, whom it answers, how it refuses.

use serde_json::{Value, json};

use crate::support::{Gateway, PUSH, PUSH_SECRET, Response, exchange, push_gateway, try_start};

const BODY: &str = r#"{"after":"abc"}"#;

async fn raw(gateway: &Gateway, request: String) -> Response {
    exchange(gateway.app.admin, request.into_bytes()).await
}

fn code(response: &Response) -> (u16, String) {
    let code = response.json()["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (response.status, code)
}

#[tokio::test]
async fn an_event_is_shown_with_all_that_became_of_it() {
    let gateway = push_gateway().await;
    let pushed = gateway.push("/default/hook", "d-1", BODY).await.json();
    gateway
        .ask_until("/api/v1/deliveries?state=done", |answer| {
            answer["items"] != json!([])
        })
        .await;
    let list = gateway
        .ask("/api/v1/events?deliveryId=d-1&sender=github")
        .await
        .json();
    let row = &list["items"][0];
    assert_eq!(row["id"], pushed["eventID"]);
    assert_eq!(
        (&row["listener"], &row["deliveryId"]),
        (&"default/hook".into(), &"d-1".into())
    );
    assert_eq!(list["next"], Value::Null);
    let path = format!("/api/v1/events/{}", row["id"].as_str().unwrap());
    let shown = gateway.ask(&path).await.json();
    let request = &shown["requests"][0];
    assert_eq!(request["proven"][0]["secret"], "default/hook[token]");
    assert_eq!(request["headers"]["X-Github-Event"], json!(["push"]));
    assert_eq!(request["headers"].get("X-Hub-Signature-256"), None);
    assert_eq!(
        (&request["bodyBytes"], request.get("body")),
        (&15.into(), None)
    );
    let delivery = &request["deliveries"][0];
    assert_eq!(
        (&delivery["state"], &delivery["attempts"]),
        (&"done".into(), &1.into())
    );
    assert_eq!(delivery["params"], json!([{"name": "rev", "value": "abc"}]));
    assert_eq!(delivery["manifests"][0]["kind"], "ConfigMap");
    assert_eq!(delivery["attemptsMade"].as_array().unwrap().len(), 1);
    let with_body = gateway.ask(&format!("{path}?body=1")).await.json();
    assert_eq!(with_body["requests"][0]["body"], BODY);
    let one = gateway
        .ask(&format!("/api/v1/deliveries/{}", delivery["id"]))
        .await
        .json();
    assert_eq!(&one, delivery);
}

#[tokio::test]
async fn pages_lead_to_one_another() {
    let gateway = push_gateway().await;
    for delivery in 0..5 {
        gateway
            .push("/default/hook", &delivery.to_string(), BODY)
            .await;
    }
    for list in ["events", "deliveries"] {
        let (mut seen, mut path) = (Vec::new(), format!("/api/v1/{list}?limit=2"));
        loop {
            let page = gateway.ask(&path).await.json();
            seen.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|row| row["id"].clone()),
            );
            let Some(cursor) = page["next"].as_str() else {
                break;
            };
            path = format!("/api/v1/{list}?limit=2&cursor={cursor}");
        }
        seen.dedup();
        assert_eq!(seen.len(), 5, "{list}");
    }
}

#[tokio::test]
async fn what_cannot_be_answered_is_named() {
    let gateway = push_gateway().await;
    let bad = (400, "bad_parameter".to_owned());
    for path in [
        "/api/v1/events?state=gone",
        "/api/v1/events?stat=dead",
        "/api/v1/events?limit=0",
        "/api/v1/events?cursor=made-up",
        "/api/v1/events?from=yesterday",
        "/api/v1/events/7",
        "/api/v1/deliveries/seven",
        "/api/v1/dead-letters?state=dead",
        "/api/v1/waiting?listener=a%2Fb",
    ] {
        let answer = gateway.ask(path).await;
        assert_eq!(code(&answer), bad, "{path}");
    }
    for order in [
        json!({}),
        json!({"events": ["7"]}),
        json!({"evnts": []}),
        json!({"filter": {"stat": "dead"}}),
        json!({"filter": {"state": 7}}),
        json!({"filter": {}, "limit": 101}),
        json!({"filter": {}, "deadLetters": {}}),
    ] {
        let answer = gateway.order("/api/v1/replay", &order).await;
        assert_eq!(code(&answer), bad, "{order}");
    }
    let missing = (404, "not_found".to_owned());
    for path in [
        "/api/v1/nothing",
        "/api/v1/deliveries/99",
        "/api/v1/events/00000000-0000-4000-8000-000000000000",
    ] {
        assert_eq!(code(&gateway.ask(path).await), missing, "{path}");
    }
    let wrong = gateway.ask("/api/v1/replay").await;
    assert_eq!(code(&wrong), (405, "method_not_allowed".into()));
}

#[tokio::test]
async fn a_page_in_a_browser_cannot_post() {
    let gateway = push_gateway().await;
    let post = |headers: &str| {
        format!("POST /api/v1/replay HTTP/1.1\r\n{headers}Content-Length: 2\r\n\r\n{{}}")
    };
    let json = "Content-Type: application/json\r\n";
    let form = "Host: localhost\r\nContent-Type: text/plain\r\n";
    let answer = raw(&gateway, post(form)).await;
    assert_eq!(code(&answer), (415, "unsupported_media_type".into()));
    let other = format!("Host: localhost\r\nOrigin: http://evil.example\r\n{json}");
    let answer = raw(&gateway, post(&other)).await;
    assert_eq!(code(&answer), (403, "forbidden".into()));
    let rebound = format!("Host: evil.example\r\n{json}");
    let answer = raw(&gateway, post(&rebound)).await;
    assert_eq!(code(&answer), (403, "forbidden".into()));
}

#[tokio::test]
async fn where_there_is_a_token_everything_needs_it() {
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "t0ken\n").unwrap();
    let files = [("push.yaml", PUSH), ("s.yaml", PUSH_SECRET)];
    let set = |config: &mut tripline::config::Config| {
        config.admin.token_file = Some(token.path().to_owned());
    };
    let gateway = Gateway::start_with(&files, set).await;
    for path in ["status", "events", "deliveries", "dead-letters", "waiting"] {
        let get = |token: &str| {
            format!(
                "GET /api/v1/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
            )
        };
        let answer = raw(&gateway, get("wrong")).await;
        assert_eq!(code(&answer), (401, "unauthorized".into()), "{path}");
        assert_eq!(raw(&gateway, get("t0ken")).await.status, 200, "{path}");
    }
    for path in [
        "replay",
        "events/x/erase",
        "events/x/replay",
        "deliveries/1/discard",
    ] {
        let answer = gateway.order(&format!("/api/v1/{path}"), &json!({})).await;
        assert_eq!(code(&answer), (401, "unauthorized".into()), "{path}");
    }
}

/// A trigger whose Secret is not there: its events wait, and are given up.
#[tokio::test]
async fn what_nobody_could_decide_on_is_listed_and_can_be_judged_again() {
    let waiting = format!(
        "{}{}",
        PUSH.trim_end(),
        r#"
  - name: late
    interceptors:
    - ref: {name: github}
      params:
      - {name: secretRef, value: {secretName: hook, secretKey: token}}
    template: {ref: missing}
"#
    );
    let files = [("push.yaml", waiting.as_str()), ("s.yaml", PUSH_SECRET)];
    let gateway = Gateway::start_with(&files, |config| {
        config.limits.deferred_time = std::time::Duration::ZERO;
    })
    .await;
    let pushed = gateway.push("/default/hook", "1", BODY).await.json();
    let event = pushed["eventID"].as_str().unwrap();
    // Any change lets it be looked at, and it has waited long enough.
    gateway.write("other.yaml", "");
    gateway.write(
        "s2.yaml",
        &PUSH_SECRET.replace("name: hook", "name: unrelated"),
    );
    let given_up = gateway
        .ask_until("/api/v1/dead-letters", |answer| {
            answer["givenUp"]["items"] != json!([])
        })
        .await;
    let row = &given_up["givenUp"]["items"][0];
    let late = json!(["default/hook#late"]);
    assert_eq!((&row["event"], &row["triggers"]), (&event.into(), &late));
    // Mended, it is judged again and fires.
    let template = r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerTemplate
metadata: {name: missing}
spec:
  resourcetemplates: [{apiVersion: v1, kind: ConfigMap, metadata: {generateName: late-}}]
"#;
    gateway.write("template.yaml", template);
    gateway
        .ask_until("/api/v1/status", |answer| {
            answer["listeners"][0]["triggers"][1]["ready"] == true
        })
        .await;
    let path = format!("/api/v1/events/{event}/replay");
    let dry = gateway.order(&path, &json!({"dryRun": true})).await.json();
    assert_eq!(dry["waitsAgain"], 1);
    let order = json!({"triggers": [], "dryRun": false});
    let answer = gateway.order(&path, &order).await.json();
    assert_eq!(answer["waitsAgain"], 1, "{answer}");
    gateway
        .ask_until(
            "/api/v1/deliveries?trigger=default/hook%23late&state=done",
            |answer| answer["items"] != json!([]),
        )
        .await;
}

#[tokio::test]
async fn what_is_under_way_is_erased_by_force_alone() {
    let gateway = push_gateway().await;
    std::fs::write(gateway.folder.path().join("out"), "a file").unwrap();
    let body = r#"{"after":"personal-canary"}"#;
    let pushed = gateway.push("/default/hook", "1", body).await.json();
    let path = format!("/api/v1/events/{}", pushed["eventID"].as_str().unwrap());
    gateway
        .ask_until("/api/v1/deliveries?state=retrying", |answer| {
            answer["items"] != json!([])
        })
        .await;
    let erase = format!("{path}/erase");
    let refused = gateway.order(&erase, &json!({})).await;
    assert_eq!(code(&refused), (409, "under_way".into()));
    let erased = gateway.order(&erase, &json!({"force": true})).await;
    assert_eq!(
        (erased.status, &erased.json()["requests"]),
        (200, &1.into())
    );
    let shown = gateway.ask(&format!("{path}?body=1")).await;
    assert!(!shown.body.contains("personal-canary"));
    let request = &shown.json()["requests"][0];
    assert!(request["erasedAt"].is_string());
    assert_eq!(request["deliveries"][0]["reason"], "erased");
    for entry in std::fs::read_dir(gateway.folder.path().join("data")).unwrap() {
        let file = entry.unwrap().path();
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(15).any(|window| window == b"personal-canary");
        assert!(!found, "{} holds the payload", file.display());
    }
    // The sender's redelivery makes nothing of it.
    let again = gateway.push("/default/hook", "1", body).await.json();
    assert_eq!(again["duplicate"], true);
}

#[tokio::test]
async fn payloads_are_kept_for_as_long_as_is_set_and_events_for_longer() {
    let gateway = push_gateway().await;
    let pushed = gateway.push("/default/hook", "1", BODY).await.json();
    gateway
        .ask_until("/api/v1/deliveries?state=done", |answer| {
            answer["items"] != json!([])
        })
        .await;
    let Gateway { folder, app } = gateway;
    assert!(app.drain(true).await);
    let set = |config: &mut tripline::config::Config| {
        config.payload_retention = Some(std::time::Duration::ZERO);
    };
    let app = try_start(folder.path(), set).await.unwrap();
    let gateway = Gateway { folder, app };
    let path = format!("/api/v1/events/{}", pushed["eventID"].as_str().unwrap());
    let shown = gateway
        .ask_until(&path, |answer| {
            answer["requests"][0]["erasedAt"].is_string()
        })
        .await;
    let request = &shown["requests"][0];
    assert_eq!(request["bodyBytes"], 0);
    assert_eq!(request["deliveries"][0]["state"], "done");
}
