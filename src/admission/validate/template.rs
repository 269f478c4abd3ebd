//! The resources of a template, and the parameters that they use.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::admission::field_error::FieldErrors;
use crate::admission::read::{items, text};

/// A use of a parameter. The points stand for any character, as upstream's do.
const USE: &str = r"\$\(tt.params.([_a-zA-Z][_a-zA-Z0-9.-]*)\)";

static USES: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(USE).ok());

/// The `spec` of a TriggerTemplate by itself.
pub(super) fn spec(spec: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let resources = items(spec, "resourcetemplates");
    if resources.is_empty() {
        if items(spec, "params").is_empty() {
            errors.also(FieldErrors::missing(""));
        }
        errors.also(FieldErrors::missing("resourcetemplates"));
    }
    for (index, resource) in resources.iter().enumerate() {
        let here = format!("resourcetemplates[{index}]");
        if !is_object_with_kind(resource) {
            errors.also(FieldErrors::missing("kind").via(&here));
        }
        if !resource.is_object() || text(resource, "apiVersion").is_empty() {
            errors.also(FieldErrors::missing("apiVersion").via(&here));
        }
    }
    let declared: HashSet<&str> = items(spec, "params")
        .iter()
        .map(|param| text(param, "name"))
        .collect();
    if let Some((index, name)) = first_undeclared(resources, &declared) {
        let value = format!("undeclared param '$(tt.params.{name})'");
        let error = FieldErrors::invalid(value, &format!("resourcetemplates[{index}]"));
        let details = format!("'$(tt.params.{name})' must be declared in spec.params");
        errors.also(error.with_details(&details));
    }
    errors
}

/// Whether Kubernetes finds a kind: it does not where it cannot read the
/// version.
fn is_object_with_kind(resource: &Value) -> bool {
    resource.is_object()
        && !text(resource, "kind").is_empty()
        && text(resource, "apiVersion").matches('/').count() <= 1
}

fn first_undeclared(resources: &[Value], declared: &HashSet<&str>) -> Option<(usize, String)> {
    let uses = USES.as_ref()?;
    resources.iter().enumerate().find_map(|(index, resource)| {
        let text = resource.to_string();
        let names = uses.captures_iter(&text).filter_map(|found| found.get(1));
        let mut undeclared = names.filter(|name| !declared.contains(name.as_str()));
        Some((index, undeclared.next()?.as_str().to_owned()))
    })
}
