//! A request on its way through an EventListener to the objects that come of
//! it, with nothing but the API server's answers left out.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tripline::catalog::{Entry, Listener, SourceFile};
use tripline::ingress;
use tripline::model::event::RawEvent;
use tripline::model::headers::{Headers, canonical as canonical_name};
use tripline::model::ids::{DeliveryId, EventId};
use tripline::model::verdict::{Reason, Verdict};
use tripline::pipeline::{
    Accepted, Circumstances, Judgement, Work, arrive, consult, judge, prepare,
};
use tripline::secrets::SecretStore;
use tripline::worker::Caller;
use uuid::Uuid;

mod classes;
mod verdict;

pub(super) use verdict::verdict;

use super::world::{self, Stubs};
use crate::{Case, Comparison};

/// Kinds that the API server of the recording served, with their resources.
const SERVED: [(&str, &[&str]); 9] = [
    (
        "v1",
        &[
            "ConfigMap",
            "Secret",
            "Pod",
            "Service",
            "ServiceAccount",
            "Event",
        ],
    ),
    ("batch/v1", &["Job", "CronJob"]),
    ("apps/v1", &["Deployment"]),
    (
        "tekton.dev/v1",
        &["PipelineRun", "TaskRun", "Pipeline", "Task"],
    ),
    (
        "tekton.dev/v1beta1",
        &["PipelineRun", "TaskRun", "Pipeline", "Task", "CustomRun"],
    ),
    (
        "tekton.dev/v1alpha1",
        &["PipelineRun", "TaskRun", "PipelineResource"],
    ),
    ("example.com/v1", &["Widget"]),
    ("argoproj.io/v1alpha1", &["Workflow"]),
    ("triggers.tekton.dev/v1beta1", &["TriggerBinding"]),
];

/// What came of a request.
pub(super) struct Came {
    created: Vec<(String, Value)>,
    /// Classes of what did not come to its end.
    classes: Vec<String>,
    response: Value,
    requests: Vec<Value>,
}

/// Compares objects, the answer, the requests to others, and classes of what
/// failed.
pub(super) fn compare(case: &Case) -> Comparison {
    let input = &case.input;
    let request = &input["request"];
    let mut headers = Headers::new();
    for (name, values) in super::headers(case).iter() {
        for value in values {
            headers.append(name, value.as_str());
        }
    }
    let body = super::body(case);
    if !body.is_empty() {
        headers.append("Content-Length", body.len().to_string());
    }
    let request = RawEvent {
        method: request["method"].as_str().unwrap_or("POST").into(),
        url: request["url"].as_str().unwrap_or("/").into(),
        headers,
        body: body.into(),
        rule: Default::default(),
    };
    let namespace = input["namespace"].as_str().unwrap_or("default");
    let objects = input["objects"].as_array().cloned().unwrap_or_default();
    let stubs = Stubs::of(input);
    let manifests = objects
        .into_iter()
        .map(|object| claimed(object, namespace, input));
    let came = came(
        world::files(&manifests.collect::<Vec<_>>()),
        listener_name(input, namespace),
        request,
        input,
        &stubs,
    );
    let came = match came {
        Ok(came) => came,
        Err(message) => return Comparison::Different(message),
    };
    verdict(&came, &case.expected)
}

/// An object of the case as it would be where it is served by Tripline in
/// Tekton's ways.
fn claimed(mut object: Value, namespace: &str, input: &Value) -> Value {
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    let cluster = ["ClusterInterceptor", "ClusterTriggerBinding"].contains(&kind.as_str());
    if !cluster && object["metadata"]["namespace"].is_null() {
        object["metadata"]["namespace"] = namespace.into();
    }
    if kind == "EventListener" {
        object["metadata"]["annotations"]["tripline.dev/compat"] = "tekton".into();
        object["metadata"]["annotations"]["tripline.dev/responses"] = "tekton".into();
        object["metadata"]["uid"] = input["event_listener_uid"].clone();
    }
    object
}

fn listener_name(input: &Value, namespace: &str) -> Option<String> {
    let named = input["eventListener"].as_str()?;
    Some(format!("{namespace}/{named}"))
}

