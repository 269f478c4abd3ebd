//! Does the trigger want this event?
//!
//! In: a verified event, a compiled chain, the secrets that are known. Out: a
//! verdict, the extensions that overlays added, and what each step found.
//!
//! What comes before the first question to somebody else is pure computation
//! and runs before the sender is answered; the rest runs in the worker, with
//! [`calls::Calls`] for whom it asks.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::event::VerifiedEvent;
use crate::model::finding::{Finding, Stop};
use crate::model::headers::canonical;
use crate::model::problem::{Problem, unknown_fields};
use crate::model::secret::{SecretKeyRef, Secrets};
use crate::model::sender::Sender;
use crate::model::verdict::{Reason, Verdict};

pub mod calls;
pub mod cel;
mod cel_step;
mod event_types;
mod filter;
mod github;
mod globs;
mod harbor;
mod remote;
mod rest;
mod slack;
mod step;
mod webhook;

use calls::Endpoint;
use cel::Credential;
use step::{Interceptor, Step, has_body, interceptors};

pub use rest::{End, Placed, Replacement, Rest};

/// Names of the interceptors that run inside the gateway.
pub const BUILT_IN: [&str; 7] = [
    "github",
    "gitlab",
    "bitbucket",
    "slack",
    "harbor",
    "filter",
    "cel",
];

/// Those of them that a cluster object of the same name does not stand for:
/// Tekton installs objects for its own ones, which run in the gateway all the
/// same.
pub const TEKTONS: [&str; 5] = ["cel", "github", "gitlab", "bitbucket", "slack"];

/// Parameters of the interceptors that verify a sender and list event types.
const SENDER_PARAMS: [&str; 3] = ["secretRef", "secretRefs", "eventTypes"];

/// More of the one that knows GitHub.
const GITHUB_PARAMS: [&str; 5] = [
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

/// An interceptor to be added to a chain.
pub struct Described<'a> {
    /// Which interceptor it is; nothing where its mistake has been told.
    pub kind: &'a str,
    /// The name that its author gave it.
    pub name: &'a str,
    /// Its parameters.
    pub params: &'a Map<String, Value>,
    /// What is known of a sender of that name.
    pub sender: Option<&'static Sender>,
    /// Where it is, where that is outside of the gateway.
    pub away: Option<&'a Away>,
    /// Namespace of the trigger; its tokens are there.
    pub namespace: &'a str,
    /// Whether it behaves as Tekton's where those differ.
    pub as_tekton: bool,
    /// Whether it is the first of its trigger.
    pub is_first: bool,
}

/// An interceptor outside of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Away {
    /// One that speaks Tekton's protocol.
    Remote(Endpoint),
    /// One that takes the event and gives another one.
    Webhook {
        /// Where it is.
        endpoint: Endpoint,
        /// Headers that it is sent.
        headers: Vec<(String, Vec<String>)>,
    },
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
    /// Where the chain goes on, where it has somebody else to ask first.
    pub rest: Option<usize>,
}

/// What a chain sees besides the event.
pub struct Surroundings<'a> {
    /// The secrets that are known now.
    pub secrets: &'a dyn Secrets,
    /// Namespace of the trigger; expressions read secrets there.
    pub namespace: &'a str,
    /// Whether somebody will look at the explanations.
    pub explain: bool,
    /// Whether a secret has proved who sent the event.
    pub is_verified: bool,
    /// Headers that no explanation shows: the credentials of all senders, and
    /// what any trigger of the listener compares with a secret.
    pub withheld: &'a [String],
}

impl Chain {
    /// A chain of a trigger's interceptors from number `first` on.
    pub fn starting_at(first: usize) -> Self {
        Self {
            steps: Vec::new(),
            added: first,
        }
    }

    /// Adds an interceptor. One that only verifies adds nothing.
    pub fn add(&mut self, described: &Described<'_>) -> Result<(), Vec<Problem>> {
        let index = self.added;
        self.added += 1;
        let Described { kind, name, .. } = *described;
        for interceptor in interceptors(described)? {
            let step = Step {
                index,
                name: if name.is_empty() { kind } else { name }.to_owned(),
                interceptor,
            };
            // What looks at headers alone spares others a question.
            let at = match step.interceptor {
                Interceptor::EventTypes(_) => self.first_question(),
                _ => None,
            };
            self.steps.insert(at.unwrap_or(self.steps.len()), step);
        }
        Ok(())
    }

