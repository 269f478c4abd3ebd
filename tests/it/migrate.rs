//! `tripline migrate`: what it says of Tekton's objects, and its exit codes.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::PUSH;

fn migrate(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tripline"))
        .arg("migrate")
        .args(arguments)
        .current_dir(folder)
        .env("KUBECONFIG", folder.join("none"))
        .env("HOME", folder)
        .env_remove("KUBERNETES_SERVICE_HOST")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const CALLING: &str = r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: telling, namespace: ci}
spec:
  cloudEventURI: http://broker.example.com
  triggers:
  - name: t
    interceptors: [{ref: {name: gitlab}}]
    bindings: [{ref: token}]
    template:
      spec:
        resourcetemplates: [{apiVersion: v1, kind: ConfigMap, metadata: {name: fixed}}]
---
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerBinding
metadata: {name: token, namespace: ci}
spec:
  params: [{name: token, value: $(header.X-Gitlab-Token)}]
---
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerBinding
metadata: {name: plain, namespace: ci}
spec:
  params: [{name: rev, value: $(body.after)}]
"#;

#[test]
fn every_object_has_a_verdict_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.yaml"), CALLING).unwrap();
    let output = migrate(folder.path(), &["-t", "t.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let printed = text(&output.stdout);
    for expected in [
        "works better     EventListener ci/telling  t.yaml:2:1\n",
        "    - t.yaml:6:18: CloudEvents about events are sent to it with names",
        "    - t.yaml:9:20: note: nobody is verified, as in Tekton",
        "needs attention  TriggerBinding ci/token  t.yaml:15:1\n",
        "bindings do not see X-Gitlab-Token",
        "works as is      TriggerBinding ci/plain  t.yaml:21:1\n",
    ] {
        assert!(printed.contains(expected), "{expected}: {printed}");
    }
    let said = text(&output.stderr);
    assert!(
        said.starts_with("3 objects: 1 works as is, 1 works better, 1 needs attention\n"),
        "{said}"
    );
    assert!(
        said.contains("kubectl annotate eventlistener -n ci telling tripline.dev/managed=true"),
        "{said}"
    );
}

#[test]
fn where_nothing_needs_attention_the_status_is_0() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("t")).unwrap();
    std::fs::write(folder.path().join("t/push.yaml"), PUSH).unwrap();
    let output = migrate(folder.path(), &["-t", "t", "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["summary"]["needsAttention"], 0);
    assert_eq!(report["summary"]["worksBetter"], 1, "{report}");
    let listener = &report["objects"][0];
    assert_eq!(listener["verdict"], "worksBetter");
    let why = listener["why"].as_array().unwrap();
    let refused = why
        .iter()
        .find(|one| one["text"].as_str().unwrap().contains("401"));
    let how = refused.unwrap()["asInTekton"].as_str().unwrap();
    assert!(how.contains("tripline.dev/responses: tekton"), "{how}");
}

#[test]
fn what_ships_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["bindings", "templates", "deploy/quickstart"];
    let paths: Vec<&str> = folders.iter().flat_map(|path| ["-t", *path]).collect();
    let output = migrate(root, &paths);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[test]
fn what_cannot_be_read_is_a_matter_of_usage() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&["-t", "missing"][..], "missing"),
        (&["--kube"], "no API server is known"),
        (&[], "--triggers"),
        (&["--kube", "-t", "x"], "cannot be used with"),
    ] {
        let output = migrate(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn a_file_that_is_no_yaml_needs_attention() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.yaml"), "a: [\n").unwrap();
    let output = migrate(folder.path(), &["-t", "t.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let printed = text(&output.stdout);
    assert!(printed.starts_with("needs attention  t.yaml:"), "{printed}");
}
