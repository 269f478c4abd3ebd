//! How much is performed at once, and how often.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use crate::model::flow::{Concurrency, Limits, Rate};
use crate::worker::Flow;

use super::ConfigError;

/// The most that may be performed at once: each takes up memory and a
/// connection.
const MOST_AT_ONCE: usize = 10_000;

/// How much is performed at once, and how often.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FlowConfig {
    /// Deliveries that are performed at once.
    pub deliveries: usize,
    /// Waiting events that interceptors are asked about at once.
    pub questions: usize,
    /// What holds for each listener that says nothing itself.
    pub listener: FlowLimits,
    /// What holds for each trigger that says nothing itself.
    pub trigger: FlowLimits,
}

/// Limits as they are written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FlowLimits {
    #[serde(deserialize_with = "parsed")]
    max_concurrent: Option<Concurrency>,
    #[serde(deserialize_with = "parsed")]
    max_rate: Option<Rate>,
}

impl FlowConfig {
    /// The same for the worker.
    pub fn flow(&self) -> Flow {
        Flow {
            deliveries: self.deliveries,
            questions: self.questions,
            listener: self.listener.limits(),
            trigger: self.trigger.limits(),
        }
    }

    /// Checks what no type can say.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (key, number) in [
            ("flow.deliveries", self.deliveries),
            ("flow.questions", self.questions),
        ] {
            if !(1..=MOST_AT_ONCE).contains(&number) {
                let message = format!("{number} is not from 1 to {MOST_AT_ONCE}");
                return Err(ConfigError::Invalid { key, message });
            }
        }
        Ok(())
    }
}

impl FlowLimits {
    fn limits(&self) -> Limits {
        Limits {
            concurrent: self.max_concurrent,
            rate: self.max_rate,
        }
    }
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            deliveries: 64,
            questions: 16,
            listener: FlowLimits::default(),
            trigger: FlowLimits::default(),
        }
    }
}

/// Something that is written as one word or number; nothing where it is empty.
fn parsed<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err = String>,
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(i64),
        Text(String),
    }
    let text = match Option::<Written>::deserialize(deserializer)? {
        None => return Ok(None),
        Some(Written::Number(number)) => number.to_string(),
        Some(Written::Text(text)) => text,
    };
    let given = Some(text).filter(|text| !text.is_empty());
    given
        .map(|text| text.parse().map_err(de::Error::custom))
        .transpose()
}
