//! Parameters of a request, each read with an error that names it.

use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use uuid::Uuid;

use crate::journal::history::{DeliveryFilter, EventFilter, Paging};
use crate::model::ids::{EventId, ListenerId, TriggerId};
use crate::model::verdict::{DeliveryState, Reason};

use super::error::ApiError;

/// Entries of a page, where nobody says, and at most.
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 500;

/// Parameters that are still to be read.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// The parameters of a query.
    pub(super) fn new(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// The same parameters, given as members of a JSON object.
    pub(super) fn of_object(members: Vec<(String, String)>) -> Self {
        Self(members)
    }

    /// Takes the only value of a parameter.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        let is_it = |pair: &(String, String)| pair.0 == name;
        let Some(at) = self.0.iter().position(is_it) else {
            return Ok(None);
        };
        let (_, value) = self.0.remove(at);
        match self.0.iter().any(is_it) {
            true => Err(ApiError::parameter(name, "is given more than once")),
            false => Ok(Some(value)),
        }
    }

    /// Takes a parameter and reads it.
    pub(super) fn read<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ApiError> {
        let value = self.take(name)?;
        let read = value.map(|value| read(&value));
        read.transpose()
            .map_err(|message| ApiError::parameter(name, message))
    }

    /// A switch: given alone, or as `true`, `false`, `1` or `0`.
    pub(super) fn switch(&mut self, name: &str) -> Result<bool, ApiError> {
        let read = self.read(name, |text| match text {
            "" | "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            other => Err(format!("`{other}` is neither true nor false")),
        })?;
        Ok(read.unwrap_or_default())
    }

    /// Nothing may be left: a misspelt filter would show too much.
    pub(super) fn end(self, known: &str) -> Result<(), ApiError> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => {
                let message = format!("there is no such parameter; there are {known}");
                Err(ApiError::parameter(name, message))
            }
        }
    }

    pub(super) fn paging(&mut self) -> Result<Paging, ApiError> {
        let limit = self.read("limit", |text| {
            let limit = text
                .parse()
                .ok()
                .filter(|limit| (1..=LARGEST_PAGE).contains(limit));
            limit.ok_or_else(|| format!("`{text}` is no number from 1 to {LARGEST_PAGE}"))
        })?;
        Ok(Paging {
            limit: limit.unwrap_or(PAGE),
            cursor: self.take("cursor")?,
        })
    }

    /// Which events; of these parameters, those that are given.
    pub(super) fn events(&mut self) -> Result<EventFilter, ApiError> {
        Ok(EventFilter {
            listener: self.read("listener", listener)?,
            trigger: self.take("trigger")?.map(TriggerId),
            states: self.read("state", states)?.unwrap_or_default(),
            reason: self.read("reason", reason)?,
            from_ms: self.read("from", time)?,
            until_ms: self.read("until", time)?,
            sender: self.take("sender")?,
            delivery_id: self.take("deliveryId")?,
            replay_of: self.read("replayOf", event)?,
        })
    }

    /// Which deliveries.
    pub(super) fn deliveries(&mut self) -> Result<DeliveryFilter, ApiError> {
        Ok(DeliveryFilter {
            listener: self.read("listener", listener)?,
            trigger: self.take("trigger")?.map(TriggerId),
            states: Vec::new(),
            reason: self.read("reason", reason)?,
            from_ms: self.read("from", time)?,
            until_ms: self.read("until", time)?,
            unreplayed: false,
        })
    }
}

/// Parameters of lists of events, for errors.
pub(super) const EVENTS: &str =
    "listener, trigger, state, reason, from, until, sender, deliveryId, replayOf, limit and cursor";

pub(super) fn event(text: &str) -> Result<EventId, String> {
    parsed::<Uuid>(text, "a UUID").map(EventId)
}

pub(super) fn states(text: &str) -> Result<Vec<DeliveryState>, String> {
    let words = text.split(',').map(|word| {
        let state = DeliveryState::parse(word.trim());
        state.ok_or_else(|| {
            let all = DeliveryState::ALL.map(DeliveryState::as_str).join(", ");
            format!("`{word}` is no state; there are {all}")
        })
    });
    words.collect()
}

fn listener(text: &str) -> Result<ListenerId, String> {
    let parts = text.split_once('/');
    let parts = parts.filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty());
    let (namespace, name) =
        parts.ok_or_else(|| format!("`{text}` is no NAMESPACE/NAME of an EventListener"))?;
    Ok(ListenerId {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}

fn reason(text: &str) -> Result<Reason, String> {
    let mut all = Reason::ALL.iter().copied();
    let found = all.find(|reason| reason.code() == text);
    found.ok_or_else(|| format!("`{text}` is no reason; docs/errors.md lists them"))
}

/// A time as RFC 3339 has it, in milliseconds of Unix time.
fn time(text: &str) -> Result<i64, String> {
    let message = "a time such as 2026-01-31T12:00:00Z";
    parsed::<Timestamp>(text, message).map(Timestamp::as_millisecond)
}

fn parsed<T: FromStr>(text: &str, what: impl Display) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is not {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(error: &ApiError) -> String {
        error.as_value()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    #[test]
    fn an_error_names_the_parameter_and_what_would_be_right() {
        for (query, expected) in [
            (
                "state=dead,gone",
                "state: `gone` is no state; there are pending",
            ),
            ("reason=sad", "reason: `sad` is no reason"),
            ("from=yesterday", "from: `yesterday` is not a time such as"),
            ("listener=hook", "listener: `hook` is no NAMESPACE/NAME"),
            ("replayOf=7", "replayOf: `7` is not a UUID"),
            ("state=dead&state=done", "state: is given more than once"),
        ] {
            let error = Query::new(Some(query)).events().unwrap_err();
            assert!(message(&error).starts_with(expected), "{}", message(&error));
        }
        for limit in ["0", "501", "many"] {
            let mut query = Query::new(Some("limit=x"));
            query.0[0].1 = limit.into();
            assert!(message(&query.paging().unwrap_err()).starts_with("limit: "));
        }
        let mut misspelt = Query::new(Some("state=dead&lsitener=a%2Fb"));
        misspelt.events().unwrap();
        let error = misspelt.end(EVENTS).unwrap_err();
        assert!(message(&error).starts_with("lsitener: there is no such parameter"));
    }

    #[test]
    fn what_is_given_is_what_is_asked() {
        let mut query = Query::new(Some(
            "listener=ci%2Fhook&state=dead,%20done&from=1970-01-01T00:00:01Z&limit=7&cursor=9.9",
        ));
        let filter = query.events().unwrap();
        assert_eq!(filter.listener.unwrap().to_string(), "ci/hook");
        assert_eq!(filter.states, [DeliveryState::Dead, DeliveryState::Done]);
        assert_eq!(filter.from_ms, Some(1_000));
        let paging = query.paging().unwrap();
        assert_eq!((paging.limit, paging.cursor.as_deref()), (7, Some("9.9")));
        assert!(query.end(EVENTS).is_ok());
    }
}
