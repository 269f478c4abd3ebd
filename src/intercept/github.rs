//! What Tekton's `github` interceptor asks of GitHub's API.

use serde_json::{Map, Value};

use crate::model::problem::{Problem, field};

/// Parameters that need a call to GitHub. They must not be passed over:
/// `githubOwners` keeps strangers from starting pipelines.
const NEED_A_CALL: [&str; 2] = ["addChangedFiles", "githubOwners"];

/// The parameters that this version cannot honour.
pub(super) fn refuse_calls(params: &Map<String, Value>) -> Vec<Problem> {
    let is_enabled = |name: &str| {
        let object = field(params, name).and_then(Value::as_object);
        let enabled = object.and_then(|object| field(object, "enabled"));
        enabled.and_then(Value::as_bool) == Some(true)
    };
    let enabled = NEED_A_CALL.into_iter().filter(|name| is_enabled(name));
    enabled
        .map(|name| {
            Problem::at(
                format!("/{name}"),
                format!("`{name}` needs GitHub's API, which this version does not call yet"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_ownership_check_is_never_passed_over() {
        let params = json!({"githubOwners": {"enabled": true}});
        let problems = refuse_calls(params.as_object().unwrap());
        assert_eq!(problems[0].pointer, "/githubOwners");
        let params = json!({"githubOwners": {"enabled": false}, "addChangedFiles": null});
        assert_eq!(refuse_calls(params.as_object().unwrap()), []);
    }
}
