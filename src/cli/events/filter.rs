//! Which events are meant.

use anyhow::{Result, anyhow, ensure};
use clap::Args;
use jiff::{SignedDuration, Timestamp};

use crate::clock::unix_ms;

/// Which events are meant. What is not given is not asked.
#[derive(Args, Clone, Default)]
pub(super) struct Filter {
    /// Of this EventListener
    #[arg(long, value_name = "NAMESPACE/NAME")]
    listener: Option<String>,
    /// That fired this trigger
    #[arg(long, value_name = "TRIGGER")]
    pub(super) trigger: Option<String>,
    /// With a delivery in one of these states, comma-separated
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// With a delivery that has this reason
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Since a time such as 2026-01-31T12:00:00Z, or so long ago: 2h
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before a time, or so long ago
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of this sender: github, gitlab …
    #[arg(long, value_name = "SENDER")]
    sender: Option<String>,
    /// With the id that their sender gave them
    #[arg(long, value_name = "ID")]
    delivery_id: Option<String>,
    /// That replay this event
    #[arg(long, value_name = "ID")]
    replay_of: Option<String>,
}

type Parameters = Vec<(&'static str, String)>;

impl Filter {
    /// Whether nothing is given.
    pub(super) fn is_empty(&self) -> bool {
        self.parameters().is_empty()
    }

    /// As parameters of a list of events.
    pub(super) fn events(&self) -> Result<Parameters> {
        let mut parameters = self.parameters();
        for (name, value) in &mut parameters {
            if *name == "from" || *name == "until" {
                *value = time(value)?;
            }
        }
        Ok(parameters)
    }

    /// As parameters of a list of dead letters.
    pub(super) fn deliveries(&self) -> Result<Parameters> {
        let parameters = self.events()?;
        let other = ["state", "sender", "deliveryId", "replayOf"];
        let wrong = parameters.iter().find(|(name, _)| other.contains(name));
        ensure!(
            wrong.is_none(),
            "dead letters are chosen by --listener, --trigger, --reason, --since and --until alone"
        );
        Ok(parameters)
    }

    fn parameters(&self) -> Parameters {
        let all = [
            ("listener", &self.listener),
            ("trigger", &self.trigger),
            ("state", &self.state),
            ("reason", &self.reason),
            ("from", &self.since),
            ("until", &self.until),
            ("sender", &self.sender),
            ("deliveryId", &self.delivery_id),
            ("replayOf", &self.replay_of),
        ];
        let given = all.into_iter();
        given
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .collect()
    }
}

/// A time as the API takes it.
fn time(text: &str) -> Result<String> {
    if text.parse::<Timestamp>().is_ok() {
        return Ok(text.to_owned());
    }
    let ago: SignedDuration = text.parse().map_err(|_| {
        anyhow!("`{text}` is neither a time such as 2026-01-31T12:00:00Z nor a span such as 2h")
    })?;
    let then = Timestamp::from_millisecond(unix_ms()).and_then(|now| now.checked_sub(ago));
    Ok(then
        .map_err(|_| anyhow!("`{text}` is too long ago"))?
        .to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_taken_as_it_is_and_a_span_is_ago() {
        assert_eq!(
            time("2026-01-31T12:00:00Z").unwrap(),
            "2026-01-31T12:00:00Z"
        );
        let ago: Timestamp = time("2h").unwrap().parse().unwrap();
        let passed = unix_ms() - ago.as_millisecond();
        assert!((7_200_000..7_260_000).contains(&passed), "{passed}");
        assert!(time("yesterday").is_err());
    }

    #[test]
    fn dead_letters_have_fewer_filters() {
        let filter = Filter {
            state: Some("done".into()),
            ..Filter::default()
        };
        assert!(filter.deliveries().is_err());
        assert_eq!(filter.events().unwrap(), [("state", "done".to_owned())]);
    }
}