/// What comes of a request to a listener among these files.
pub(super) fn came(
    manifests: Vec<SourceFile>,
    named: Option<String>,
    mut request: RawEvent,
    input: &Value,
    stubs: &Arc<Stubs>,
) -> Result<Came, String> {
    let (loaded, secrets) = world::load(manifests);
    let listener = match &named {
        Some(named) => loaded.snapshot.listener(named),
        None => loaded.snapshot.only(),
    };
    let Some(listener) = listener else {
        return Ok(Came {
            created: Vec::new(),
            classes: vec!["event_listener".into()],
            response: json!({"status": 404, "body": null, "ce": {}}),
            requests: Vec::new(),
        });
    };
    request.rule = listener.manner.rule;
    let circumstances = Circumstances {
        secrets: &*secrets,
        fresh: Uuid::nil(),
        received_ms: 0,
        explain: false,
        proven: &[],
    };
    let caller = stubs.caller();
    let mut accepted = judge(listener, request.clone(), &circumstances);
    accepted.event = event_id(input);
    let told = ingress::told(listener, &accepted);
    let accepts = accepted.complaint.is_none();
    if accepts && accepted.awaits_interceptor() {
        world::block_on(consult(listener, &mut accepted, &circumstances, &caller));
        accepted.event = event_id(input);
    }
    let mut came = Came {
        created: Vec::new(),
        classes: Vec::new(),
        response: json!({
            "status": told.status.as_u16(),
            "body": told.body,
            "ce": told
                .headers
                .iter()
                .map(|(name, value)| (canonical_name(name).into_owned(), json!(value)))
                .collect::<Map<_, _>>(),
        }),
        requests: Vec::new(),
    };
    let diagnostics = loaded.diagnostics.iter().map(|d| d.message.clone());
    let mistakes: Vec<String> = diagnostics.collect();
    match accepts {
        false => came.classes.push("payload".into()),
        true => {
            for (judgement, entry) in accepted.judgements.iter().zip(&listener.triggers) {
                let run = Run {
                    listener,
                    judgement,
                    accepted: &accepted,
                    secrets: &secrets,
                    caller: &caller,
                    request: &request,
                    mistakes: &mistakes,
                    input,
                };
                run.deliver(entry, &mut came);
            }
        }
    }
    came.requests = stubs.asked();
    // A question that nobody answers is asked twice at once.
    came.requests.dedup();
    came.classes.sort();
    came.classes.dedup();
    Ok(came)
}

fn event_id(input: &Value) -> EventId {
    let id = input["event_id"].as_str().and_then(|id| id.parse().ok());
    EventId(id.unwrap_or_default())
}

/// One trigger on an event.
struct Run<'a> {
    listener: &'a Listener,
    judgement: &'a Judgement,
    accepted: &'a Accepted,
    secrets: &'a SecretStore,
    caller: &'a Caller,
    request: &'a RawEvent,
    mistakes: &'a [String],
    input: &'a Value,
}

impl Run<'_> {
    fn deliver(&self, entry: &Entry, came: &mut Came) {
        let judgement = self.judgement;
        let Entry::Ready(trigger) = entry else {
            let class = self.class_of_mistake(entry);
            came.classes.push(class);
            return;
        };
        if judgement.verdict != Verdict::Matched {
            let class = self.class(judgement.reason);
            came.classes.push(class);
            return;
        }
        let Some((event, headers)) = self.accepted.event_of(judgement, self.listener) else {
            came.classes.push("nobody verified it".into());
            return;
        };
        let work = Work {
            id: DeliveryId(0),
            event_id: event_id(self.input),
            event,
            headers: &headers,
            trigger,
            extensions: &judgement.extensions,
            resume: judgement.resume,
            withheld: &[],
            accepted_ms: 0,
            rendered: None,
        };
        let arrived = world::block_on(arrive(&work, self.secrets, self.caller));
        let prepared = arrived.and_then(|arrived| prepare(&work, &arrived));
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => {
                let class = match failure.stage() {
                    "bind" if failure.reason() == Reason::DuplicateParam => "binding".into(),
                    "bind" => "params".into(),
                    "render" => "resource_json".into(),
                    _ => self.class(Some(failure.reason())),
                };
                came.classes.push(class);
                return;
            }
        };
        let source = &trigger.source;
        let account = match source.service_account.as_str() {
            "default" => String::new(),
            name => format!("system:serviceaccount:{}:{name}", source.account_namespace),
        };
        for manifest in prepared.rendered.manifests {
            let uid = work.event_id.uid_for(&source.id).to_string();
            let text = manifest.0.to_string();
            let text = text.replace(&uid, self.input["uid"].as_str().unwrap_or_default());
            let object: Value = serde_json::from_str(&text).unwrap_or_default();
            let served = SERVED.iter().any(|(version, kinds)| {
                object["apiVersion"] == *version && kinds.iter().any(|kind| object["kind"] == *kind)
            });
            if !served {
                came.classes.push("resource_kind".into());
                return;
            }
            let object = super::example::comparable(object);
            came.created.push((account.clone(), object));
        }
    }
}
