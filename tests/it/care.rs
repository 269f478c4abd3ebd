//! What people do to a journal with the real binary, beside a gateway and
//! without one.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tripline::journal::Journal;
use tripline::journal::sqlite::SqliteJournal;
use tripline::model::verdict::DeliveryState;

use crate::support::{Gateway, push_gateway};

const BODY: &str = r#"{"after":"abc"}"#;

fn tripline(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tripline"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A gateway that has performed two pushes.
async fn gateway() -> Gateway {
    let gateway = push_gateway().await;
    for delivery in ["one", "two"] {
        let answer = gateway.push("/default/hook", delivery, BODY).await;
        assert_eq!(answer.status, 202);
    }
    gateway.wait_for_objects(2).await;
    let done = [(DeliveryState::Done, 2)];
    while gateway.app.journal().counts().await.unwrap().deliveries != done {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    gateway
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_is_checked_exported_and_copied_while_a_gateway_uses_it() {
    let gateway = gateway().await;
    let folder = gateway.folder.path();
    let checked = tripline(folder, &["journal", "check", "--data", "data"]);
    assert!(checked.status.success(), "{}", err(&checked));
    assert!(err(&checked).contains("2 done"), "{}", err(&checked));
    assert!(err(&checked).contains("a gateway is using it"));

    let exported = tripline(folder, &["journal", "export", "--data", "data"]);
    assert!(exported.status.success(), "{}", err(&exported));
    let lines = out(&exported);
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    let kinds = ["event", "delivery", "attempt", "key", "revision"];
    assert_eq!(kinds.map(of), [2, 2, 2, 2, 1]);
    let event = lines.iter().find(|line| line["kind"] == "event").unwrap();
    assert_eq!(event["body"], BODY);
    assert_eq!(event["listenerName"], "hook");

    let copied = tripline(folder, &["journal", "backup", "--data", "data", "copy"]);
    assert!(copied.status.success(), "{}", err(&copied));
    let copy = folder.join("copy/journal.db");
    for (path, mode) in [(folder.join("copy"), 0o700), (copy.clone(), 0o600)] {
        let meta = std::fs::metadata(path).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, mode);
    }
    let key = |folder: std::path::PathBuf| std::fs::read(folder.join("seal.key")).unwrap();
    assert_eq!(key(folder.join("copy")), key(folder.join("data")));
    let restored = SqliteJournal::open(&copy).unwrap();
    let counts = restored.counts().await.unwrap();
    assert_eq!(counts.deliveries, [(DeliveryState::Done, 2)]);

    let again = tripline(folder, &["journal", "backup", "--data", "data", "copy"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(err(&again).contains("copy is there already"));
    let salvaged = tripline(folder, &["journal", "salvage", "--data", "data", "new"]);
    assert_eq!(salvaged.status.code(), Some(1));
    assert!(err(&salvaged).contains("in use by a gateway"));
    assert!(!folder.join("new").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_without_the_key_says_what_it_lacks() {
    let gateway = gateway().await;
    let folder = gateway.folder.path();
    let arguments = [
        "journal",
        "backup",
        "--data",
        "data",
        "--without-key",
        "copy",
    ];
    let copied = tripline(folder, &arguments);
    assert!(copied.status.success(), "{}", err(&copied));
    assert!(err(&copied).contains("without its key"));
    assert!(!folder.join("copy/seal.key").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_is_refused_by_name_and_salvaged() {
    let gateway = gateway().await;
    let folder = gateway.folder;
    assert!(gateway.app.drain(true).await);
    let file = folder.path().join("data/journal.db");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[..100].fill(0x5A);
    std::fs::write(&file, &bytes).unwrap();

    let started = tripline(
        folder.path(),
        &[
            "serve",
            "-t",
            "triggers",
            "--data",
            "data",
            "--listen",
            "127.0.0.1:0",
        ],
    );
    assert_eq!(started.status.code(), Some(1));
    assert!(
        err(&started).contains("data/journal.db is damaged"),
        "{}",
        err(&started)
    );
    let command = "tripline journal salvage --journal sqlite:data/journal.db NEW-FOLDER";
    assert!(err(&started).contains(command), "{}", err(&started));
    let checked = tripline(folder.path(), &["journal", "check", "--data", "data"]);
    assert_eq!(checked.status.code(), Some(1), "{}", err(&checked));

    let arguments = [
        "journal",
        "salvage",
        "--journal",
        "sqlite:data/journal.db",
        "new",
    ];
    let salvaged = tripline(folder.path(), &arguments);
    assert!(salvaged.status.success(), "{}", err(&salvaged));
    assert!(
        err(&salvaged).contains("2 events, 2 deliveries"),
        "{}",
        err(&salvaged)
    );
    assert!(err(&salvaged).contains("mv data data.damaged && mv new data"));
    assert_eq!(std::fs::read(&file).unwrap(), bytes, "it is not touched");
    let checked = tripline(folder.path(), &["journal", "check", "--data", "new"]);
    assert!(checked.status.success(), "{}", err(&checked));
    let journal = SqliteJournal::open(&folder.path().join("new/journal.db")).unwrap();
    let counts = journal.counts().await.unwrap();
    assert_eq!(counts.deliveries, [(DeliveryState::Done, 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_garbage_is_found_by_a_check() {
    let gateway = gateway().await;
    let folder = gateway.folder;
    assert!(gateway.app.drain(true).await);
    let file = folder.path().join("data/journal.db");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[3 * 8192..4 * 8192].fill(0xA5);
    std::fs::write(&file, &bytes).unwrap();
    let checked = tripline(folder.path(), &["journal", "check", "--data", "data"]);
    assert_eq!(checked.status.code(), Some(1), "{}", err(&checked));
    let told = [out(&checked), err(&checked)].concat();
    assert!(told.contains("data/journal.db"), "{told}");
    assert!(told.contains("tripline journal salvage"), "{told}");
}

#[test]
fn a_journal_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for verb in [
        &["check"][..],
        &["export"],
        &["backup", "x"],
        &["salvage", "x"],
    ] {
        let arguments = [&["journal"], verb, &["--data", "nowhere"]].concat();
        let output = tripline(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            err(&output).contains("nowhere/journal.db"),
            "{}",
            err(&output)
        );
    }
    let nats = ["journal", "check", "--journal", "ftp://x"];
    assert_eq!(tripline(folder.path(), &nats).status.code(), Some(2));
}
