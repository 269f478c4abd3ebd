//! `compareSecret`.

use super::arguments::{string, text};
use crate::intercept::cel::error::{Fault, MissingSecret, missing_secret};
use crate::intercept::cel::registry::{Context, Row, row};
use crate::intercept::cel::value::Value;
use crate::model::secret::{SecretKeyRef, SecretLookup};

/// Name of the function whose operands are never shown.
pub(in crate::intercept::cel) const COMPARE_SECRET: &str = "compareSecret";

pub(super) const TABLE: &[Row] = &[
    row(
        COMPARE_SECRET,
        "string.(string, string, string) -> bool",
        compare,
    ),
    row(COMPARE_SECRET, "string.(string, string) -> bool", compare),
];

/// Compares in constant time with a key of a Secret in the trigger's own
/// namespace. A third argument once named another namespace; it is ignored,
/// as upstream ignores it since 2020.
fn compare<'v>(context: &mut Context<'_>, args: &[Value<'v>]) -> Result<Value<'v>, Fault> {
    let at = SecretKeyRef {
        namespace: context.namespace.to_owned(),
        name: string(args, 2)?.into_owned(),
        key: string(args, 1)?.into_owned(),
    };
    let given = text(args, 0)?.as_bytes();
    context.meter.walk(given.len())?;
    let gap = match context.secrets.find(&at) {
        // An empty one would let everybody in who sends nothing.
        SecretLookup::Found(secret) if secret.expose().is_empty() => MissingSecret::Empty,
        SecretLookup::Found(secret) => return Ok(Value::Bool(secret.is(given))),
        SecretLookup::NoSecret => MissingSecret::NoSecret,
        SecretLookup::NoKey => MissingSecret::NoKey,
        SecretLookup::NotSynced => MissingSecret::NotSynced,
    };
    Err(missing_secret(at, gap))
}

#[cfg(test)]
mod tests {
    use crate::intercept::cel::testing::{check_failures, check_true, value};
    use crate::intercept::cel::{ErrorClass, MissingSecret};

    #[test]
    fn secrets_are_compared_in_the_namespace_of_the_trigger() {
        check_true(&[
            "'hunter2'.compareSecret('token', 'hook')",
            "header.canonical('X-Token').compareSecret('token', 'hook')",
            "!'hunter3'.compareSecret('token', 'hook')",
            "'hunter2'.compareSecret('token', 'hook', 'elsewhere')",
            "true || 'x'.compareSecret('token', 'absent')",
            "'x'.compareSecret('token', 'absent') || true",
        ]);
    }

    #[test]
    fn a_secret_that_cannot_be_read_is_named() {
        for (secret, key, gap) in [
            ("absent", "token", MissingSecret::NoSecret),
            ("hook", "other", MissingSecret::NoKey),
            ("later", "token", MissingSecret::NotSynced),
        ] {
            let expression = format!("'x'.compareSecret('{key}', '{secret}')");
            let error = value(&expression).expect_err("no secret");
            assert_eq!(error.class(), ErrorClass::Secret);
            let (at, found) = error.missing_secret().expect("names the secret");
            assert_eq!(
                (at.name.as_str(), at.key.as_str(), found),
                (secret, key, gap)
            );
            assert_eq!(at.namespace, "default");
        }
        check_failures(&[(
            "body.count.compareSecret('token', 'hook')",
            ErrorClass::NoOverload,
        )]);
    }
}
