//! A request on its way through an EventListener to the objects that come of
//! it, with nothing but the API server's answers left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tripline::catalog::{Entry, SourceFile};
use tripline::ingress;
use tripline::intercept::cel::{self, Scope};
use tripline::model::event::RawEvent;
use tripline::model::headers::{Headers, canonical as canonical_name};
use tripline::model::ids::{DeliveryId, EventId};
use tripline::model::secret::Secrets;
use tripline::model::verdict::{Reason, Verdict};
use tripline::pipeline::{
    Accepted, Circumstances, Judgement, Work, arrive, consult, judge, prepare,
};
use tripline::secrets::SecretStore;
use tripline::worker::Caller;
use uuid::Uuid;

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

/// Compares what came with what was recorded.
pub(super) fn verdict(came: &Came, expected: &Value) -> Comparison {
    let recorded = expected["created"].as_array().into_iter().flatten();
    let recorded: Vec<(String, Value)> = recorded
        .map(|created| {
            let mut object = created["object"].clone();
            if object["metadata"].is_null() && object.get("metadata").is_some() {
                return (String::new(), object);
            }
            object["metadata"]["namespace"] = created["namespace"].clone();
            let object = super::example::comparable(object);
            (
                created["impersonate"].as_str().unwrap_or("").to_owned(),
                object,
            )
        })
        .collect();
    let failed = expected["not_completed"].as_array().into_iter().flatten();
    let mut classes: Vec<String> = failed
        .filter_map(|failed| failed["error_class"].as_str())
        .map(str::to_owned)
        .collect();
    classes.sort();
    classes.dedup();
    let mut different = Vec::new();
    if classes == ["resource_json"] && came.classes.is_empty() && !came.created.is_empty() {
        // The value alone broke the text of the manifest.
        return Comparison::Better;
    }
    if !same_created(&came.created, &recorded) {
        different.push(format!("created {:?}", came.created));
    }
    if !super::same(&came.response, &response(&expected["response"])) {
        different.push(format!("response {}", came.response));
    }
    let requests = expected["http_requests"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if !same_requests(&came.requests, &requests) {
        different.push(format!("requests {:?}", came.requests));
    }
    if came.classes != classes {
        different.push(format!("classes {:?}", came.classes));
    }
    match different.is_empty() {
        true => Comparison::Same,
        false => Comparison::Different(different.join("\n          ")),
    }
}

/// Order within one trigger counts, between triggers it does not. An account
/// counts where a trigger names one; ours always acts as some account.
fn same_created(came: &[(String, Value)], recorded: &[(String, Value)]) -> bool {
    let names_none = recorded.iter().all(|(account, _)| account.is_empty());
    let came: Vec<(String, Value)> = came
        .iter()
        .map(|(account, object)| match names_none {
            true => (String::new(), object.clone()),
            false => (account.clone(), object.clone()),
        })
        .collect();
    let came = &came[..];
    let by_trigger = |objects: &[(String, Value)]| {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (account, object) in objects {
            let trigger = &object["metadata"]["labels"]["triggers.tekton.dev/trigger"];
            let shown = format!("{account} {}", canonical(object));
            groups.entry(trigger.to_string()).or_default().push(shown);
        }
        groups
    };
    let (mut came, mut recorded) = (by_trigger(came), by_trigger(recorded));
    if came == recorded {
        return true;
    }
    // Several triggers of one name.
    came.values_mut()
        .chain(recorded.values_mut())
        .for_each(|all| all.sort());
    came == recorded
}

/// Text of a value with numbers as doubles.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            fields
                .map(|(name, value)| (name.clone(), canonical(value)))
                .collect()
        }
        other => other.clone(),
    }
}

