//! How much of a listener's and of a trigger's may be performed at once, and
//! how often: as their annotations have it now, also for what waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::snapshot::TriggerBounds;
use crate::model::annotations::{Annotation, MAX_CONCURRENT, MAX_RATE};
use crate::model::flow::Limits;

/// The limits of a listener.
pub(super) fn of_listener(annotations: &BTreeMap<String, String>) -> Result<Limits, String> {
    limits(annotations, |annotation| annotation.key.to_owned())
}

/// The limits of a Trigger object, wherever it is used, or nothing where it
/// has none.
pub(super) fn of_object(
    annotations: &BTreeMap<String, String>,
    namespace: &str,
    name: &str,
) -> Result<Option<TriggerBounds>, String> {
    let limits = limits(annotations, |annotation| annotation.key.to_owned())?;
    Ok(bounds(limits, &format!("{namespace}/{name}")))
}

/// The limits of a listener's inline trigger: what the listener says without a
/// name is about the listener.
pub(super) fn of_inline(
    annotations: &BTreeMap<String, String>,
    name: &str,
    path: &str,
) -> Result<Option<TriggerBounds>, String> {
    let limits = limits(annotations, |annotation| {
        format!("{}.{name}", annotation.key)
    })?;
    Ok(bounds(limits, path))
}

fn bounds(limits: Limits, meter: &str) -> Option<TriggerBounds> {
    limits.is_any().then(|| TriggerBounds {
        meter: Arc::from(meter),
        limits,
    })
}

fn limits(
    annotations: &BTreeMap<String, String>,
    key: impl Fn(&Annotation) -> String,
) -> Result<Limits, String> {
    let (concurrent, rate) = (key(&MAX_CONCURRENT), key(&MAX_RATE));
    let wrong = |key: &str, message: String| format!("annotation `{key}`: {message}");
    Ok(Limits {
        concurrent: annotations
            .get(&concurrent)
            .map(|value| value.parse())
            .transpose()
            .map_err(|message| wrong(&concurrent, message))?,
        rate: annotations
            .get(&rate)
            .map(|value| value.parse())
            .transpose()
            .map_err(|message| wrong(&rate, message))?,
    })
}
