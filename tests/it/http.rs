//! What a sender is told, over a socket.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use crate::support::{
    Gateway, PUSH, PUSH_SECRET, SECRET, connect, exchange, github_signature, push_gateway,
    read_response,
};

const BODY: &str = r#"{"after":"abc"}"#;

#[tokio::test]
async fn a_signed_push_becomes_an_object() {
    let gateway = push_gateway().await;
    let response = gateway.push("/default/hook", "1", BODY).await;
    assert_eq!(response.status, 202);
    let answer = response.json();
    assert_eq!(answer["eventListener"], "hook");
    assert_eq!(answer["namespace"], "default");
    assert_eq!(answer["eventListenerUID"], "");
    assert_eq!(
        answer["triggers"],
        serde_json::json!([{"name": "push", "verdict": "matched"}])
    );
    let objects = gateway.wait_for_objects(1).await;
    let text = std::fs::read_to_string(&objects[0]).unwrap();
    assert!(text.contains("rev: abc"), "{text}");
    assert!(text.contains(answer["eventID"].as_str().unwrap()), "{text}");
}

#[tokio::test]
async fn one_changed_byte_is_refused_and_strangers_learn_nothing() {
    let gateway = push_gateway().await;
    let signature = github_signature(SECRET, BODY.as_bytes());
    let headers = [
        ("X-GitHub-Event", "push"),
        ("X-Hub-Signature-256", signature.as_str()),
    ];
    let response = gateway
        .post("/default/hook", &headers, br#"{"after":"abd"}"#)
        .await;
    assert_eq!(response.status, 401);
    let answer = response.json();
    assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
    assert!(answer["eventID"].is_string());
    assert!(gateway.objects().is_empty());
}

#[tokio::test]
async fn a_filtered_event_and_a_ping_are_accepted() {
    let gateway = push_gateway().await;
    for (event, reason) in [("issues", "event_not_listed"), ("ping", "ping")] {
        let signature = github_signature(SECRET, BODY.as_bytes());
        let headers = [
            ("X-GitHub-Event", event),
            ("X-Hub-Signature-256", signature.as_str()),
        ];
        let response = gateway
            .post("/default/hook", &headers, BODY.as_bytes())
            .await;
        assert_eq!(response.status, 202);
        assert_eq!(response.verdict(), "filtered");
        assert_eq!(response.json()["triggers"][0]["reason"], reason);
    }
    assert!(gateway.objects().is_empty());
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_a_bad_request_for_a_known_sender_only() {
    let gateway = push_gateway().await;
    for (body, reason) in [
        ("hello", "body_not_json"),
        ("[1]", "body_not_object"),
        ("", "body_empty"),
    ] {
        let response = gateway.push("/default/hook", "1", body).await;
        assert_eq!(response.status, 400, "{body}");
        assert_eq!(response.json()["reason"], reason);
        assert!(response.json()["errorMessage"].is_string());
    }
    let stranger = gateway
        .post("/default/hook", &[("X-GitHub-Event", "push")], b"hello")
        .await;
    assert_eq!(stranger.status, 401);
}

#[tokio::test]
async fn a_form_with_a_payload_is_a_push_too() {
    let gateway = push_gateway().await;
    let body = "payload=%7B%22after%22%3A%22form%22%7D";
    let signature = github_signature(SECRET, body.as_bytes());
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("X-GitHub-Event", "push"),
        ("X-Hub-Signature-256", signature.as_str()),
    ];
    let response = gateway
        .post("/default/hook", &headers, body.as_bytes())
        .await;
    assert_eq!(response.verdict(), "matched");
    let objects = gateway.wait_for_objects(1).await;
    assert!(
        std::fs::read_to_string(&objects[0])
            .unwrap()
            .contains("rev: form")
    );
}

#[tokio::test]
async fn paths_and_methods_that_mean_nothing_are_told_apart() {
    let gateway = push_gateway().await;
    for path in [
        "/default/other",
        "/default",
        "/other/hook",
        "/default/hookx",
    ] {
        let response = gateway.push(path, "1", BODY).await;
        assert_eq!(response.status, 404, "{path}");
    }
    let request = b"GET /default/hook HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    let response = exchange(gateway.app.ingress, request).await;
    assert_eq!(response.status, 405);
    assert!(response.head.to_ascii_lowercase().contains("allow: post"));
    let live = b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    let response = exchange(gateway.app.ingress, live).await;
    assert_eq!((response.status, response.body.as_str()), (200, "ok"));
}

#[tokio::test]
async fn the_root_is_the_only_listener_and_more_of_a_path_is_the_event_s() {
    let gateway = push_gateway().await;
    for path in ["/", "/?x=1", "/default/hook/a/b?c=d"] {
        let response = gateway.push(path, path, BODY).await;
        assert_eq!(response.verdict(), "matched", "{path}");
    }
}

#[tokio::test]
async fn with_several_listeners_the_root_is_the_default_one_or_none() {
    let second = PUSH.replace("name: hook}", "name: second}");
    let files = [
        ("a.yaml", PUSH),
        ("b.yaml", second.as_str()),
        ("s.yaml", PUSH_SECRET),
    ];
    let gateway = Gateway::start(&files).await;
    assert_eq!(gateway.push("/", "1", BODY).await.status, 404);
    let gateway = Gateway::start_with(&files, |config| {
        config.default_listener = Some("default/second".into());
    })
    .await;
    let response = gateway.push("/", "1", BODY).await;
    assert_eq!(response.json()["eventListener"], "second");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_announced_or_not() {
    let gateway = Gateway::start_with(&[("push.yaml", PUSH), ("s.yaml", PUSH_SECRET)], |config| {
        *config = serde_json::from_value(serde_json::json!({
            "ingress": {"listen": "127.0.0.1:0"},
            "admin": {"listen": "127.0.0.1:0"},
            "probe": {"listen": "127.0.0.1:0"},
            "data": config.data,
            "sink": config.sink,
            "limits": {"body": "1MiB"},
        }))
        .unwrap();
    })
    .await;
    let large = vec![b'x'; 2 * 1024 * 1024];
    let announced = gateway.post("/default/hook", &[], &large).await;
    assert_eq!(announced.status, 413);
    let mut chunked =
        b"POST /default/hook HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in large.chunks(64 * 1024) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let response = exchange(gateway.app.ingress, chunked).await;
    assert_eq!(response.status, 413);
    assert!(
        response
            .head
            .to_ascii_lowercase()
            .contains("connection: close")
    );
}

#[tokio::test]
async fn a_sender_who_asks_first_is_refused_before_he_sends() {
    let gateway = push_gateway().await;
    let request = "POST /default/hook HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 27262976\r\n\r\n";
    let response = exchange(gateway.app.ingress, request.into()).await;
    assert_eq!(response.status, 413);
}

#[tokio::test]
async fn an_encoded_body_is_not_supported() {
    let gateway = push_gateway().await;
    let response = gateway
        .post("/default/hook", &[("Content-Encoding", "gzip")], b"x")
        .await;
    assert_eq!(response.status, 415);
    let response = gateway
        .post("/default/hook", &[("Content-Encoding", "identity")], b"x")
        .await;
    assert_eq!(response.status, 401);
}

#[tokio::test]
async fn a_chunked_body_is_read_like_any_other() {
    let gateway = push_gateway().await;
    let signature = github_signature(SECRET, BODY.as_bytes());
    let (first, second) = BODY.split_at(5);
    let request = format!(
        "POST /default/hook HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: push\r\nX-Hub-Signature-256: {signature}\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    );
    let response = exchange(gateway.app.ingress, request.into()).await;
    assert_eq!(response.verdict(), "matched");
}

/// A gateway whose senders must hurry.
async fn impatient() -> Gateway {
    Gateway::start_with(&[("push.yaml", PUSH), ("s.yaml", PUSH_SECRET)], |config| {
        *config = serde_json::from_value(serde_json::json!({
            "ingress": {"listen": "127.0.0.1:0"},
            "admin": {"listen": "127.0.0.1:0"},
            "probe": {"listen": "127.0.0.1:0"},
            "data": config.data,
            "sink": config.sink,
            "limits": {"headTime": "300ms", "bodyTime": "300ms"},
        }))
        .unwrap();
    })
    .await
}

/// Whether the other side closes the connection, within a while.
fn closes(stream: &mut std::net::TcpStream) -> bool {
    let mut rest = Vec::new();
    let began = Instant::now();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream.read_to_end(&mut rest).is_ok() && began.elapsed() < Duration::from_secs(10)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_no_head_or_half_of_one_is_cut_off() {
    let gateway = impatient().await;
    for half in ["", "PRI", "POST /default/hook HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = connect(gateway.app.ingress);
        stream.write_all(half.as_bytes()).unwrap();
        let closed = tokio::task::spawn_blocking(move || closes(&mut stream));
        assert!(closed.await.unwrap(), "{half:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_given_up() {
    let gateway = impatient().await;
    let mut stream = connect(gateway.app.ingress);
    let half = "POST /default/hook HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{";
    stream.write_all(half.as_bytes()).unwrap();
    let (response, closed) = tokio::task::spawn_blocking(move || {
        let response = read_response(&mut stream);
        (
            String::from_utf8_lossy(&response).into_owned(),
            closes(&mut stream),
        )
    })
    .await
    .unwrap();
    assert!(response.starts_with("HTTP/1.1 408"), "{response}");
    assert!(response.contains("body_timeout"), "{response}");
    assert!(closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_his_answers_is_cut_off() {
    let gateway = Gateway::start_with(&[("push.yaml", PUSH)], |config| {
        let limits = serde_json::json!({"totalTime": "300ms"});
        config.limits = serde_json::from_value(limits).unwrap();
    })
    .await;
    let mut stream = connect(gateway.app.ingress);
    let requests = "GET /live HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    let ended = tokio::task::spawn_blocking(move || {
        loop {
            // Once every buffer is full, only the other side's end gets on.
            if let Err(error) = stream.write_all(requests.as_bytes()) {
                return error.kind();
            }
        }
    });
    let ended = ended.await.unwrap();
    assert!(
        matches!(ended, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let gateway = push_gateway().await;
    let large = "x".repeat(256 * 1024);
    let response = gateway
        .post("/default/hook", &[("X-Large", &large)], b"{}")
        .await;
    assert_eq!(response.status, 431);
    let many: Vec<(String, String)> = (0..200).map(|n| (format!("X-{n}"), "v".into())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let response = gateway.post("/default/hook", &many, b"{}").await;
    assert_eq!(response.status, 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_serves_many_requests() {
    let gateway = push_gateway().await;
    let mut stream = connect(gateway.app.ingress);
    let statuses = tokio::task::spawn_blocking(move || {
        let mut statuses = Vec::new();
        for request in [
            "POST /default/hook HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
            "GET /live HTTP/1.1\r\nHost: x\r\n\r\n",
        ] {
            stream.write_all(request.as_bytes()).unwrap();
            let response = read_response(&mut stream);
            statuses.push(String::from_utf8_lossy(&response[9..12]).into_owned());
        }
        statuses
    });
    assert_eq!(statuses.await.unwrap(), ["401", "200"]);
}

#[tokio::test]
async fn a_flood_of_strangers_is_told_to_slow_down_and_the_known_sender_is_not() {
    let gateway = Gateway::start_with(&[("push.yaml", PUSH), ("s.yaml", PUSH_SECRET)], |config| {
        *config = serde_json::from_value(serde_json::json!({
            "ingress": {"listen": "127.0.0.1:0"},
            "admin": {"listen": "127.0.0.1:0"},
            "probe": {"listen": "127.0.0.1:0"},
            "data": config.data,
            "sink": config.sink,
            "limits": {"refusalsPerSecond": 0},
        }))
        .unwrap();
    })
    .await;
    let stranger = gateway.post("/default/hook", &[], b"{}").await;
    assert_eq!(stranger.status, 429);
    assert!(stranger.head.to_ascii_lowercase().contains("retry-after: "));
    assert_eq!(stranger.json().as_object().unwrap().len(), 1);
    assert_eq!(gateway.push("/default/hook", "1", BODY).await.status, 202);
}
