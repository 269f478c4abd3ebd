//! Looking into decoded objects.

use serde_json::Value;

/// The text at a key; empty where there is none.
pub(super) fn text<'v>(holder: &'v Value, key: &str) -> &'v str {
    holder[key].as_str().unwrap_or_default()
}

/// The items at a key; none where there is no list.
pub(super) fn items<'v>(holder: &'v Value, key: &str) -> &'v [Value] {
    holder[key].as_array().map_or(&[], Vec::as_slice)
}

/// The items at a key, to change them.
pub(super) fn items_mut<'v>(
    holder: &'v mut Value,
    key: &str,
) -> impl Iterator<Item = &'v mut Value> {
    let list = holder.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten()
}

/// Whether there is something at a key.
pub(super) fn has(holder: &Value, key: &str) -> bool {
    holder.get(key).is_some_and(|value| !value.is_null())
}
