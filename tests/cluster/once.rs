//! Created once, also where somebody deletes what was made before the gateway
//! has written down that it was.

use libtest_mimic::Failed;

use super::api_server::{ApiServer, server};
use super::gateway::{Gateway, wait_until};
use super::scenarios::listener;

type Scenario = (&'static str, fn() -> Result<(), Failed>);

pub(crate) const ALL: [Scenario; 2] = [
    (
        "cluster::what_was_made_and_deleted_is_not_made_again",
        not_again,
    ),
    ("cluster::where_nobody_may_look_nothing_is_lost", never_lost),
];

/// A trigger that makes three PipelineRuns, with an account that has `verbs`.
fn three_runs(namespace: &str, verbs: &str) -> String {
    let one = "  - apiVersion: tekton.dev/v1\n    kind: PipelineRun\n    metadata: {generateName: build-}\n";
    let three = ["a-", "b-", "c-"].map(|prefix| one.replace("build-", prefix));
    listener(namespace)
        .replace(one, &three.concat())
        .replace("verbs: [create, get]", &format!("verbs: {verbs}"))
        .replace(
            "    spec: {params: [{name: rev, value: $(tt.params.rev)}]}\n",
            "",
        )
}

/// The first letters of the PipelineRuns of a namespace.
fn runs(server: &ApiServer, namespace: &str) -> Result<String, Failed> {
    let runs = server.list("pipelineruns", namespace)?;
    let names = runs
        .iter()
        .filter_map(|run| run["metadata"]["name"].as_str());
    Ok(names.filter_map(|name| name.chars().next()).collect())
}

/// Kills the gateway when it has made two of three, deletes the first, starts it
/// again, and gives it back when it is done.
fn killed_and_deleted(
    server: &ApiServer,
    namespace: &str,
    verbs: &str,
    folder: &std::path::Path,
) -> Result<Gateway, Failed> {
    server.namespace(namespace)?;
    server.apply(&three_runs(namespace, verbs))?;
    let mut command = Gateway::command(server, folder);
    let gateway = Gateway::spawn(command.env("CRASH_AT", "between_resources:2"))?;
    // The gateway may end before it answers.
    let _ = gateway.push(&format!("/{namespace}/hook"), "x");
    wait_until("two are made", || Ok(runs(server, namespace)? == "ab"))?;
    drop(gateway);
    let all = server.list("pipelineruns", namespace)?;
    let first = all[0]["metadata"]["name"].as_str().unwrap_or_default();
    server.kubectl(&["delete", "pipelinerun", first, "-n", namespace], "")?;
    let gateway = Gateway::start(server, folder)?;
    wait_until("the delivery is done", || {
        Ok(!gateway.lines_with("delivery done").is_empty())
    })?;
    Ok(gateway)
}

fn not_again() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    let gateway = killed_and_deleted(server, "once", "[create, get, watch]", folder.path())?;
    let there = runs(server, "once")?;
    ensure!(there == "bc", "there are {there}");
    let said = gateway.lines_with("deleted since");
    ensure!(said.len() == 1, "{said:?}");
    // Whoever looked was the trigger's account.
    let audit = server.audit("pipelineruns")?;
    let watched = audit.iter().find(|entry| entry["verb"] == "watch");
    let watched = watched.ok_or("nobody has watched")?;
    ensure!(
        watched["impersonatedUser"]["username"] == "system:serviceaccount:once:runner",
        "{watched}"
    );
    Ok(())
}

fn never_lost() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    killed_and_deleted(server, "unseen", "[create, get]", folder.path())?;
    let there = runs(server, "unseen")?;
    ensure!(there == "abc", "there are {there}");
    Ok(())
}
