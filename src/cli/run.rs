//! `tripline run`: one event, offline.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::runtime::{self, Runtime};
use uuid::Uuid;

use crate::act::stdout::document;
use crate::catalog::diagnostic::Severity;
use crate::catalog::{Listener, Snapshot};
use crate::clock::unix_ms;
use crate::ingress::{self, Target, target};
use crate::intercept::calls::{Calls, NoCalls};
use crate::journal::Rendered;
use crate::model::event::RawEvent;
use crate::model::ids::{DeliveryId, EventId};
use crate::model::verdict::{Reason, Verdict};
use crate::outbound::{Client, Guard};
use crate::pipeline::{Accepted, Circumstances, Judgement, Work, arrive, consult, judge, prepare};
use crate::secrets::{SecretSet, SecretStore};
use crate::worker::Caller;

use super::{TriggerFiles, USAGE, check, fail, print, recorded, say};

const FAILED: u8 = 1;
const NOTHING: u8 = 3;
const REFUSED: u8 = 4;

/// Flags of `run`.
#[derive(clap::Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    files: TriggerFiles,
    /// The recorded request
    #[arg(short, long, value_name = "FILE.http")]
    request: PathBuf,
    /// The listener [default: the one that the request's path names, else the
    /// only one]
    #[arg(short, long, value_name = "NAMESPACE/NAME")]
    listener: Option<String>,
    /// The event's id [default: as the gateway would give it]
    #[arg(long, value_name = "UUID")]
    event_id: Option<Uuid>,
    /// Ask interceptors over the network; without this they count as failed
    #[arg(long)]
    call: bool,
    /// What is printed: resources as YAML, or everything as JSON
    #[arg(short, long, value_enum, default_value_t = Output::Yaml)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Yaml,
    Json,
}

/// What became of one trigger.
struct Row {
    name: String,
    verdict: Verdict,
    stage: &'static str,
    reason: Option<Reason>,
    detail: Option<String>,
    rendered: Option<Rendered>,
}

/// Takes a recorded request through the triggers. Its status is the first
/// that applies: 2 bad configuration, 1 a trigger failed, 0 something was
/// rendered, 4 refused, 3 nothing was triggered.
pub(super) fn run(args: &RunArgs) -> ExitCode {
    let (world, listener, mut accepted) = match prepare_run(args) {
        Ok(prepared) => prepared,
        Err(error) => return fail(&error, USAGE),
    };
    if let Some(id) = args.event_id {
        accepted.event = EventId(id);
    }
    let rows: Vec<Row> = accepted
        .judgements
        .iter()
        .map(|j| row(j, &accepted, &listener, &world))
        .collect();
    match args.output {
        Output::Yaml => print_yaml(&rows),
        Output::Json => print(&format!("{:#}\n", report(&listener, &accepted, &rows))),
    }
    for row in &rows {
        let reason = row.reason.map_or("", Reason::code);
        let detail = row.detail.as_deref().unwrap_or_default();
        let name = if row.name.is_empty() {
            "(unnamed)"
        } else {
            &row.name
        };
        let line = format!("{name}: {} {reason} {detail}", row.verdict);
        say(line.trim_end());
    }
    ExitCode::from(status(&rows))
}

fn status(rows: &[Row]) -> u8 {
    let any = |verdict| rows.iter().any(|row| row.verdict == verdict);
    if any(Verdict::Failed) || any(Verdict::Deferred) {
        FAILED
    } else if any(Verdict::Matched) {
        0
    } else if any(Verdict::Refused) {
        REFUSED
    } else {
        NOTHING
    }
}

/// What a run has besides the event.
struct World {
    secrets: Arc<SecretStore>,
    calls: Box<dyn Calls>,
    runtime: Runtime,
}

impl World {
    fn new(secrets: Arc<SecretStore>, call: bool) -> Result<Self> {
        // Whoever runs this has chosen the triggers.
        let calls: Box<dyn Calls> = match call {
            true => Box::new(Caller::new(
                Arc::new(Client::new(Guard::default())),
                Vec::new(),
            )),
            false => Box::new(NoCalls),
        };
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self {
            secrets,
            calls,
            runtime: runtime.context("the asynchronous runtime")?,
        })
    }
}

fn prepare_run(args: &RunArgs) -> Result<(World, Arc<Listener>, Accepted)> {
    let (loaded, diagnostics) = check::load(&args.files.triggers);
    for diagnostic in &diagnostics {
        say(&diagnostic.to_string());
    }
    if diagnostics.iter().any(|d| d.severity == Severity::Error) {
        bail!("the triggers have mistakes");
    }
    let mut secrets = SecretSet::default();
    secrets.add_objects(&loaded.objects, &SecretSet::default());
    for folder in &args.files.secret_dir {
        let errors = secrets.add_folder(folder, &SecretSet::default());
        if let Some(error) = errors.into_iter().next() {
            return Err(error).context("secrets");
        }
    }
    let store = SecretStore::new();
    store.replace(secrets);
    let request = recorded::read(&args.request)?;
    let (listener, url) = find(&loaded.snapshot, args.listener.as_deref(), &request.url)?;
    let raw = RawEvent {
        url,
        rule: listener.manner.rule,
        ..request
    };
    let world = World::new(store, args.call)?;
    let circumstances = Circumstances {
        secrets: &*world.secrets,
        fresh: Uuid::now_v7(),
        received_ms: unix_ms(),
        explain: true,
        proven: &[],
    };
    let mut accepted = judge(&listener, raw, &circumstances);
    if accepted.awaits_interceptor() {
        let consulted = consult(&listener, &mut accepted, &circumstances, &*world.calls);
        world.runtime.block_on(consulted);
    }
    Ok((world, listener, accepted))
}

