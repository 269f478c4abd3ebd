//! The annotations that steer Tripline: the one table that the code reads
//! them by and `docs/annotations.md` is made from.

use std::collections::BTreeMap;

/// Everything that begins so is Tripline's.
pub const PREFIX: &str = "tripline.dev/";

/// One annotation.
#[derive(Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The key.
    pub key: &'static str,
    /// What it stands on.
    pub on: &'static str,
    /// Values that it takes.
    pub values: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// Whether Tripline is in charge of a listener in a cluster.
pub const MANAGED: Annotation = Annotation {
    key: "tripline.dev/managed",
    on: "EventListener",
    values: "`\"true\"`",
    meaning: "In a cluster, Tripline serves the EventListeners that have it, and with `--claim all` \
              the others as well. It means nothing for those from files, which are all served.",
};

/// Whether a delivery that was accepted before is performed again.
pub const REDELIVERY: Annotation = Annotation {
    key: "tripline.dev/redelivery",
    on: "EventListener, Trigger",
    values: "`rerun`",
    meaning: "A delivery that its sender sends again is performed again, as an event of its own, \
              in place of being answered as a duplicate. On an EventListener it holds for all its \
              triggers; `tripline.dev/redelivery.NAME` for its inline trigger NAME.",
};

/// Whether a listener answers as Tekton Triggers does.
pub const RESPONSES: Annotation = Annotation {
    key: "tripline.dev/responses",
    on: "EventListener",
    values: "`tekton`",
    meaning: "The EventListener answers as Tekton Triggers does: any method is taken, every event \
              is answered 202 without saying what became of it, and a body that is no JSON object \
              400 with Tekton's message. What cannot be made durable is 503 all the same.",
};

/// Whether a listener's interceptors behave as Tekton's where those differ.
pub const COMPAT: Annotation = Annotation {
    key: "tripline.dev/compat",
    on: "EventListener",
    values: "`tekton`",
    meaning: "Pings fire triggers, forms are read as Tekton reads them, signatures may be of \
              SHA-1 and SHA-512, and `slack` believes whoever sends its header.",
};

/// What becomes of an event where an interceptor elsewhere gives no answer.
pub const INTERCEPTOR_FAILURE: Annotation = Annotation {
    key: "tripline.dev/interceptor-failure",
    on: "EventListener, Trigger, ClusterInterceptor, Interceptor",
    values: "`retry`, `stop`, `continue`",
    meaning: "What becomes of an event where an interceptor over the network gives no answer: it \
              is asked again later (`retry`, the default), the delivery is given up (`stop`), or \
              the chain goes on without it (`continue`). A Trigger's own wins over its \
              EventListener's, and that over the interceptor's; `tripline.dev/interceptor-failure.NAME` \
              is for the EventListener's inline trigger NAME.",
};

/// How often a trigger's deliveries are tried.
pub const RETRY_ATTEMPTS: Annotation = Annotation {
    key: "tripline.dev/retry-attempts",
    on: "EventListener, Trigger",
    values: "a number from `\"1\"`",
    meaning: "How often a delivery is tried before it is given up; `\"1\"` means once and never \
              again. Without it, only the time is bounded. A Trigger's own wins over its \
              EventListener's; `tripline.dev/retry-attempts.NAME` is for the EventListener's \
              trigger NAME. A delivery keeps what held when the trigger matched it.",
};

/// How long a trigger's deliveries are tried.
pub const RETRY_MAX_AGE: Annotation = Annotation {
    key: "tripline.dev/retry-max-age",
    on: "EventListener, Trigger",
    values: "a time such as `30m` or `1h30m`, at most a year",
    meaning: "How long a delivery is tried before it is given up, in place of `retry.maxAge` (24 h). \
              Time in which nobody could try it, because the gateway was down, hardly counts. It is \
              given and found as `tripline.dev/retry-attempts` is.",
};

/// The waits between a delivery's attempts.
pub const RETRY_BACKOFF: Annotation = Annotation {
    key: "tripline.dev/retry-backoff",
    on: "EventListener, Trigger",
    values: "`FIRST..LONGEST` such as `1s..5m`, or `FIRST`; from `100ms` to `24h`",
    meaning: "The bound of the wait before a delivery's second attempt, which doubles with each \
              further one, and where that ends, in place of `retry.firstWait` and \
              `retry.longestWait`. It is given and found as `tripline.dev/retry-attempts` is.",
};

/// How many deliveries are performed at once.
pub const MAX_CONCURRENT: Annotation = Annotation {
    key: "tripline.dev/max-concurrent",
    on: "EventListener, Trigger",
    values: "a number from 1 on",
    meaning: "At most so many deliveries are performed at once; the others wait for their turn. On a \
              Trigger it holds for that trigger, whichever EventListeners have it; on an \
              EventListener for all its triggers together, and `tripline.dev/max-concurrent.NAME` for \
              its inline trigger NAME. `\"1\"` on a trigger: one after the other, the oldest first.",
};

/// How often a delivery begins.
pub const MAX_RATE: Annotation = Annotation {
    key: "tripline.dev/max-rate",
    on: "EventListener, Trigger",
    values: "`COUNT/UNIT` such as `10/s`, `100/m`, `5/h`, `1/d`, or `10/s burst 20`",
    meaning: "Deliveries begin at most so often; the others wait for their turn, and no request is \
              refused for it. After a pause as many as the burst begin at once, which is COUNT where \
              it is not given. It stands where `tripline.dev/max-concurrent` does.",
};

