//! Verifiers from an interceptor's parameters.

use serde_json::{Map, Value};

use crate::model::problem::{Problem, field, kind_of, unknown_fields};
use crate::model::secret::SecretKeyRef;

use super::{Check, Verifier, registry};

/// Compiles the verifier of the interceptor `name`: `secretRef` as Tekton has
/// it, and `secretRefs`, any of which verifies, so that a secret can be
/// rotated. Nothing where the interceptor names no sender or no secret.
///
/// Secrets are those of `namespace`, the trigger's. `as_tekton` takes the
/// sender's scheme as Tekton Triggers has it.
pub fn compile(
    name: &str,
    params: &Map<String, Value>,
    namespace: &str,
    as_tekton: bool,
) -> Result<Option<Verifier>, Vec<Problem>> {
    let known = match as_tekton {
        true => registry::tekton_scheme(name),
        false => registry::scheme(name),
    };
    let Some(scheme) = known else {
        return Ok(None);
    };
    let mut secrets = Vec::new();
    let mut problems = misspelt(params);
    let mut read = |value: &Value, pointer: &str| match secret_ref(value, pointer, namespace) {
        Ok(secret) => secrets.push(secret),
        Err(problem) => problems.push(problem),
    };
    match field(params, "secretRef") {
        None | Some(Value::Null) => {}
        Some(value) => read(value, "/secretRef"),
    }
    match field(params, "secretRefs") {
        None | Some(Value::Null) => {}
        Some(Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                read(item, &format!("/secretRefs/{index}"));
            }
            if items.is_empty() {
                problems.push(Problem::at(
                    "/secretRefs",
                    "the list is empty, so that nothing would be verified; name a secret or leave it out",
                ));
            }
        }
        Some(other) => problems.push(Problem::at(
            "/secretRefs",
            format!(
                "expected a list of {{secretName, secretKey}}, got {}",
                kind_of(other)
            ),
        )),
    }
    if secrets.is_empty() && matches!(scheme.check, Check::TimedHmac { .. }) {
        problems.push(Problem::at(
            "",
            format!(
                "`{name}` needs a secretRef with the signing secret; without one anybody could \
                 send the event, which `tripline.dev/compat: tekton` on the EventListener allows"
            ),
        ));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    // Whoever names a secret wants it to be compared.
    let scheme = match registry::scheme(name) {
        Some(strict) if scheme.is_presence() && !secrets.is_empty() => strict,
        _ if scheme.is_presence() => return Ok(Some(Verifier::new(scheme, Vec::new()))),
        _ => scheme,
    };
    Ok((!secrets.is_empty()).then(|| Verifier::new(scheme, secrets)))
}

/// Parameters that look like secrets and are none. To pass them over would be
/// to let everybody in.
fn misspelt(params: &Map<String, Value>) -> Vec<Problem> {
    let names = unknown_fields(params, &["secretRef", "secretRefs"]);
    let names = names.filter(|name| name.to_ascii_lowercase().starts_with("secret"));
    names
        .map(|name| {
            Problem::at(
                format!("/{name}"),
                format!(
                    "there is no parameter `{name}`; a secret is named by secretRef or secretRefs"
                ),
            )
        })
        .collect()
}

fn secret_ref(value: &Value, pointer: &str, namespace: &str) -> Result<SecretKeyRef, Problem> {
    let Value::Object(object) = value else {
        return Err(Problem::at(
            pointer,
            format!("expected {{secretName, secretKey}}, got {}", kind_of(value)),
        ));
    };
    if let Some(unknown) = unknown_fields(object, &["secretName", "secretKey", "namespace"]).next()
    {
        return Err(Problem::at(
            format!("{pointer}/{unknown}"),
            format!("unknown field `{unknown}`; a secret is named by secretName and secretKey"),
        ));
    }
    let text = |name: &str| match field(object, name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(Value::String(_)) | Some(Value::Null) | None => {
            Err(Problem::at(pointer, format!("{name} is empty")))
        }
        Some(other) => Err(Problem::at(
            format!("{pointer}/{name}"),
            format!("expected text, got {}", kind_of(other)),
        )),
    };
    Ok(SecretKeyRef {
        namespace: namespace.to_owned(),
        name: text("secretName")?,
        key: text("secretKey")?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compiled(params: Value) -> Result<Option<Verifier>, Vec<Problem>> {
        let params = params.as_object().cloned().unwrap_or_default();
        compile("github", &params, "ci", false)
    }

    #[test]
    fn one_secret_and_several_are_read_from_the_trigger_s_namespace() {
        let verifier = compiled(json!({
            "secretRef": {"secretName": "now", "secretKey": "token"},
            "secretRefs": [{"SecretName": "next", "SECRETKEY": "token"}],
        }));
        let secrets: Vec<String> = verifier
            .unwrap()
            .unwrap()
            .secrets()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(secrets, ["ci/now[token]", "ci/next[token]"]);
    }

    #[test]
    fn no_secret_means_no_verifier() {
        assert!(compiled(json!({})).unwrap().is_none());
        assert!(compiled(json!({"secretRef": null})).unwrap().is_none());
        assert!(compile("cel", &Map::new(), "ci", false).unwrap().is_none());
    }

    #[test]
    fn a_reference_that_names_no_secret_is_a_mistake_and_never_no_verifier() {
        for (params, pointer) in [
            (json!({"secretRef": {}}), "/secretRef"),
            (json!({"secretRef": {"secretName": "a"}}), "/secretRef"),
            (
                json!({"secretRef": {"secretName": "a", "secretKey": ""}}),
                "/secretRef",
            ),
            (
                json!({"secretRef": {"secretName": 1, "secretKey": "k"}}),
                "/secretRef/secretName",
            ),
            (json!({"secretRef": "a"}), "/secretRef"),
            (
                json!({"secretReff": {"secretName": "a", "secretKey": "k"}}),
                "/secretReff",
            ),
            (json!({"secretRefs": []}), "/secretRefs"),
            (json!({"secretRefs": {}}), "/secretRefs"),
            (json!({"secretRefs": [{"name": "a"}]}), "/secretRefs/0/name"),
        ] {
            let problems = compiled(params.clone()).unwrap_err();
            assert_eq!(problems[0].pointer, pointer, "{params}");
        }
    }
}
