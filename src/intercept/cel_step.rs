//! Tekton's `cel` interceptor: a filter, and overlays that add extensions.

use serde_json::{Map, Value};

use crate::model::event::VerifiedEvent;
use crate::model::finding::Stop;
use crate::model::json;
use crate::model::limits::EXTENSIONS_DEPTH;
use crate::model::problem::Problem;
use crate::model::secret::SecretKeyRef;
use crate::model::verdict::{Reason, Verdict};

use super::Surroundings;
use super::cel::{
    self, Credential, ErrorClass, Filter, FilterOutcome, MissingSecret, Overlay, OverlayError,
    Params, Scope,
};

/// A compiled `cel` interceptor.
#[derive(Debug)]
pub(super) struct CelStep {
    filter: Option<Filter>,
    overlays: Vec<Overlay>,
}

impl CelStep {
    /// Compiles the parameters, or says everything that is wrong with them.
    pub(super) fn compile(params: &Map<String, Value>) -> Result<Self, Vec<Problem>> {
        let params = Params::read(params).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let filter = params.filter.map(|source| cel::compile_filter(&source));
        let filter = filter.transpose().unwrap_or_else(|error| {
            problems.push(Problem::at("/filter", error.to_string()));
            None
        });
        let mut overlays = Vec::with_capacity(params.overlays.len());
        for (index, (key, expression)) in params.overlays.iter().enumerate() {
            match cel::compile_overlay(key, expression) {
                Ok(overlay) => overlays.push(overlay),
                Err(error) => {
                    let pointer = format!("/overlays/{index}/expression");
                    problems.push(Problem::at(pointer, error.to_string()));
                }
            }
        }
        if problems.is_empty() {
            Ok(Self { filter, overlays })
        } else {
            Err(problems)
        }
    }

    /// What its expressions compare with secrets.
    pub(super) fn credentials(&self) -> impl Iterator<Item = &Credential> {
        let filter = self.filter.iter().flat_map(Filter::credentials);
        filter.chain(self.overlays.iter().flat_map(Overlay::credentials))
    }

    /// Whether nobody passes it who does not know a secret.
    pub(super) fn proves(&self) -> bool {
        self.filter.as_ref().is_some_and(Filter::proves)
    }

    /// Says who sent the event, where the filter does that and nothing before
    /// it has to run first. A body that cannot be read proves nothing.
    pub(super) fn authenticate(
        &self,
        event: &VerifiedEvent,
        around: &Surroundings<'_>,
    ) -> Result<(), Stop> {
        let Some(filter) = self.filter.as_ref().filter(|filter| is_first(filter)) else {
            return Ok(());
        };
        let body = if filter.authenticates_by_body() {
            event.body().map_err(|_| refused())?
        } else {
            &Value::Null
        };
        proven(filter, &scope(event, body, &Map::new(), around))
    }

    /// Decides whether the event is wanted, and adds what the overlays give.
    /// Every overlay sees the extensions as they were before this interceptor.
    pub(super) fn decide(
        &self,
        event: &VerifiedEvent,
        around: &Surroundings<'_>,
        extensions: &mut Map<String, Value>,
    ) -> Result<(), Stop> {
        let body = event
            .body()
            .map_err(|reason| Stop::failed(reason, reason.meaning()))?;
        if !matches!(body, Value::Object(_) | Value::Null) {
            let reason = Reason::BodyNotObject;
            return Err(Stop::failed(reason, reason.meaning()));
        }
        let mut added = Map::new();
        let scope = scope(event, body, extensions, around);
        if let Some(filter) = &self.filter {
            if !is_first(filter) {
                proven(filter, &scope)?;
            }
            wanted(filter, &scope, around.explain.then_some(around.withheld))?;
        }
        for overlay in &self.overlays {
            let applied = overlay.apply(&scope, &mut added);
            applied.map_err(|error| unlaid(overlay.key(), &error))?;
        }
        if !json::fits(&added, EXTENSIONS_DEPTH) {
            let detail = format!("extensions nested deeper than {EXTENSIONS_DEPTH}");
            return Err(Stop::failed(Reason::OverlayFailed, detail));
        }
        extensions.extend(added);
        Ok(())
    }
}

/// Whether a filter says who sent an event before any other interceptor runs.
fn is_first(filter: &Filter) -> bool {
    filter.authenticates() && !filter.authenticates_by_extensions()
}

fn scope<'a>(
    event: &'a VerifiedEvent,
    body: &'a Value,
    extensions: &'a Map<String, Value>,
    around: &Surroundings<'a>,
) -> Scope<'a> {
    Scope {
        body,
        headers: event.headers(),
        extensions,
        request_url: event.url(),
        secrets: around.secrets,
        namespace: around.namespace,
    }
}

fn proven(filter: &Filter, scope: &Scope<'_>) -> Result<(), Stop> {
    match filter.authenticate(scope) {
        FilterOutcome::True => Ok(()),
        FilterOutcome::SecretMissing(secret, gap) => Err(missing(&secret, gap)),
        FilterOutcome::False | FilterOutcome::Refused | FilterOutcome::Error(_) => Err(refused()),
    }
}

fn refused() -> Stop {
    Stop {
        verdict: Verdict::Refused,
        reason: Reason::SecretComparisonFalse,
        detail: None,
    }
}

fn missing(secret: &SecretKeyRef, gap: MissingSecret) -> Stop {
    Stop {
        verdict: Verdict::Deferred,
        reason: match gap {
            MissingSecret::NoSecret => Reason::SecretMissing,
            MissingSecret::NoKey => Reason::SecretKeyMissing,
            MissingSecret::Empty => Reason::SecretEmpty,
            MissingSecret::NotSynced => Reason::SecretsNotSynced,
        },
        detail: Some(format!("waits for secret {secret}")),
    }
}

/// Whether the event is wanted. Where not, an explanation is only made for
/// somebody who looks at it: it evaluates the filter's parts once more.
fn wanted(filter: &Filter, scope: &Scope<'_>, explain: Option<&[String]>) -> Result<(), Stop> {
    match filter.decide_wanted(scope) {
        FilterOutcome::True => Ok(()),
        FilterOutcome::False => Err(Stop {
            verdict: Verdict::Filtered,
            reason: Reason::FilterFalse,
            detail: explain.map(|withheld| explanation(filter, scope, withheld)),
        }),
        FilterOutcome::Error(error) => {
            let reason = if error.class() == ErrorClass::Exhausted {
                Reason::CelExhausted
            } else {
                Reason::CelFailed
            };
            Err(Stop::failed(
                reason,
                format!("`{}`: {error}", filter.source()),
            ))
        }
        FilterOutcome::Refused => Err(refused()),
        FilterOutcome::SecretMissing(secret, gap) => Err(missing(&secret, gap)),
    }
}

fn unlaid(key: &str, error: &OverlayError) -> Stop {
    if let OverlayError::Eval(error) = error
        && let Some((secret, gap)) = error.missing_secret()
    {
        return missing(secret, gap);
    }
    Stop::failed(Reason::OverlayFailed, format!("overlay `{key}`: {error}"))
}

/// The filter with the values that it was decided by.
fn explanation(filter: &Filter, scope: &Scope<'_>, withheld: &[String]) -> String {
    let mut text = format!("`{}`", filter.source());
    for (index, (part, value)) in filter.explain(scope, withheld).iter().enumerate() {
        text.push_str(if index == 0 { "; " } else { ", " });
        text.push_str(&format!("{part} = {value}"));
    }
    text
}
