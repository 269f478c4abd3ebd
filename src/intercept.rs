//! Does the trigger want this event?
//!
//! In: a verified event, a compiled chain, the secrets that are known. Out: a
//! verdict, the extensions that overlays added, and what each step found.
//! Everything here is pure computation; a chain never parses, dials or waits.

use serde_json::{Map, Value};

use crate::model::event::VerifiedEvent;
use crate::model::finding::{Finding, Stop};
use crate::model::headers::canonical;
use crate::model::problem::{Problem, unknown_fields};
use crate::model::secret::Secrets;
use crate::model::sender::Sender;
use crate::model::verdict::{Reason, Verdict};

pub mod cel;
mod cel_step;
mod event_types;
mod filter;
mod github;
mod globs;
mod harbor;

use cel::Credential;
use cel_step::CelStep;
use event_types::EventTypes;
use filter::Filter;
use harbor::Harbor;

/// Names of the interceptors that run inside the gateway.
pub const BUILT_IN: [&str; 5] = ["github", "gitlab", "harbor", "filter", "cel"];

/// Parameters of the interceptors that verify a sender and list event types.
const SENDER_PARAMS: [&str; 5] = [
    "secretRef",
    "secretRefs",
    "eventTypes",
    "addChangedFiles",
    "githubOwners",
];

/// The interceptors of a trigger, in the order in which they run.
#[derive(Debug, Default)]
pub struct Chain {
    steps: Vec<Step>,
    /// Interceptors that were added, those that do nothing here included.
    added: usize,
}

#[derive(Debug)]
struct Step {
    /// Which of the trigger's interceptors it is.
    index: usize,
    name: String,
    interceptor: Interceptor,
}

#[derive(Debug)]
enum Interceptor {
    EventTypes(EventTypes),
    Harbor(Harbor),
    Filter(Box<Filter>),
    Cel(Box<CelStep>),
}

/// What a chain made of an event.
#[derive(Debug)]
pub struct Outcome {
    /// `matched`, or what stopped it.
    pub verdict: Verdict,
    /// Why it stopped.
    pub reason: Option<Reason>,
    /// What overlays added, by key.
    pub extensions: Map<String, Value>,
    /// One entry a step that ran.
    pub findings: Vec<Finding>,
}

/// What a chain sees besides the event.
pub struct Surroundings<'a> {
    /// The secrets that are known now.
    pub secrets: &'a dyn Secrets,
    /// Namespace of the trigger; expressions read secrets there.
    pub namespace: &'a str,
    /// Whether somebody will look at the explanations.
    pub explain: bool,
    /// Headers that no explanation shows: the credentials of all senders, and
    /// what any trigger of the listener compares with a secret.
    pub withheld: &'a [String],
}

impl Chain {
    /// Adds the interceptor `kind` under the name that its author gave it.
    /// `sender` is what is known of a sender of that name. An interceptor
    /// that only verifies adds nothing.
    pub fn add(
        &mut self,
        kind: &str,
        name: &str,
        params: &Map<String, Value>,
        sender: Option<&'static Sender>,
    ) -> Result<(), Vec<Problem>> {
        let index = self.added;
        self.added += 1;
        let interceptor = match kind {
            // Its mistake has been told.
            "" => None,
            "cel" => Some(Interceptor::Cel(Box::new(CelStep::compile(params)?))),
            "filter" => Some(Interceptor::Filter(Box::new(Filter::compile(params)?))),
            "harbor" => Some(Interceptor::Harbor(Harbor::compile(params)?)),
            _ => {
                let header = sender.and_then(|sender| sender.event_header);
                let header = header.ok_or_else(|| vec![unknown(kind)])?;
                event_types(header, params)?
            }
        };
        self.steps.extend(interceptor.map(|interceptor| Step {
            index,
            name: if name.is_empty() { kind } else { name }.to_owned(),
            interceptor,
        }));
        Ok(())
    }

    /// Headers that expressions compare with secrets.
    pub fn credential_headers(&self) -> impl Iterator<Item = String> {
        self.credentials()
            .filter_map(|(_, credential)| match credential {
                Credential::Header(name) => Some(canonical(name).into_owned()),
                Credential::Within(_) => None,
            })
    }

    /// What else expressions compare with secrets, with the number of the
    /// interceptor. It cannot be kept out of the journal.
    pub fn recorded_credentials(&self) -> impl Iterator<Item = (usize, &str)> {
        self.credentials()
            .filter_map(|(index, credential)| match credential {
                Credential::Header(_) => None,
                Credential::Within(part) => Some((index, part.as_str())),
            })
    }

    fn credentials(&self) -> impl Iterator<Item = (usize, &Credential)> {
        self.steps.iter().flat_map(|step| {
            let step_credentials = match &step.interceptor {
                Interceptor::Cel(cel) => Some(cel.credentials()),
                _ => None,
            };
            let all = step_credentials.into_iter().flatten();
            all.map(|credential| (step.index, credential))
        })
    }