    /// The first step that asks others, for some event at least.
    fn first_question(&self) -> Option<usize> {
        self.steps.iter().position(|step| step.interceptor.asks())
    }

    /// Whether somebody outside of the gateway may say who sent an event.
    pub fn is_asked_elsewhere(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| {
            matches!(
                step.interceptor,
                Interceptor::Remote(_) | Interceptor::Webhook(_)
            )
        })
    }

    /// Whether others have to be asked, for some event at least.
    pub fn asks(&self) -> bool {
        self.first_question().is_some()
    }

    /// Whether an expression says who sent an event, before any interceptor
    /// runs: nobody passes it who does not know a secret.
    pub fn authenticates(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| matches!(&step.interceptor, Interceptor::Cel(cel) if cel.proves()))
    }

    /// Whether a webhook puts another event in the place of one.
    pub fn replaces(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| matches!(step.interceptor, Interceptor::Webhook(_)))
    }

    /// Secrets that it sends to others.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretKeyRef> {
        self.steps
            .iter()
            .filter_map(|step| match &step.interceptor {
                Interceptor::ChangedFiles(files) => files.secret(),
                Interceptor::Owners(owners) => owners.secret(),
                _ => None,
            })
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

    /// Lets every expression that says who sent the event do so. What stops it,
    /// and which step that is.
    pub fn authenticate(
        &self,
        event: &VerifiedEvent,
        around: &Surroundings<'_>,
    ) -> Result<(), (&str, Stop)> {
        for step in &self.steps {
            if let Interceptor::Cel(cel) = &step.interceptor {
                let proven = cel.authenticate(event, around);
                proven.map_err(|stop| (step.name.as_str(), stop))?;
            }
        }
        Ok(())
    }

    /// Runs the chain as far as nobody else has to be asked, with the
    /// `extensions` that there are. Whatever says who sent the event comes
    /// first, so that a stranger learns nothing from the rest; then it stops
    /// at the first interceptor that does not let the event pass.
    pub fn run(
        &self,
        event: &VerifiedEvent,
        around: &Surroundings<'_>,
        extensions: Map<String, Value>,
    ) -> Outcome {
        let mut outcome = Outcome {
            verdict: Verdict::Matched,
            reason: None,
            extensions,
            findings: Vec::with_capacity(self.steps.len()),
            rest: None,
        };
        if let Err((step, stop)) = self.authenticate(event, around) {
            outcome.stop(step, stop);
            return outcome;
        }
        if event.is_ping() {
            let stop = Stop::filtered(Reason::Ping, Reason::Ping.meaning());
            outcome.stop("ping", stop);
            return outcome;
        }
        for (index, step) in self.steps.iter().enumerate() {
            if step.interceptor.needs_call(event) {
                outcome.rest = Some(index);
                break;
            }
            match step.decide(event, around, &mut outcome.extensions) {
                Ok(()) => outcome.findings.push(Finding::passed(&step.name)),
                Err(stop) => {
                    outcome.stop(&step.name, stop);
                    return outcome;
                }
            }
        }
        // Bindings need it, whatever the interceptors did, unless what is asked
        // next gives another one.
        if !event.rule().is_open()
            && !self.is_replaced_next(&outcome)
            && let Err(stop) = has_body(event)
        {
            outcome.stop("body", stop);
        }
        outcome
    }
}

impl Chain {
    fn is_replaced_next(&self, outcome: &Outcome) -> bool {
        let next = outcome.rest.and_then(|rest| self.steps.get(rest));
        next.is_some_and(|step| matches!(step.interceptor, Interceptor::Webhook(_)))
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
        "github" => &GITHUB_PARAMS,
        "slack" => &["secretRef", "secretRefs", "requestedFields"],
        _ if BUILT_IN.contains(&kind) => &SENDER_PARAMS,
        // What others take is their own affair.
        _ => &[],
    };
    let names = (!known.is_empty()).then(|| unknown_fields(params, known));
    names.into_iter().flatten()
}

/// Values of parameters that do something else than their author most likely
/// means.
pub fn odd_values(kind: &str, params: &Map<String, Value>) -> Option<Problem> {
    (kind == "github").then(|| github::odd_check_type(params))?
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

impl Outcome {
    fn stop(&mut self, step: &str, stop: Stop) {
        self.verdict = stop.verdict;
        self.reason = Some(stop.reason);
        self.findings.push(Finding::stopped(step, stop));
    }
}

#[cfg(test)]
mod tests;
