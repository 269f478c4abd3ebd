//! Planted canaries: no credential is found in anything that is written.

use std::path::{Path, PathBuf};

use crate::support::{
    Gateway, PUSH, PUSH_SECRET, Response, SECRET, github_signature, push_gateway,
};

/// Stands for a secret wherever one is given or sent.
const CANARY: &str = "canary-5d1c";

const TRIGGERS: &str = r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: all}
spec:
  triggers:
  - name: gitlab
    interceptors:
    - ref: {name: gitlab}
      params: [{name: secretRef, value: {secretName: canary, secretKey: token}}]
    template: {ref: tt}
  - name: harbor
    interceptors:
    - ref: {name: harbor}
      params: [{name: secretRef, value: {secretName: canary, secretKey: token}}]
    template: {ref: tt}
  - name: cel
    interceptors:
    - ref: {name: cel}
      params: [{name: filter, value: "header.canonical('X-Token').compareSecret('token', 'canary')"}]
    template: {ref: tt}
  - name: waiting
    interceptors:
    - ref: {name: gitlab}
      params: [{name: secretRef, value: {secretName: missing, secretKey: token}}]
    template: {ref: tt}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerTemplate
metadata: {name: tt}
spec:
  resourcetemplates: [{apiVersion: v1, kind: ConfigMap, metadata: {generateName: c-}}]
---
apiVersion: v1
kind: Secret
metadata: {name: canary}
stringData: {token: canary-5d1c}
"#;

#[tokio::test]
async fn no_credential_is_written_anywhere() {
    let gateway = Gateway::start(&[("t.yaml", TRIGGERS)]).await;
    let common = [
        ("Authorization", CANARY),
        ("Proxy-Authorization", CANARY),
        ("Cookie", CANARY),
        ("X-Gitlab-Token", CANARY),
    ];
    let with = |extra: &[(&'static str, &'static str)]| [&common[..], extra].concat();
    let gitlab = gateway
        .post(
            "/default/all",
            &with(&[("X-Gitlab-Event", "Push Hook")]),
            b"{}",
        )
        .await;
    assert_eq!(
        verdicts(&gitlab),
        ["matched", "not_mine", "refused", "deferred"]
    );
    // The header that an expression compares is a credential as well.
    let own = gateway
        .post("/default/all", &[("X-Token", CANARY)], b"{}")
        .await;
    assert_eq!(
        verdicts(&own),
        ["not_mine", "not_mine", "matched", "not_mine"]
    );
    assert!(!own.body.contains(CANARY));
    let harbor = gateway
        .post(
            "/default/all",
            &common,
            br#"{"type":"PUSH_ARTIFACT","event_data":{}}"#,
        )
        .await;
    assert_eq!(
        verdicts(&harbor),
        ["matched", "matched", "refused", "deferred"]
    );
    gateway.wait_for_objects(4).await;
    nothing_told(&gateway, CANARY).await;
    assert!(!harbor.body.contains(CANARY) && !gitlab.body.contains(CANARY));
    let Gateway { folder, app } = gateway;
    nothing_written(folder.path(), CANARY.as_bytes());
    assert!(app.drain(true).await);
    nothing_written(folder.path(), CANARY.as_bytes());
}

#[tokio::test]
async fn what_a_broken_trigger_compares_is_not_kept_either() {
    let broken = r#"
  - name: broken
    interceptors:
    - ref: {name: cel}
      params: [{name: filter, value: "header.canonical('X-Own').compareSecret('token', 'hook'"}]
    template: {ref: missing}
  - name: other
    interceptors:
    - ref: {name: cel}
      params: [{name: filter, value: "header['X-Other'][0].compareSecret('token', 'hook')"}]
    template: {ref: missing}
"#;
    let both = format!("{}{broken}", PUSH.trim_end());
    let files = [("push.yaml", both.as_str()), ("s.yaml", PUSH_SECRET)];
    let gateway = Gateway::start(&files).await;
    let body = br#"{"after":"a"}"#;
    let signature = github_signature(SECRET, body);
    let headers = [
        ("X-GitHub-Event", "push"),
        ("X-Hub-Signature-256", &*signature),
        ("X-Own", CANARY),
        ("X-Other", CANARY),
    ];
    let answer = gateway.post("/default/hook", &headers, body).await;
    assert_eq!(verdicts(&answer)[0], "matched", "{answer:?}");
    gateway.wait_for_objects(1).await;
    nothing_written(gateway.folder.path(), CANARY.as_bytes());
}

#[tokio::test]
async fn a_signature_is_not_kept_either() {
    let gateway = push_gateway().await;
    gateway.push("/default/hook", "1", r#"{"after":"a"}"#).await;
    gateway.wait_for_objects(1).await;
    let signature = github_signature(SECRET, br#"{"after":"a"}"#);
    let digits = signature.trim_start_matches("sha256=");
    nothing_written(gateway.folder.path(), digits.as_bytes());
}

#[tokio::test]
async fn the_data_of_a_rendered_secret_is_told_to_nobody() {
    let rendering = PUSH.replace("kind: ConfigMap", "kind: Secret").replace(
        "data: {rev: $(tt.params.rev)}",
        "stringData: {token: canary-5d1c}",
    );
    let files = [("push.yaml", rendering.as_str()), ("s.yaml", PUSH_SECRET)];
    let gateway = Gateway::start(&files).await;
    gateway.push("/default/hook", "1", r#"{"after":"a"}"#).await;
    gateway.wait_for_objects(1).await;
    let told = nothing_told(&gateway, CANARY).await;
    assert!(told.contains("sha256:"), "{told}");
}

/// Asks the admin port for all that it tells. Gives it.
async fn nothing_told(gateway: &Gateway, secret: &str) -> String {
    let mut told = String::new();
    let mut paths: Vec<String> = ["status", "events", "deliveries", "dead-letters", "waiting"]
        .iter()
        .map(|list| format!("/api/v1/{list}"))
        .collect();
    for list in ["events", "deliveries"] {
        let rows = gateway.ask(&format!("/api/v1/{list}")).await.json();
        for row in rows["items"].as_array().unwrap() {
            let id = row["id"].to_string();
            let body = if list == "events" { "?body=1" } else { "" };
            paths.push(format!("/api/v1/{list}/{}{body}", id.trim_matches('"')));
        }
    }
    assert!(paths.len() > 6, "{paths:?}");
    for path in paths {
        let answer = gateway.ask(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.contains(secret), "{path} tells a secret");
        told.push_str(&answer.body);
    }
    told
}

/// Looks through every file but those of the triggers.
fn nothing_written(folder: &Path, secret: &[u8]) {
    for file in everything_below(folder) {
        if file
            .parent()
            .is_some_and(|parent| parent.ends_with("triggers"))
        {
            continue;
        }
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!found, "{} holds a credential", file.display());
    }
}

fn verdicts(response: &Response) -> Vec<String> {
    let answer = response.json();
    let rows = answer["triggers"].as_array().unwrap().iter();
    rows.map(|row| row["verdict"].as_str().unwrap().to_owned())
        .collect()
}

fn everything_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(everything_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}
