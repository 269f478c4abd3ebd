//! The steps of a chain: which interceptor makes which, and who decides by
//! himself.

use serde_json::{Map, Value};

use crate::model::event::VerifiedEvent;
use crate::model::finding::Stop;
use crate::model::problem::Problem;
use crate::model::verdict::Reason;

use super::calls::OnFailure;
use super::cel_step::CelStep;
use super::event_types::EventTypes;
use super::filter::Filter;
use super::github::{ChangedFiles, Owners};
use super::harbor::Harbor;
use super::remote::Remote;
use super::slack::Slack;
use super::webhook::Webhook;
use super::{Away, BUILT_IN, Described, Surroundings};

#[derive(Debug)]
pub(super) struct Step {
    /// Which of the trigger's interceptors it is.
    pub index: usize,
    pub name: String,
    pub interceptor: Interceptor,
}

#[derive(Debug)]
pub(super) enum Interceptor {
    EventTypes(EventTypes),
    NoForm,
    Harbor(Harbor),
    Filter(Box<Filter>),
    Cel(Box<CelStep>),
    Slack(Slack),
    ChangedFiles(ChangedFiles),
    Owners(Owners),
    Remote(Box<Remote>),
    Webhook(Box<Webhook>),
}

fn unknown(kind: &str) -> Problem {
    let built_in = BUILT_IN.join(", ");
    Problem::at(
        "",
        format!("there is no ClusterInterceptor `{kind}`; built in are {built_in}"),
    )
}

/// The steps of an interceptor, in their order.
pub(super) fn interceptors(described: &Described<'_>) -> Result<Vec<Interceptor>, Vec<Problem>> {
    let Described {
        kind, params, away, ..
    } = *described;
    match away {
        Some(Away::Remote(endpoint)) => {
            let remote = Remote::new(endpoint.clone(), params.clone());
            return Ok(vec![Interceptor::Remote(Box::new(remote))]);
        }
        Some(Away::Webhook { endpoint, headers }) => {
            let webhook = Webhook::new(endpoint.clone(), headers.clone(), described.is_first);
            return Ok(vec![Interceptor::Webhook(Box::new(webhook))]);
        }
        None => {}
    }
    Ok(match kind {
        // Its mistake has been told.
        "" => Vec::new(),
        "cel" => vec![Interceptor::Cel(Box::new(CelStep::compile(params)?))],
        "filter" => vec![Interceptor::Filter(Box::new(Filter::compile(params)?))],
        "harbor" => vec![Interceptor::Harbor(Harbor::compile(params)?)],
        "slack" => {
            let slack = Slack::compile(params).map_err(|problem| vec![problem])?;
            vec![Interceptor::Slack(slack)]
        }
        _ => of_sender(described)?,
    })
}

/// The steps of an interceptor that is called like a sender.
fn of_sender(described: &Described<'_>) -> Result<Vec<Interceptor>, Vec<Problem>> {
    let Described {
        kind,
        params,
        namespace,
        ..
    } = *described;
    let header = described.sender.and_then(|sender| sender.event_header);
    let header = header.ok_or_else(|| vec![unknown(kind)])?;
    let mut problems = Vec::new();
    let mut steps = Vec::new();
    let mut add = |step: Result<Option<Interceptor>, Problem>| match step {
        Ok(step) => steps.extend(step),
        Err(problem) => problems.push(problem),
    };
    add(EventTypes::compile(header, params).map(|types| types.map(Interceptor::EventTypes)));
    if kind == "github" {
        if described.as_tekton {
            add(Ok(Some(Interceptor::NoForm)));
        }
        let files = ChangedFiles::compile(params, namespace);
        add(files.map(|files| files.map(Interceptor::ChangedFiles)));
        let owners = Owners::compile(params, namespace);
        add(owners.map(|owners| owners.map(Interceptor::Owners)));
    }
    match problems.is_empty() {
        true => Ok(steps),
        false => Err(problems),
    }
}

impl Step {
    /// Decides by itself.
    pub(super) fn decide(
        &self,
        event: &VerifiedEvent,
        around: &Surroundings<'_>,
        extensions: &mut Map<String, Value>,
    ) -> Result<(), Stop> {
        self.interceptor.ready(event)?;
        match &self.interceptor {
            Interceptor::EventTypes(types) => types.decide(event),
            Interceptor::NoForm => no_form(event),
            Interceptor::Harbor(harbor) => harbor.decide(event),
            Interceptor::Filter(filter) => filter.decide(event),
            Interceptor::Cel(cel) => cel.decide(event, around, extensions),
            Interceptor::Slack(slack) => slack.decide(event, extensions),
            Interceptor::ChangedFiles(files) => files.decide(event, around, extensions),
            // These always ask, or let pass whom they do not ask about.
            Interceptor::Owners(_) | Interceptor::Remote(_) | Interceptor::Webhook(_) => Ok(()),
        }
    }
}

impl Interceptor {
    /// Whether the event has what it looks at. One that does not look at the
    /// body can spare the parser a body that nobody wants.
    fn ready(&self, event: &VerifiedEvent) -> Result<(), Stop> {
        match self {
            Self::Harbor(_) | Self::Filter(_) | Self::Cel(_) => has_body(event),
            _ => Ok(()),
        }
    }

    /// Whether it asks others, for some event at least.
    pub(super) fn asks(&self) -> bool {
        matches!(
            self,
            Self::ChangedFiles(_) | Self::Owners(_) | Self::Remote(_) | Self::Webhook(_)
        )
    }

    /// Whether it has to ask others about this event.
    pub(super) fn needs_call(&self, event: &VerifiedEvent) -> bool {
        match self {
            Self::ChangedFiles(files) => files.needs_call(event),
            Self::Owners(owners) => owners.needs_call(event),
            Self::Remote(_) | Self::Webhook(_) => true,
            _ => false,
        }
    }

    /// What becomes of the event where it gets no answer.
    pub(super) fn on_failure(&self) -> OnFailure {
        match self {
            Self::Remote(remote) => remote.endpoint().on_failure,
            Self::Webhook(webhook) => webhook.endpoint().on_failure,
            _ => OnFailure::Retry,
        }
    }
}

/// Tekton's interceptor takes no forms.
fn no_form(event: &VerifiedEvent) -> Result<(), Stop> {
    match event.headers().get("Content-Type") {
        Some("application/x-www-form-urlencoded") => {
            let reason = Reason::FormRefused;
            Err(Stop::failed(reason, reason.meaning()))
        }
        _ => Ok(()),
    }
}

/// The body must be an object.
pub(super) fn has_body(event: &VerifiedEvent) -> Result<(), Stop> {
    let body = event.body();
    body.map(|_| ())
        .map_err(|reason| Stop::failed(reason, reason.meaning()))
}
