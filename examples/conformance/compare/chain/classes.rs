//! Upstream's classes for why a trigger did not come to its end.

use serde_json::{Map, Value};
use tripline::catalog::Entry;
use tripline::intercept::cel::{self, Scope};
use tripline::model::secret::Secrets;
use tripline::model::verdict::Reason;

use super::Run;

impl Run<'_> {
    /// Upstream's class for why a trigger did not go on.
    pub(super) fn class(&self, reason: Option<Reason>) -> String {
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

    pub(super) fn class_of_mistake(&self, entry: &Entry) -> String {
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
