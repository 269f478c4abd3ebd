//! Compiles a template and says what no event could make good.
//!
//! In: the spec of a TriggerTemplate. Out: a `Template`, or every problem of
//! it. What upstream can create from must compile, so undeclared parameters
//! and unknown kinds are not looked at.

use serde_json::{Map, Value};

use crate::model::limits::MANIFESTS_PER_TRIGGER;
use crate::model::problem::Problem;

use super::control;
use super::tree::Node;
use super::{Resource, Template, TemplateSource};

const ROOT: &str = "/resourcetemplates";

/// Compiles the spec of a TriggerTemplate.
pub fn compile(source: TemplateSource) -> Result<Template, Vec<Problem>> {
    let count = source.resourcetemplates.len();
    if count > MANIFESTS_PER_TRIGGER {
        let message = format!("has {count} items, more than {MANIFESTS_PER_TRIGGER}");
        return Err(vec![problem(ROOT, message)]);
    }
    let mut resources = Vec::with_capacity(count);
    let mut problems = Vec::new();
    for (index, value) in source.resourcetemplates.into_iter().enumerate() {
        match resource(value, &format!("{ROOT}/{index}")) {
            Ok(resource) => resources.push(resource),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Template {
        params: source.params,
        resources,
        old_escape_quotes: source.old_escape_quotes,
    })
}

fn resource(value: Value, pointer: &str) -> Result<Resource, Problem> {
    let Value::Object(mut object) = value else {
        return Err(problem(pointer, "is not an object"));
    };
    if !may_name_kind(&object) {
        return Err(problem(
            &format!("{pointer}/kind"),
            "must be a text that is not empty",
        ));
    }
    let control = control::take(&mut object, pointer)?;
    let root = Node::new(Value::Object(object), pointer)?;
    Ok(Resource { root, control })
}

/// Whether some parameters could give it a kind.
fn may_name_kind(object: &Map<String, Value>) -> bool {
    match object.get("kind") {
        Some(kind) => kind.as_str().is_some_and(|kind| !kind.is_empty()),
        None => object.keys().any(|key| key.contains("$(")),
    }
}

fn problem(pointer: &str, message: impl Into<String>) -> Problem {
    Problem {
        pointer: pointer.to_owned(),
        message: message.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointers(resourcetemplates: Vec<Value>) -> Vec<String> {
        let source = TemplateSource {
            params: Vec::new(),
            resourcetemplates,
            old_escape_quotes: false,
        };
        let problems = compile(source).err().unwrap_or_default();
        problems
            .into_iter()
            .map(|problem| problem.pointer)
            .collect()
    }

    #[test]
    fn what_can_become_a_resource_compiles() {
        let templates = vec![
            json!({"kind": "X"}),
            json!({"apiVersion": 1, "kind": "$(tt.params.undeclared)"}),
            json!({"$(tt.params.key)": "kind"}),
            json!({"kind": "X", "metadata": "text", "items": [{"a": 1}]}),
        ];
        assert_eq!(pointers(templates), [""; 0]);
        assert_eq!(pointers(Vec::new()), [""; 0]);
    }

    #[test]
    fn every_problem_is_told_with_its_place() {
        let deep = (0..200).fold(json!(1), |value, _| json!([value]));
        let templates = vec![
            json!(true),
            json!({"apiVersion": "v1"}),
            json!({"kind": "X"}),
            json!({"kind": ""}),
            json!({"kind": 1}),
            json!({"kind": "X", "spec": deep}),
        ];
        let expected = ["0", "1/kind", "3/kind", "4/kind", "5"];
        assert_eq!(
            pointers(templates),
            expected.map(|end| format!("{ROOT}/{end}"))
        );
        let many = vec![json!({"kind": "X"}); MANIFESTS_PER_TRIGGER + 1];
        assert_eq!(pointers(many), [ROOT]);
    }
}