/// Upstream's annotation that lets a listener take bodies that are no JSON
/// objects.
pub const PAYLOAD_VALIDATION: Annotation = Annotation {
    key: "tekton.dev/payload-validation",
    on: "EventListener",
    values: "`\"true\"`, `\"false\"`",
    meaning: "With `\"false\"` any JSON is a body, and so are forms, whose fields are lists of \
              texts, and nothing at all, which is `null`.",
};

/// Upstream's annotation that keeps templates working that escape quotes
/// themselves.
pub const OLD_ESCAPE_QUOTES: Annotation = Annotation {
    key: "triggers.tekton.dev/old-escape-quotes",
    on: "TriggerTemplate",
    values: "any",
    meaning: "Quotes in values are escaped once more before they are put in, as Tekton Triggers \
              did before v0.10.",
};

/// What an object was made for: the event.
pub const EVENT_ID: Annotation = Annotation {
    key: "tripline.dev/event-id",
    on: "created objects",
    values: "a UUID",
    meaning: "Written by Tripline: the event that the object was made for.",
};

/// What an object was made for: the trigger.
pub const TRIGGER: Annotation = Annotation {
    key: "tripline.dev/trigger",
    on: "created objects",
    values: "a trigger's identity",
    meaning: "Written by Tripline: the trigger that made the object.",
};

/// What an object was made for: the place in the template.
pub const INDEX: Annotation = Annotation {
    key: "tripline.dev/index",
    on: "created objects",
    values: "a number",
    meaning: "Written by Tripline: which of the template's resources the object is, from 0.",
};

/// That a Service leads to Tripline, and whose it was before.
pub const SERVICE: Annotation = Annotation {
    key: "tripline.dev/service",
    on: "Services",
    values: "`made`, `taken`",
    meaning: "Written by Tripline: the Service leads to it. `made`: Tripline has made it, and deletes \
              it when it gives the EventListener back. `taken`: it was Tekton's, and is restored.",
};

/// The port behind a Service.
pub const PORT: Annotation = Annotation {
    key: "tripline.dev/port",
    on: "Services",
    values: "a number",
    meaning: "Written by Tripline: the port at which it takes the EventListener's requests.",
};

/// What a Service was before.
pub const RESTORE: Annotation = Annotation {
    key: "tripline.dev/restore",
    on: "Services",
    values: "JSON",
    meaning: "Written by Tripline: selector and ports of the Service as they were, and are again \
              when Tripline gives the EventListener back.",
};

/// Every annotation.
pub const ALL: [&Annotation; 18] = [
    &MANAGED,
    &REDELIVERY,
    &RESPONSES,
    &COMPAT,
    &INTERCEPTOR_FAILURE,
    &RETRY_ATTEMPTS,
    &RETRY_MAX_AGE,
    &RETRY_BACKOFF,
    &MAX_CONCURRENT,
    &MAX_RATE,
    &PAYLOAD_VALIDATION,
    &OLD_ESCAPE_QUOTES,
    &EVENT_ID,
    &TRIGGER,
    &INDEX,
    &SERVICE,
    &PORT,
    &RESTORE,
];

/// Whether this version does what an annotation on an object asks for, or
/// need not.
pub fn is_honoured(key: &str) -> bool {
    // `KEY.NAME` is for the inline trigger NAME.
    let is = |known: &Annotation| {
        let rest = key.strip_prefix(known.key);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    !key.starts_with(PREFIX) || ALL.into_iter().any(is)
}

/// Values that an annotation with a closed list of them takes.
const CLOSED: [(&str, &[&str]); 6] = [
    (MANAGED.key, &["true", "false"]),
    (REDELIVERY.key, &["rerun"]),
    (RESPONSES.key, &["tekton"]),
    (COMPAT.key, &["tekton"]),
    (INTERCEPTOR_FAILURE.key, &["retry", "stop", "continue"]),
    (PAYLOAD_VALIDATION.key, &["true", "false"]),
];

/// The values that an annotation takes, where `value` is none of them.
pub fn wrong_value(key: &str, value: &str) -> Option<&'static [&'static str]> {
    let closed = CLOSED.iter().find(|(known, _)| {
        let rest = key.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    closed
        .map(|(_, values)| *values)
        .filter(|values| !values.contains(&value))
}

/// The value of `annotation` for the inline trigger `name` of an object: its
/// own (`KEY.NAME`), else the object's.
pub fn for_inline_trigger<'a>(
    annotations: &'a BTreeMap<String, String>,
    annotation: &Annotation,
    name: &str,
) -> Option<&'a str> {
    annotations
        .get(&format!("{}.{name}", annotation.key))
        .or_else(|| annotations.get(annotation.key))
        .map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_of_others_are_no_concern_and_misspelt_ones_are() {
        for key in [
            "a",
            "tripline.dev/redelivery",
            "tripline.dev/redelivery.build",
        ] {
            assert!(is_honoured(key), "{key}");
        }
        for key in ["tripline.dev/redeliveries", "tripline.dev/x.build"] {
            assert!(!is_honoured(key), "{key}");
        }
    }

    #[test]
    fn an_inline_trigger_s_own_annotation_wins() {
        let annotations = BTreeMap::from([
            ("tripline.dev/redelivery".to_owned(), "rerun".to_owned()),
            ("tripline.dev/redelivery.once".to_owned(), "no".to_owned()),
        ]);
        let of = |name| for_inline_trigger(&annotations, &REDELIVERY, name);
        assert_eq!(of("once"), Some("no"));
        assert_eq!(of("other"), Some("rerun"));
    }
}
