//! The command line: what verbs print, and their exit codes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{PUSH, PUSH_SECRET, SECRET, files_in, github_signature, push_gateway};

/// Runs the binary in a folder.
fn tripline(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tripline"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("TRIPLINE_SINK")
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with triggers and a signed push.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("t")).unwrap();
    write(&folder, "t/push.yaml", PUSH);
    write(&folder, "t/secret.yaml", PUSH_SECRET);
    write(&folder, "push.http", &push("push", r#"{"after":"abc"}"#));
    folder
}

fn write(folder: &TempDir, name: &str, text: &str) {
    std::fs::write(folder.path().join(name), text).unwrap();
}

fn push(event: &str, body: &str) -> String {
    let signature = github_signature(SECRET, body.as_bytes());
    format!(
        "POST /default/hook/x?y=1 HTTP/1.1\nHost: x\nX-GitHub-Event: {event}\nX-GitHub-Delivery: 1\n\
         X-Hub-Signature-256: {signature}\n\n{body}"
    )
}

const ID: &str = "14a657c3-6816-45bf-b214-4afdaefc4ebd";

#[test]
fn run_prints_resources_and_verdicts() {
    let folder = folder();
    let output = tripline(
        folder.path(),
        &["run", "-t", "t", "-r", "push.http", "--event-id", ID],
    );
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    assert!(text.starts_with("---\n"), "{text}");
    assert!(
        text.contains("rev: abc") && text.contains(&format!("triggers-eventid: {ID}")),
        "{text}"
    );
    assert_eq!(err(&output), "push: matched\n");
}

#[test]
fn run_tells_everything_as_json() {
    let folder = folder();
    let output = tripline(
        folder.path(),
        &[
            "run",
            "-t",
            "t",
            "-r",
            "push.http",
            "-o",
            "json",
            "--event-id",
            ID,
        ],
    );
    let report: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(report["event"]["id"], ID);
    assert_eq!(report["event"]["sender"], "github");
    assert_eq!(report["event"]["type"], "push");
    assert_eq!(report["response"]["status"], 202);
    assert_eq!(report["response"]["body"]["eventID"], ID);
    let trigger = &report["triggers"][0];
    assert_eq!(trigger["name"], "push");
    assert_eq!(trigger["verdict"], "matched");
    assert_eq!(trigger["stage"], "render");
    assert_eq!(
        trigger["params"],
        serde_json::json!([{"name": "rev", "value": "abc"}])
    );
    assert_eq!(trigger["resources"][0]["data"]["rev"], "abc");
}

#[test]
fn run_s_exit_code_is_the_first_that_applies() {
    let folder = folder();
    let code = |arguments: &[&str]| {
        let output = tripline(folder.path(), &[&["run"], arguments].concat());
        output.status.code().unwrap()
    };
    assert_eq!(code(&["-t", "t", "-r", "push.http"]), 0);
    write(&folder, "issues.http", &push("issues", "{}"));
    assert_eq!(code(&["-t", "t", "-r", "issues.http"]), 3);
    write(
        &folder,
        "forged.http",
        &push("push", "{}").replace("\n\n{}", "\n\n{ }"),
    );
    assert_eq!(code(&["-t", "t", "-r", "forged.http"]), 4);
    write(&folder, "bare.http", &push("push", "{}"));
    assert_eq!(
        code(&["-t", "t", "-r", "bare.http"]),
        1,
        "the binding finds nothing"
    );
    for wrong in [
        &["-t", "t", "-r", "nowhere.http"][..],
        &["-t", "nowhere", "-r", "push.http"],
        &["-t", "t", "-r", "push.http", "-l", "default/other"],
        &["-t", "t"],
        &["-t", "t", "-r", "push.http", "--event-id", "7"],
    ] {
        assert_eq!(code(wrong), 2, "{wrong:?}");
    }
    write(&folder, "t/bad.yaml", "kind: [");
    assert_eq!(code(&["-t", "t", "-r", "push.http"]), 2);
}

#[test]
fn run_takes_the_listener_from_the_path_the_flag_or_the_only_one() {
    let folder = folder();
    write(
        &folder,
        "root.http",
        &push("push", r#"{"after":"abc"}"#).replace("/default/hook/x?y=1", "/"),
    );
    let code = |request: &str, flags: &[&str]| {
        let arguments = [&["run", "-t", "t", "-r", request], flags].concat();
        let output = tripline(folder.path(), &arguments);
        (output.status.code().unwrap(), err(&output))
    };
    assert_eq!(code("root.http", &[]).0, 0);
    write(
        &folder,
        "t/second.yaml",
        &PUSH.replace("name: hook}", "name: second}"),
    );
    assert_eq!(code("push.http", &[]).0, 0);
    assert_eq!(code("root.http", &["-l", "default/second"]).0, 0);
    let (status, said) = code("root.http", &[]);
    assert_eq!(status, 2);
    assert!(said.contains("default/hook, default/second"), "{said}");
}

#[test]
fn cel_prints_the_value_as_json() {
    let folder = folder();
    let cel =
        |expression: &str| tripline(folder.path(), &["cel", "-e", expression, "-r", "push.http"]);
    assert_eq!(out(&cel("body.after + '!'")), "\"abc!\"\n");
    assert_eq!(
        out(&cel("header.match('X-GitHub-Event', 'push')")),
        "true\n"
    );
    assert_eq!(out(&cel("requestURL")), "\"/default/hook/x?y=1\"\n");
    for wrong in ["body.missing", "bdy.after", "1 +"] {
        let output = cel(wrong);
        assert_eq!(output.status.code(), Some(1), "{wrong}");
        assert!(!err(&output).is_empty());
    }
    write(&folder, "e.cel", "size(body.after)\n");
    let output = tripline(folder.path(), &["cel", "-f", "e.cel", "-r", "push.http"]);
    assert_eq!(out(&output), "3\n");
}

#[test]
fn bind_prints_parameters_sorted_by_name() {
    let folder = folder();
    let binding = "apiVersion: triggers.tekton.dev/v1beta1\nkind: TriggerBinding\nmetadata: {name: b}\n\
                   spec: {params: [{name: z, value: $(body.after)}, {name: a, value: $(header.X-GitHub-Event)}]}\n";
    write(&folder, "b.yaml", binding);
    let output = tripline(folder.path(), &["bind", "-b", "b.yaml", "-r", "push.http"]);
    let params: Value = serde_json::from_str(&out(&output)).unwrap();
    let expected =
        serde_json::json!([{"name": "a", "value": "push"}, {"name": "z", "value": "abc"}]);
    assert_eq!(params, expected);
    write(
        &folder,
        "b.yaml",
        &binding.replace("$(body.after)", "$(body.missing)"),
    );
    let output = tripline(folder.path(), &["bind", "-b", "b.yaml", "-r", "push.http"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("missing is not found"),
        "{}",
        err(&output)
    );
}

#[test]
fn check_prints_mistakes_with_their_places() {
    let folder = folder();
    let output = tripline(folder.path(), &["check", "t"]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(0), ""));
    write(&folder, "t/push.yaml", &PUSH.replace("[push]", "push"));
    let output = tripline(folder.path(), &["check", "t"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        out(&output),
        "t/push.yaml:12:35: expected a list of texts, got text\n"
    );
}

#[test]
fn warnings_are_told_and_are_no_mistakes() {
    let folder = folder();
    let misspelt = PUSH.replace("eventTypes", "eventTypos");
    write(&folder, "t/push.yaml", &misspelt);
    let output = tripline(folder.path(), &["check", "t"]);
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    assert!(out(&output).contains("warning: "), "{}", out(&output));
    assert!(out(&output).contains("eventTypos"), "{}", out(&output));
    let counted = "1 listener, 1 trigger, 0 mistakes, 1 warning\n";
    assert_eq!(err(&output), counted);
}

#[test]
fn who_does_not_listen_to_its_lines_does_not_end_it() {
    let folder = folder();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_tripline"))
        .args(["check", "t"])
        .current_dir(folder.path())
        .stderr(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn settings_that_cannot_be_used_end_it_at_once() {
    let folder = folder();
    for (flags, expected) in [
        (&["--log-level", "loud"][..], "`loud` is no level"),
        (&["--sink", "dir:t/out"], "inside the triggers' folder t"),
        (&["--secret-dir", "gone"], "secretDirs: gone"),
    ] {
        let output = tripline(folder.path(), &[&["serve", "-t", "t"], flags].concat());
        assert_eq!(output.status.code(), Some(2), "{}", err(&output));
        assert!(err(&output).contains(expected), "{}", err(&output));
        let causes = err(&output).matches("No such file").count();
        assert!(causes <= 1, "{}", err(&output));
    }
}

#[test]
fn the_shipped_files_check_clean() {
    let output = tripline(
        Path::new("."),
        &["check", "bindings", "templates", "deploy/quickstart"],
    );
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn send_signs_anew_under_a_fresh_id() {
    let gateway = push_gateway().await;
    let folder = folder();
    let to = format!("http://{}", gateway.app.ingress);
    let send = |flags: &[&str]| {
        let arguments = [&["send", "push.http", "--to", &to], flags].concat();
        tripline(folder.path(), &arguments)
    };
    let first = send(&["--secret", SECRET]);
    assert_eq!(first.status.code(), Some(0), "{}", err(&first));
    let answer: Value = serde_json::from_str(&out(&first)).unwrap();
    assert_eq!(answer["triggers"][0]["verdict"], "matched");
    gateway.wait_for_objects(1).await;
    send(&["--secret", SECRET, "--provider", "github"]);
    gateway.wait_for_objects(2).await;
    for _ in 0..2 {
        send(&["--same-id"]);
    }
    gateway.wait_for_objects(3).await;
    let unknown = send(&["--provider", "githib"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(err(&unknown).contains("`githib` is no sender"));
    let refused = send(&["--secret", "wrong"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("401"));
    let nobody = tripline(
        folder.path(),
        &["send", "push.http", "--to", "http://127.0.0.1:1"],
    );
    assert_eq!(nobody.status.code(), Some(1));
    assert!(err(&nobody).contains("refused"), "{}", err(&nobody));
}

const ANY_PORTS: [&str; 6] = [
    "--listen",
    "127.0.0.1:0",
    "--admin",
    "127.0.0.1:0",
    "--probe",
    "127.0.0.1:0",
];

#[test]
fn quickstart_renders_three_and_works_again() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=2 {
        let output = tripline(
            folder.path(),
            &[&["quickstart", "--once"][..], &ANY_PORTS].concat(),
        );
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        assert_eq!(out(&output).matches("---\n").count(), 3, "{}", out(&output));
        assert_eq!(files_in(&folder.path().join("out")).len(), 3 * round);
    }
}

#[test]
fn serve_stops_cleanly_when_it_is_told_to() {
    let folder = folder();
    let arguments = [&["serve", "-t", "t"][..], &ANY_PORTS].concat();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tripline"))
        .args(arguments)
        .env("TRIPLINE_DRAIN__DELAY", "0s")
        .current_dir(folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let listening = lines.find(|line| line.as_ref().unwrap().contains("listening on http://"));
    assert!(listening.is_some());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(lines);
}

#[test]
fn a_command_line_that_cannot_be_used_says_why() {
    let folder = folder();
    for (arguments, expected) in [
        (&["serve", "-t", "nowhere"][..], "nowhere"),
        (&["serve"], "tripline quickstart"),
        (&["serve", "-t", "t", "--sink", "s3:x"], "sink"),
        (&["serve", "-t", "t", "--kube"], "--kube"),
        (
            &["serve", "-t", "t", "--admin", "0.0.0.0:0"],
            "admin.tokenFile",
        ),
        (&["serve", "-t", "t", "--journal", "redis://x"], "journal"),
        (
            &["serve", "-t", "t", "--config", "nowhere.yaml"],
            "nowhere.yaml",
        ),
        (&["frobnicate"], "frobnicate"),
        (&["run"], "--triggers"),
    ] {
        let output = tripline(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            err(&output).contains(expected),
            "{arguments:?}: {}",
            err(&output)
        );
    }
    write(&folder, "tripline.yaml", "lisen: x\n");
    let output = tripline(folder.path(), &["serve", "-t", "t"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("lisen"), "{}", err(&output));
}

#[test]
fn help_and_completions_are_there_for_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    for verb in [
        "serve",
        "quickstart",
        "run",
        "cel",
        "bind",
        "check",
        "send",
        "journal",
        "completions",
    ] {
        let output = tripline(folder.path(), &[verb, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{verb}");
        assert!(out(&output).contains("Usage: tripline"), "{verb}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let output = tripline(folder.path(), &["completions", shell]);
        assert!(out(&output).contains("tripline"), "{shell}");
    }
}