/// The listener that the request is for, and what of its path is the event's.
fn find(snapshot: &Snapshot, named: Option<&str>, asked: &str) -> Result<(Arc<Listener>, String)> {
    let in_path = match target(asked) {
        Target::Listener { path, rest } => Some((path, ingress::request_url(rest))),
        Target::Root | Target::Nowhere => None,
    };
    if let Some(name) = named {
        let url = match in_path {
            Some((path, rest)) if path == name => rest,
            _ => asked.to_owned(),
        };
        let found = snapshot
            .listener(name)
            .map(|listener| (Arc::clone(listener), url));
        return found.with_context(|| format!("there is no listener {name}; {}", known(snapshot)));
    }
    if let Some((path, rest)) = in_path
        && let Some(listener) = snapshot.listener(path)
    {
        return Ok((Arc::clone(listener), rest));
    }
    let only = snapshot
        .only()
        .map(|listener| (Arc::clone(listener), asked.to_owned()));
    only.with_context(|| {
        format!(
            "the request's path `{asked}` names no listener; choose one with -l NAMESPACE/NAME; {}",
            known(snapshot)
        )
    })
}

fn known(snapshot: &Snapshot) -> String {
    let mut names: Vec<String> = snapshot.listeners().map(|l| l.id.to_string()).collect();
    names.sort();
    match names.as_slice() {
        [] => "the triggers have no EventListener".into(),
        names => format!("there are {}", names.join(", ")),
    }
}

fn row(judgement: &Judgement, accepted: &Accepted, listener: &Listener, world: &World) -> Row {
    let last = judgement.findings.last();
    let mut row = Row {
        name: judgement.name.clone(),
        verdict: judgement.verdict,
        stage: match judgement.findings.len() {
            0 | 1 if judgement.verdict != Verdict::Matched => "verify",
            _ => "match",
        },
        reason: judgement.reason,
        detail: last.and_then(|finding| finding.detail.clone()),
        rendered: None,
    };
    let (Verdict::Matched, Some((event, headers)), Some(trigger)) = (
        judgement.verdict,
        accepted.event_of(judgement, listener),
        &judgement.compiled,
    ) else {
        return row;
    };
    let work = Work {
        id: DeliveryId(0),
        event_id: accepted.event,
        event,
        headers: &headers,
        trigger,
        extensions: &judgement.extensions,
        resume: judgement.resume,
        withheld: &listener.credential_headers,
        accepted_ms: unix_ms(),
        rendered: None,
    };
    let arriving = arrive(&work, &*world.secrets, &*world.calls);
    let arrived = world.runtime.block_on(arriving);
    match arrived.and_then(|arrived| prepare(&work, &arrived)) {
        Err(failure) if failure.is_unwanted() => {
            row.verdict = Verdict::Filtered;
            row.stage = failure.stage();
            row.reason = Some(failure.reason());
            row.detail = Some(failure.to_string());
        }
        Ok(prepared) => {
            row.stage = "render";
            row.rendered = Some(prepared.rendered);
            row.detail = prepared.remark;
        }
        Err(failure) => {
            row.verdict = Verdict::Failed;
            row.stage = failure.stage();
            row.reason = Some(failure.reason());
            row.detail = Some(failure.to_string());
        }
    }
    row
}

fn print_yaml(rows: &[Row]) {
    let rendered = rows.iter().filter_map(|row| row.rendered.as_ref());
    for manifest in rendered.flat_map(|rendered| &rendered.manifests) {
        match document(manifest) {
            Ok(text) => print(&text),
            Err(error) => say(&error.to_string()),
        }
    }
}

fn report(listener: &Listener, accepted: &Accepted, rows: &[Row]) -> Value {
    let sender = accepted.verified.as_ref().and_then(|event| event.sender());
    let facts = accepted.verified.as_ref().and_then(|event| event.facts());
    let (status, body) = ingress::preview(listener, accepted);
    let triggers = rows.iter().map(|row| {
        json!({
            "name": row.name,
            "verdict": row.verdict,
            "stage": row.stage,
            "reason": row.reason,
            "detail": row.detail,
            "params": row.rendered.as_ref().map(|rendered| &rendered.params),
            "resources": row.rendered.as_ref().map_or(&[][..], |rendered| &rendered.manifests),
        })
    });
    json!({
        "event": {
            "id": accepted.event,
            "listener": listener.id.to_string(),
            "sender": sender.map(|sender| sender.name),
            "type": facts.and_then(|facts| facts.event_type()),
            "repository": facts.and_then(|facts| facts.repository()),
        },
        "response": {"status": status.as_u16(), "body": body},
        "triggers": triggers.collect::<Vec<_>>(),
    })
}
