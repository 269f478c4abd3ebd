//! Tekton's `cel` interceptor: a filter, and overlays that add extensions.

use serde_json::{Map, Value};

use crate::model::event::VerifiedEvent;
use crate::model::finding::Stop;
use crate::model::problem::Problem;
use crate::model::secret::SecretKeyRef;
use crate::model::verdict::{Reason, Verdict};

use super::Surroundings;
use super::cel::{
    self, ErrorClass, EvalError, Filter, FilterOutcome, MissingSecret, Overlay, Params, Scope,
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

    /// Decides, and adds what the overlays give. Every overlay sees the
    /// extensions as they were before this interceptor.
    pub(super) fn decide(
        &self,
        event: &VerifiedEvent,
        around: &Surroundings<'_>,
        extensions: &mut Map<String, Value>,
        awaits: &mut Option<SecretKeyRef>,
    ) -> Result<(), Stop> {
        let body = event
            .body()
            .map_err(|reason| Stop::failed(reason, reason.meaning()))?;
        let mut added = Map::new();
        let scope = Scope {
            body,
            headers: event.headers(),
            extensions,
            request_url: event.url(),
            secrets: around.secrets,
            namespace: around.namespace,
        };
        if let Some(filter) = &self.filter {
            decide_filter(filter, &scope, awaits)?;
        }
        for overlay in &self.overlays {
            overlay.apply(&scope, &mut added).map_err(|error| {
                let key = overlay.key();
                Stop::failed(Reason::OverlayFailed, format!("overlay `{key}`: {error}"))
            })?;
        }
        extensions.extend(added);
        Ok(())
    }
}

fn decide_filter(
    filter: &Filter,
    scope: &Scope<'_>,
    awaits: &mut Option<SecretKeyRef>,
) -> Result<(), Stop> {
    match filter.decide(scope) {
        FilterOutcome::True => Ok(()),
        FilterOutcome::False => Err(Stop::filtered(
            Reason::FilterFalse,
            explanation(filter, scope),
        )),
        FilterOutcome::Refused => Err(Stop {
            verdict: Verdict::Refused,
            reason: Reason::SecretComparisonFalse,
            detail: None,
        }),
        FilterOutcome::SecretMissing(secret, gap) => {
            let reason = match gap {
                MissingSecret::NoSecret => Reason::SecretMissing,
                MissingSecret::NoKey => Reason::SecretKeyMissing,
                MissingSecret::Empty => Reason::SecretEmpty,
                MissingSecret::NotSynced => Reason::SecretsNotSynced,
            };
            let detail = Some(format!("waits for secret {secret}"));
            *awaits = Some(secret);
            Err(Stop {
                verdict: Verdict::Deferred,
                reason,
                detail,
            })
        }
        FilterOutcome::Error(error) => {
            let reason = if error.class() == ErrorClass::Exhausted {
                Reason::CelExhausted
            } else {
                Reason::CelFailed
            };
            Err(Stop::failed(reason, failure(filter, &error)))
        }
    }
}

fn failure(filter: &Filter, error: &EvalError) -> String {
    format!("`{}`: {error}", filter.source())
}

/// The filter with the values that it was decided by.
fn explanation(filter: &Filter, scope: &Scope<'_>) -> String {
    let mut text = format!("`{}`", filter.source());
    let values = filter.explain(scope);
    for (index, (part, value)) in values.iter().enumerate() {
        text.push_str(if index == 0 { "; " } else { ", " });
        text.push_str(&format!("{part} = {value}"));
    }
    text
}
