//! Names and annotations.

use serde_json::Value;

use crate::admission::field_error::FieldErrors;
use crate::admission::read::text;
use crate::model::quote::quote;

/// Longest name of most kinds.
const NAME: usize = 63;

/// Longest name of a listener, which gets a prefix.
const LISTENER_NAME: usize = 60;

/// Longest name that Kubernetes has.
const SUBDOMAIN: usize = 253;

const PAYLOAD_VALIDATION: &str = "tekton.dev/payload-validation";

/// The name of most kinds.
pub(super) fn validate(metadata: &Value) -> FieldErrors {
    let name = text(metadata, "name");
    if !is_subdomain(name) {
        let shown = quote(name);
        let message = format!("invalid resource name {shown}: must be a valid DNS label");
        return FieldErrors::generic(message, &["name"]);
    }
    if name.len() > NAME {
        let message = "Invalid resource name: length must be no more than 63 characters";
        return FieldErrors::generic(message, &["name"]);
    }
    FieldErrors::default()
}

/// Name and annotations of a listener.
pub(super) fn of_listener(metadata: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let name = text(metadata, "name");
    if name.len() > LISTENER_NAME {
        let value = format!("eventListener name '{name}' must be no more than 60 characters long");
        errors.also(FieldErrors::invalid(value, "metadata.name"));
    }
    let validation = metadata["annotations"].get(PAYLOAD_VALIDATION);
    if validation.is_some_and(|value| value != "true" && value != "false") {
        let value = format!("{PAYLOAD_VALIDATION} annotation must have value 'true' or 'false'");
        errors.also(FieldErrors::invalid(value, "metadata.annotations"));
    }
    errors
}

/// Labels in lower case that points separate.
fn is_subdomain(name: &str) -> bool {
    let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().is_some_and(is_alphanumeric)
            && bytes.last().is_some_and(is_alphanumeric)
            && bytes
                .iter()
                .all(|byte| is_alphanumeric(byte) || *byte == b'-')
    };
    name.len() <= SUBDOMAIN && name.split('.').all(is_label)
}

/// Whether a text may be the value of a label.
pub(super) fn is_label_value(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_end = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    bytes.len() <= NAME
        && is_end(bytes.first())
        && is_end(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}
