//! Trigger files that change while the gateway runs.

use crate::support::{Gateway, PATIENCE, PUSH, PUSH_SECRET, push_gateway};

const BODY: &str = r#"{"after":"abc"}"#;

/// Posts until the first trigger's name is this one.
async fn wait_for_trigger(gateway: &Gateway, name: &str) {
    let began = std::time::Instant::now();
    let mut delivery = 0;
    loop {
        delivery += 1;
        let answer = gateway
            .push("/default/hook", &format!("{name}-{delivery}"), BODY)
            .await;
        if answer.status == 202 && answer.json()["triggers"][0]["name"] == name {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{answer:?}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_next_event_uses_what_was_edited() {
    let gateway = push_gateway().await;
    wait_for_trigger(&gateway, "push").await;
    gateway.write("push.yaml", &PUSH.replace("- name: push", "- name: edited"));
    wait_for_trigger(&gateway, "edited").await;
}

#[tokio::test]
async fn a_bad_edit_changes_nothing_until_it_is_mended() {
    let gateway = push_gateway().await;
    wait_for_trigger(&gateway, "push").await;
    gateway.write("push.yaml", "kind: [");
    // A file that is good tells that the bad one has been read.
    gateway.write("other.yaml", &PUSH.replace("name: hook}", "name: other}"));
    let began = std::time::Instant::now();
    while gateway.push("/default/other", "1", BODY).await.status != 202 {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    wait_for_trigger(&gateway, "push").await;
    gateway.write("push.yaml", &PUSH.replace("- name: push", "- name: mended"));
    wait_for_trigger(&gateway, "mended").await;
}

#[tokio::test]
async fn a_rotated_secret_is_used_at_once_and_two_may_live_side_by_side() {
    let gateway = Gateway::start(&[
        ("push.yaml", PUSH),
        (
            "secret.yaml",
            &PUSH_SECRET.replace("a secret of tests", "old"),
        ),
    ])
    .await;
    assert_eq!(gateway.push("/default/hook", "1", BODY).await.status, 401);
    let both = PUSH.replace("secretRef, value: {secretName: hook, secretKey: token}", "secretRefs, value: [{secretName: hook, secretKey: token}, {secretName: hook, secretKey: next}]");
    gateway.write("push.yaml", &both);
    gateway.write(
        "secret.yaml",
        &PUSH_SECRET.replace(
            "{token: a secret of tests}",
            "{token: old, next: a secret of tests}",
        ),
    );
    wait_for_trigger(&gateway, "push").await;
}

#[tokio::test]
async fn a_delivery_is_performed_by_the_trigger_that_matched_it() {
    // The sink cannot be written at first, so that the delivery is left over.
    let gateway = Gateway::start(&[("push.yaml", PUSH), ("secret.yaml", PUSH_SECRET)]).await;
    let out = gateway.folder.path().join("out");
    std::fs::write(&out, "in the way").unwrap();
    assert_eq!(
        gateway.push("/default/hook", "1", BODY).await.verdict(),
        "matched"
    );
    gateway.write(
        "push.yaml",
        &PUSH.replace("generateName: push-", "generateName: edited-"),
    );
    let gateway = gateway.restart().await;
    std::fs::remove_file(&out).unwrap();
    let objects = gateway.wait_for_objects(1).await;
    let name = objects[0]
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    assert!(name.starts_with("push-"), "{name}");
}

#[tokio::test]
async fn deliveries_of_a_deleted_trigger_are_cancelled() {
    let files = [("push.yaml", PUSH), ("secret.yaml", PUSH_SECRET)];
    let gateway = Gateway::start_with(&files, |config| {
        config.limits.deleted_after = std::time::Duration::ZERO;
    })
    .await;
    let out = gateway.folder.path().join("out");
    std::fs::write(&out, "in the way").unwrap();
    assert_eq!(
        gateway.push("/default/hook", "1", BODY).await.verdict(),
        "matched"
    );
    gateway.write("push.yaml", &PUSH.replace("- name: push", "- name: other"));
    let began = std::time::Instant::now();
    loop {
        let counts = gateway.app.journal().counts().await.unwrap();
        if counts.deliveries == [(tripline::model::verdict::DeliveryState::Cancelled, 1)] {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{counts:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
