//! An interceptor of a trigger.

use serde_json::Value;

use crate::admission::Panic;
use crate::admission::field_error::FieldErrors;
use crate::admission::read::{has, items, text};
use crate::api::trigger::deprecated;
use crate::intercept;
use crate::model::headers::canonical;

use super::Rules;

/// Checks one; `null` is what Go crashes on.
pub(super) fn validate(interceptor: &Value, rules: Rules) -> Result<FieldErrors, Panic> {
    if interceptor.is_null() {
        return Err(Panic(String::new()));
    }
    let mut errors = FieldErrors::default();
    let is_named = !text(&interceptor["ref"], "name").is_empty();
    let webhook = Some(&interceptor["webhook"]).filter(|webhook| !webhook.is_null());
    let in_place = |name: &str| rules == Rules::Alpha && has(interceptor, name);
    if webhook.is_none() && !is_named && !deprecated::NAMES.into_iter().any(in_place) {
        errors.also(FieldErrors::missing("interceptor"));
    }
    let senders = deprecated::NAMES.into_iter().filter(|name| *name != "cel");
    let given = senders.filter(|name| in_place(name)).count();
    if given + usize::from(webhook.is_some()) > 1 {
        errors.also(FieldErrors::both(&[
            "interceptor.webhook",
            "interceptor.github",
            "interceptor.gitlab",
        ]));
    }
    if let Some(webhook) = webhook {
        errors.also(object_ref(webhook, rules)?.via("interceptor.webhook"));
        errors.also(headers(webhook).via("interceptor.webhook"));
    }
    if in_place("cel") {
        errors.also(cel(&interceptor["cel"]));
    }
    Ok(errors)
}

/// The Service of a webhook.
fn object_ref(webhook: &Value, rules: Rules) -> Result<FieldErrors, Panic> {
    let missing = || FieldErrors::missing("objectRef");
    let (object, mut errors) = match (has(webhook, "objectRef"), rules) {
        (false, Rules::Beta) => return Ok(missing()),
        (false, Rules::Alpha) => return Err(Panic("interceptor.webhook.objectRef".into())),
        (true, _) => (&webhook["objectRef"], FieldErrors::default()),
    };
    if rules == Rules::Alpha && text(object, "name").is_empty() {
        errors.also(missing());
    }
    for (field, wanted, message) in [
        ("kind", "Service", "invalid kind"),
        ("apiVersion", "v1", "invalid apiVersion"),
    ] {
        let path = format!("objectRef.{field}");
        match (text(object, field), rules) {
            ("", Rules::Beta) => errors.also(FieldErrors::missing(&path)),
            (given, _) if given != wanted => errors.also(FieldErrors::invalid(message, &path)),
            _ => {}
        }
    }
    Ok(errors)
}

fn headers(webhook: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    for (index, header) in items(webhook, "header").iter().enumerate() {
        let name = text(header, "name");
        let here = format!("header[{index}]");
        if name.is_empty() || canonical(name) != name {
            errors.also(FieldErrors::invalid("invalid header name", "name").via(&here));
        }
        let is_given = match &header["value"] {
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            _ => false,
        };
        if !is_given {
            errors.also(FieldErrors::invalid("invalid header value", "value").via(&here));
        }
    }
    errors
}

/// Expressions beside a reference, which nobody evaluates.
fn cel(cel: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let (filter, overlays) = (text(cel, "filter"), items(cel, "overlays"));
    if filter.is_empty() && overlays.is_empty() {
        errors.also(FieldErrors::both(&["cel.filter", "cel.overlays"]));
    }
    let mut check = |what: &str, source: &str, path: &str| {
        if let Some(fault) = intercept::cel_syntax(source) {
            let value = format!("failed to parse the DeprecatedCEL {what}: {fault}");
            errors.also(FieldErrors::invalid(value, path));
        }
    };
    if !filter.is_empty() {
        check("filter", filter, "cel.filter");
    }
    for overlay in overlays {
        check("overlay", text(overlay, "expression"), "cel.overlay");
    }
    errors
}
