//! Parameters that a template uses and does not declare. Such a template
//! works, where a binding gives the parameter; upstream's admission refuses it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::problem::Problem;

use super::TemplateSource;

const PARAM: &str = "$(tt.params.";

/// Every use of an undeclared parameter, with the resource that it is in.
pub fn undeclared(source: &TemplateSource) -> Vec<Problem> {
    let declared: BTreeSet<&str> = source.params.iter().map(|p| p.name.as_str()).collect();
    let resources = source.resourcetemplates.iter().enumerate();
    let problems = resources.flat_map(|(index, resource)| {
        let mut used = BTreeSet::new();
        collect(resource, &mut used);
        let missing = used.into_iter().filter(|name| !declared.contains(name));
        let problems = missing.map(|name| {
            let pointer = format!("/resourcetemplates/{index}");
            let message = format!("`{PARAM}{name})` is not declared in spec.params");
            Problem::at(pointer, message)
        });
        problems.collect::<Vec<_>>()
    });
    problems.collect()
}

fn collect<'v>(value: &'v Value, used: &mut BTreeSet<&'v str>) {
    match value {
        Value::String(text) => used.extend(names(text)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, used)),
        Value::Object(map) => {
            for (key, value) in map {
                used.extend(names(key));
                collect(value, used);
            }
        }
        _ => {}
    }
}

/// The names in a text, as upstream's admission finds them: a letter or an
/// underscore, then letters, digits and `_.-`.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(PARAM).filter_map(|(at, _)| {
        let (name, _) = text.get(at + PARAM.len()..)?.split_once(')')?;
        let mut bytes = name.bytes();
        let first = bytes.next()?;
        let fits = (first.is_ascii_alphabetic() || first == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        fits.then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::params::ParamSpec;

    #[test]
    fn uses_without_a_declaration_are_told_once_a_resource() {
        let source = TemplateSource {
            params: vec![ParamSpec {
                name: "known".into(),
                description: None,
                default: None,
            }],
            resourcetemplates: vec![
                json!({"kind": "$(tt.params.known)"}),
                json!({"$(tt.params.a)": ["$(tt.params.b-c) $(tt.params.a)", "$(tt.params.1)", 7]}),
            ],
            old_escape_quotes: false,
        };
        let problems = undeclared(&source);
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "/resourcetemplates/1: `$(tt.params.a)` is not declared in spec.params",
                "/resourcetemplates/1: `$(tt.params.b-c)` is not declared in spec.params",
            ]
        );
    }
}
