//! The parameters of a binding.

use std::collections::HashSet;

use serde_json::Value;

use crate::admission::field_error::FieldErrors;
use crate::admission::read::{items, text};

/// The `spec` of a TriggerBinding. The first mistake is told.
pub(super) fn spec(spec: &Value) -> FieldErrors {
    let params = items(spec, "params");
    if params.is_empty() {
        return FieldErrors::missing("");
    }
    let mut seen = HashSet::new();
    for (index, param) in params.iter().enumerate() {
        let here = format!("params[{index}]");
        if !seen.insert(text(param, "name")) {
            return FieldErrors::both(&["name"]).via(&here);
        }
        let value = text(param, "value");
        if !is_balanced(value) {
            return FieldErrors::invalid(value, "value").via(&here);
        }
    }
    FieldErrors::default()
}

/// Whether every expression is closed before the next one begins. The last one
/// may stay open.
fn is_balanced(value: &str) -> bool {
    let expressions: Vec<&str> = value.split("$(").skip(1).collect();
    let before_last = expressions.len().saturating_sub(1);
    expressions[..before_last]
        .iter()
        .all(|rest| is_closed(rest))
}

fn is_closed(rest: &str) -> bool {
    let mut open = 0;
    for byte in rest.bytes() {
        match byte {
            b'(' => open += 1,
            b')' if open == 0 => return true,
            b')' => open -= 1,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_closed_before_the_next_one() {
        for text in ["", "$(a) $(b)", "$(a", "$(a(b)) $(c"] {
            assert!(is_balanced(text), "{text}");
        }
        for text in ["$($(a))", "$(a $(b)", "$((a) $(b)"] {
            assert!(!is_balanced(text), "{text}");
        }
    }
}
