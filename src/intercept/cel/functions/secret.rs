//! `compareSecret`.

use subtle::ConstantTimeEq;

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
        SecretLookup::Found(secret) => {
            return Ok(Value::Bool(given.ct_eq(secret.expose()).into()));
        }
        SecretLookup::NoSecret => MissingSecret::NoSecret,
        SecretLookup::NoKey => MissingSecret::NoKey,
        SecretLookup::NotSynced => MissingSecret::NotSynced,
    };
    Err(missing_secret(at, gap))
}
