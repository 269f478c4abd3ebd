//! Does the trigger want this event?
//!
//! In: a verified event, a compiled chain, the secrets that are known. Out: a
//! verdict, the extensions that overlays added, and what each step found.
//! Everything here is pure computation; a chain never parses, dials or waits.

use serde_json::{Map, Value};

use crate::model::event::VerifiedEvent;
use crate::model::finding::{Finding, Stop};
use crate::model::problem::Problem;
use crate::model::secret::{SecretKeyRef, Secrets};
use crate::model::sender::Sender;
use crate::model::verdict::{Reason, Verdict};

pub mod cel;
mod cel_step;
mod event_types;
mod filter;
mod github;
mod globs;
mod harbor;

use cel_step::CelStep;
use event_types::EventTypes;
use filter::Filter;
use harbor::Harbor;

/// Names of the interceptors that run inside the gateway.
pub const BUILT_IN: [&str; 5] = ["github", "gitlab", "harbor", "filter", "cel"];

/// The interceptors of a trigger, in the order in which they run.
#[derive(Debug, Default)]
pub struct Chain {
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
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
    /// The secret that a deferred event waits for.
    pub awaits: Option<SecretKeyRef>,
    /// One entry a step that ran.
    pub findings: Vec<Finding>,
}

/// What a chain sees besides the event.
pub struct Surroundings<'a> {
    /// The secrets that are known now.
    pub secrets: &'a dyn Secrets,
    /// Namespace of the trigger; expressions read secrets there.
    pub namespace: &'a str,
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
        let interceptor = match kind {
            "cel" => Some(Interceptor::Cel(Box::new(CelStep::compile(params)?))),
            "filter" => Some(Interceptor::Filter(Box::new(Filter::compile(params)?))),
            "harbor" => Some(Interceptor::Harbor(Harbor::compile(params)?)),
            _ => match sender.and_then(|sender| sender.event_header) {
                Some(header) => {
                    github::refuse_calls(params).map_err(|problem| vec![problem])?;
                    EventTypes::compile(header, params)
                        .map_err(|problem| vec![problem])?
                        .map(Interceptor::EventTypes)
                }
                None => {
                    return Err(vec![Problem::at(
                        "",
                        format!(
                            "there is no interceptor `{kind}`; built in are {}; interceptors over the network are not supported by this version",
                            BUILT_IN.join(", ")
                        ),
                    )]);
                }
            },
        };
        self.steps.extend(interceptor.map(|interceptor| Step {
            name: if name.is_empty() { kind } else { name }.to_owned(),
            interceptor,
        }));
        Ok(())
    }

    /// Runs the chain. It stops at the first interceptor that does not let the
    /// event pass.
    pub fn run(&self, event: &VerifiedEvent, around: &Surroundings<'_>) -> Outcome {
        let mut outcome = Outcome {
            verdict: Verdict::Matched,
            reason: None,
            extensions: Map::new(),
            awaits: None,
            findings: Vec::with_capacity(self.steps.len()),
        };
        if event.is_ping() {
            let stop = Stop::filtered(Reason::Ping, Reason::Ping.meaning());
            outcome.stop("ping", stop);
            return outcome;
        }
        for step in &self.steps {
            if step.interceptor.needs_body()
                && let Err(stop) = has_body(event)
            {
                outcome.stop("body", stop);
                return outcome;
            }
            let decided = match &step.interceptor {
                Interceptor::EventTypes(types) => types.decide(event),
                Interceptor::Harbor(harbor) => harbor.decide(event),
                Interceptor::Filter(filter) => filter.decide(event),
                Interceptor::Cel(cel) => {
                    cel.decide(event, around, &mut outcome.extensions, &mut outcome.awaits)
                }
            };
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

impl Interceptor {
    /// Whether it looks at the body. One that does not can spare the parser a
    /// body that nobody wants.
    fn needs_body(&self) -> bool {
        match self {
            Self::EventTypes(_) => false,
            Self::Harbor(_) | Self::Filter(_) | Self::Cel(_) => true,
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