    /// Runs the chain. Whatever says who sent the event comes first, so that
    /// a stranger learns nothing from the rest; then it stops at the first
    /// interceptor that does not let the event pass.
    pub fn run(&self, event: &VerifiedEvent, around: &Surroundings<'_>) -> Outcome {
        let mut outcome = Outcome {
            verdict: Verdict::Matched,
            reason: None,
            extensions: Map::new(),
            findings: Vec::with_capacity(self.steps.len()),
        };
        for step in &self.steps {
            if let Interceptor::Cel(cel) = &step.interceptor
                && let Err(stop) = cel.authenticate(event, around)
            {
                outcome.stop(&step.name, stop);
                return outcome;
            }
        }
        if event.is_ping() {
            let stop = Stop::filtered(Reason::Ping, Reason::Ping.meaning());
            outcome.stop("ping", stop);
            return outcome;
        }
        for step in &self.steps {
            let decided = step
                .interceptor
                .ready(event)
                .and_then(|()| match &step.interceptor {
                    Interceptor::EventTypes(types) => types.decide(event),
                    Interceptor::Harbor(harbor) => harbor.decide(event),
                    Interceptor::Filter(filter) => filter.decide(event),
                    Interceptor::Cel(cel) => cel.decide(event, around, &mut outcome.extensions),
                });
            match decided {
                Ok(()) => outcome.findings.push(Finding::passed(&step.name)),
                Err(stop) => {
                    outcome.stop(&step.name, stop);
                    return outcome;
                }
            }
        }
        // Bindings need it, whatever the interceptors did.
        if let Err(stop) = has_body(event) {
            outcome.stop("body", stop);
        }
        outcome
    }
}

/// What is wrong with the syntax of a CEL expression, if anything is.
pub fn cel_syntax(source: &str) -> Option<String> {
    cel::syntax(source)
}

/// Parameters that an interceptor is given and does not have. Upstream passes
/// them over; they are most likely misspelt.
pub fn unknown_params<'a>(
    kind: &str,
    params: &'a Map<String, Value>,
) -> impl Iterator<Item = &'a str> {
    let known: &[&str] = match kind {
        "cel" => &["filter", "overlays"],
        // These refuse them themselves.
        "filter" | "harbor" => &[],
        _ => &SENDER_PARAMS,
    };
    let names = (!known.is_empty()).then(|| unknown_fields(params, known));
    names.into_iter().flatten()
}

/// Headers that expressions in `value` may compare with secrets, for
/// expressions that do not compile: every quoted text of theirs.
pub fn suspected_headers(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) if text.contains("compareSecret") => {
            let quoted = text.split(['\'', '"']).skip(1);
            let is_name = |text: &&str| {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                !text.is_empty() && text.bytes().all(plain)
            };
            let names = quoted.filter(is_name);
            names.map(|name| canonical(name).into_owned()).collect()
        }
        Value::Array(items) => items.iter().flat_map(suspected_headers).collect(),
        Value::Object(fields) => fields.values().flat_map(suspected_headers).collect(),
        _ => Vec::new(),
    }
}

fn unknown(kind: &str) -> Problem {
    let built_in = BUILT_IN.join(", ");
    Problem::at(
        "",
        format!(
            "there is no interceptor `{kind}`; built in are {built_in}; interceptors over the \
             network are not supported by this version"
        ),
    )
}

fn event_types(
    header: &'static str,
    params: &Map<String, Value>,
) -> Result<Option<Interceptor>, Vec<Problem>> {
    let mut problems = github::refuse_calls(params);
    let types = EventTypes::compile(header, params).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    if problems.is_empty() {
        Ok(types.map(Interceptor::EventTypes))
    } else {
        Err(problems)
    }
}

impl Interceptor {
    /// Whether the event has what it looks at. One that does not look at the
    /// body can spare the parser a body that nobody wants.
    fn ready(&self, event: &VerifiedEvent) -> Result<(), Stop> {
        match self {
            Self::EventTypes(_) => Ok(()),
            Self::Harbor(_) | Self::Filter(_) | Self::Cel(_) => has_body(event),
        }
    }
}

impl Outcome {
    fn stop(&mut self, step: &str, stop: Stop) {
        self.verdict = stop.verdict;
        self.reason = Some(stop.reason);
        self.findings.push(Finding::stopped(step, stop));
    }
}

/// The body must be an object.
fn has_body(event: &VerifiedEvent) -> Result<(), Stop> {
    let body = event.body();
    body.map(|_| ())
        .map_err(|reason| Stop::failed(reason, reason.meaning()))
}

#[cfg(test)]
mod tests;
