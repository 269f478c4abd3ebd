//! What a trigger consists of: its interceptors, its bindings, its template.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::trigger::{Binding, Interceptor, Template};
use crate::api::trigger_binding::TriggerBinding;
use crate::api::trigger_template::TriggerTemplate;
use crate::bind::BindingParam;
use crate::catalog::diagnostic::Diagnostic;
use crate::catalog::objects::{Kind, ObjectKey, Objects, Origin};
use crate::model::annotations::OLD_ESCAPE_QUOTES;
use crate::render::TemplateSource;

use super::trigger::Group;

/// The parts that inline triggers and Trigger objects have in common.
pub(super) struct Parts<'a> {
    pub name: &'a str,
    pub interceptors: &'a [Interceptor],
    pub bindings: &'a [Binding],
    pub template: Option<&'a Template>,
    pub account: &'a str,
    pub place: (Arc<Origin>, String),
    pub namespace: &'a str,
    pub rerun: bool,
    /// Those of the Trigger object, where it is one.
    pub annotations: Option<&'a BTreeMap<String, String>>,
    pub group: Option<&'a Group>,
}

pub(super) fn bindings(
    objects: &Objects,
    parts: &Parts<'_>,
    problems: &mut Vec<Diagnostic>,
) -> (Vec<BindingParam>, Vec<(Arc<Origin>, String)>) {
    let (mut params, mut places) = (Vec::new(), Vec::new());
    let (origin, base) = &parts.place;
    for (index, binding) in parts.bindings.iter().enumerate() {
        let here = format!("{base}/bindings/{index}");
        if binding.reference.is_empty() {
            if binding.name.is_empty() || binding.value.is_none() {
                let message = "a binding is a `name` with a `value`, or a `ref`";
                problems.push(origin.error(&here, message));
            }
            params.push(BindingParam {
                name: binding.name.clone(),
                value: binding.value.clone().unwrap_or_default(),
            });
            places.push((Arc::clone(origin), format!("{here}/value")));
            continue;
        }
        let key = match binding_key(binding, parts.namespace) {
            Ok(key) => key,
            Err(message) => {
                problems.push(origin.error(&format!("{here}/kind"), message));
                continue;
            }
        };
        let Some(object) = objects.bindings.get(&key) else {
            let message = format!("there is no {key}");
            problems.push(origin.error(&format!("{here}/ref"), message));
            continue;
        };
        let given = binding_params(&object.value);
        places.extend((0..given.len()).map(|param| {
            let pointer = format!("/spec/params/{param}/value");
            (Arc::clone(&object.origin), pointer)
        }));
        params.extend(given);
    }
    (params, places)
}

pub(super) fn template(
    objects: &Objects,
    parts: &Parts<'_>,
    problems: &mut Vec<Diagnostic>,
) -> (TemplateSource, (Arc<Origin>, String)) {
    let (origin, base) = &parts.place;
    let here = format!("{base}/template");
    let nothing = TemplateSource::default();
    let Some(template) = parts.template else {
        problems.push(origin.error(base, "the trigger has no `template`"));
        return (nothing, (Arc::clone(origin), here));
    };
    match (&template.reference, &template.spec) {
        (None, Some(spec)) => {
            let source = TemplateSource {
                params: spec.params.clone(),
                resourcetemplates: spec.resourcetemplates.clone(),
                old_escape_quotes: false,
            };
            (source, (Arc::clone(origin), format!("{here}/spec")))
        }
        (Some(name), None) => {
            let key = ObjectKey {
                kind: Kind::TriggerTemplate,
                namespace: parts.namespace.to_owned(),
                name: name.clone(),
            };
            let Some(object) = objects.templates.get(&key) else {
                let message = format!("there is no {key}");
                problems.push(origin.error(&format!("{here}/ref"), message));
                return (nothing, (Arc::clone(origin), here));
            };
            let source = template_source(&object.value);
            (source, (Arc::clone(&object.origin), "/spec".into()))
        }
        _ => {
            let message = "a template is a `ref` or a `spec`, one of the two";
            problems.push(origin.error(&here, message));
            (nothing, (Arc::clone(origin), here))
        }
    }
}

/// The parameters that a binding gives.
pub(in crate::catalog) fn binding_params(binding: &TriggerBinding) -> Vec<BindingParam> {
    let params = binding.spec.params.iter();
    params
        .map(|param| BindingParam {
            name: param.name.clone(),
            value: param.value.clone(),
        })
        .collect()
}

/// What there is to render from a template.
pub(in crate::catalog) fn template_source(template: &TriggerTemplate) -> TemplateSource {
    let annotations = &template.metadata.annotations;
    TemplateSource {
        params: template.spec.params.clone(),
        resourcetemplates: template.spec.resourcetemplates.clone(),
        old_escape_quotes: annotations.contains_key(OLD_ESCAPE_QUOTES.key),
    }
}

fn binding_key(binding: &Binding, namespace: &str) -> Result<ObjectKey, String> {
    let (kind, namespace) = match binding.kind.as_str() {
        "" | "TriggerBinding" => (Kind::TriggerBinding, namespace),
        "ClusterTriggerBinding" => (Kind::ClusterTriggerBinding, ""),
        other => {
            return Err(format!(
                "a binding's kind is TriggerBinding or ClusterTriggerBinding, not `{other}`"
            ));
        }
    };
    Ok(ObjectKey {
        kind,
        namespace: namespace.to_owned(),
        name: binding.reference.clone(),
    })
}