fn same_requests(came: &[Value], recorded: &[Value]) -> bool {
    came.len() == recorded.len()
        && came.iter().zip(recorded).all(|(came, recorded)| {
            let plain = |url: &Value| {
                let url = url
                    .as_str()
                    .unwrap_or_default()
                    .trim_end_matches('/')
                    .to_owned();
                url.strip_suffix(":80").map(str::to_owned).unwrap_or(url)
            };
            let headers = recorded["headers"].as_object().into_iter().flatten();
            // What the client writes itself is another matter.
            let mut headers = headers.filter(|(name, _)| *name != "Content-Length");
            let has = |(name, values): (&String, &Value)| {
                came["headers"].get(name.to_ascii_lowercase()) == Some(values)
            };
            let body = || {
                let came: Value = serde_json::from_str(came["body"].as_str()?).ok()?;
                Some(super::same(&came, &recorded["body_json"]))
            };
            came["method"] == recorded["method"]
                && plain(&came["url"]) == plain(&recorded["url"])
                && headers.all(has)
                && match recorded.get("body_json") {
                    Some(_) => body() == Some(true),
                    None => recorded
                        .get("body")
                        .is_none_or(|body| came["body"] == *body),
                }
        })
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

fn response(recorded: &Value) -> Value {
    json!({
        "status": recorded["status"],
        "body": recorded.get("body").cloned().unwrap_or(Value::Null),
        "ce": recorded.get("ce_headers").cloned().unwrap_or_else(|| json!({})),
    })
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
        recalled: false,
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
        let Some((event, headers)) = self.accepted.event_of(judgement) else {
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

    /// Upstream's class for why a trigger did not go on.
    fn class(&self, reason: Option<Reason>) -> String {
        let class = match reason {
            Some(
                Reason::SignatureMissing
                | Reason::SignatureMalformed
                | Reason::SignatureMismatch
                | Reason::TokenMissing
                | Reason::TokenMismatch,
            ) => "signature",
            Some(Reason::NotThisSender) => "event_type",
            Some(Reason::EventNotListed) => "event_type",
            Some(Reason::FilterFalse) => "filter_false",
            Some(Reason::CelFailed | Reason::SecretComparisonFalse) => {
                self.class_of_cel().unwrap_or("filter_false")
            }
            Some(Reason::OverlayFailed) => "type",
            Some(Reason::SecretMissing) => "secret",
            Some(Reason::PayloadIncomplete) => "field",
            Some(
                Reason::BodyNotJson
                | Reason::BodyNotObject
                | Reason::BodyEmpty
                | Reason::BodyNotForm,
            ) => "body",
            Some(Reason::InterceptorFailed) => {
                let findings = &self.judgement.findings;
                let said = findings
                    .iter()
                    .filter_map(|finding| finding.detail.as_deref());
                let said: String = said.collect();
                match said.contains("with status") {
                    true => "transport",
                    false => "response",
                }
            }
            Some(Reason::InterceptorUnavailable | Reason::AwaitsInterceptor) => "transport",
            _ => "unknown",
        };
        format!("interceptor_{class}")
    }

    /// The class of error that the first failing expression has.
    fn class_of_cel(&self) -> Option<&'static str> {
        let trigger = self.judgement.compiled.as_ref()?;
        let body: Value = serde_json::from_slice(&self.request.body).ok()?;
        let none = Map::new();
        let scope = Scope {
            body: &body,
            headers: &self.request.headers,
            extensions: &none,
            request_url: &self.request.url,
            secrets: self.secrets as &dyn Secrets,
            namespace: &trigger.source.namespace,
        };
        let group = trigger
            .source
            .group
            .iter()
            .flat_map(|group| &group.interceptors);
        let params = group
            .chain(&trigger.source.interceptors)
            .flat_map(|one| &one.params);
        params
            .filter(|param| param.name == "filter")
            .filter_map(|param| cel::compile(param.value.as_str()?).ok())
            .find_map(|program| program.evaluate(&scope).err())
            .map(|error| error.class().as_str())
    }

    fn class_of_mistake(&self, entry: &Entry) -> String {
        let Entry::Broken(broken) = entry else {
            return "unknown".into();
        };
        let told = broken
            .problems
            .iter()
            .map(|problem| problem.message.clone());
        let told: Vec<String> = told.chain(self.mistakes.to_vec()).collect();
        let has = |text: &str| told.iter().any(|message| message.contains(text));
        if has("ClusterInterceptor") || has("URL was nil") || has("no Interceptor") {
            "missing_interceptor"
        } else if has("no TriggerBinding") || has("ClusterTriggerBinding") {
            "binding"
        } else if has("no TriggerTemplate") {
            "missing_template"
        } else if has("no Trigger ") {
            "missing_trigger"
        } else if has("given twice") || has("duplicate") {
            "binding"
        } else {
            "unknown"
        }
        .into()
    }
}
