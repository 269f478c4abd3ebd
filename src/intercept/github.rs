//! What Tekton's `github` interceptor asks of GitHub's API.

use serde_json::{Map, Value};

use crate::model::problem::{Problem, field};

/// Parameters that need a call to GitHub. They must not be passed over:
/// `githubOwners` keeps strangers from starting pipelines.
const NEED_A_CALL: [&str; 2] = ["addChangedFiles", "githubOwners"];

/// Refuses parameters that this version cannot honour.
pub(super) fn refuse_calls(params: &Map<String, Value>) -> Result<(), Problem> {
    for name in NEED_A_CALL {
        let enabled = field(params, name)
            .and_then(Value::as_object)
            .and_then(|object| field(object, "enabled"))
            .and_then(Value::as_bool);
        if enabled == Some(true) {
            return Err(Problem::at(
                format!("/{name}"),
                format!("`{name}` needs GitHub's API, which this version does not call yet"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_ownership_check_is_never_passed_over() {
        let params = json!({"githubOwners": {"enabled": true}});
        let problem = refuse_calls(params.as_object().unwrap()).unwrap_err();
        assert_eq!(problem.pointer, "/githubOwners");
        let params = json!({"githubOwners": {"enabled": false}, "addChangedFiles": null});
        assert_eq!(refuse_calls(params.as_object().unwrap()), Ok(()));
    }
}
