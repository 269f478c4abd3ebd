//! How often and how long a trigger's deliveries are tried: by its own
//! annotations and those of its listener.

use std::collections::BTreeMap;

use crate::catalog::diagnostic::Diagnostic;
use crate::catalog::objects::Origin;
use crate::model::annotations::{Annotation, RETRY_ATTEMPTS, RETRY_BACKOFF, RETRY_MAX_AGE};
use crate::model::problem::pointer_token;
use crate::model::retry::{RetryOverrides, parse_attempts, parse_backoff, parse_max_age};

/// Annotations of an object, and where it was written.
pub(super) type Given<'a> = (&'a BTreeMap<String, String>, &'a Origin);

/// What a trigger says of retries. A Trigger object's `own` annotations win
/// over those of its listener that name it, and those over the listener's.
pub(super) fn overrides(
    (own, listener): (Option<Given<'_>>, Option<Given<'_>>),
    name: &str,
    problems: &mut Vec<Diagnostic>,
) -> RetryOverrides {
    let around = Around {
        own,
        listener,
        name,
    };
    RetryOverrides {
        attempts: around.value(&RETRY_ATTEMPTS, parse_attempts, problems),
        max_age: around.value(&RETRY_MAX_AGE, parse_max_age, problems),
        backoff: around.value(&RETRY_BACKOFF, parse_backoff, problems),
    }
}

struct Around<'a> {
    own: Option<Given<'a>>,
    listener: Option<Given<'a>>,
    name: &'a str,
}

impl Around<'_> {
    fn value<T>(
        &self,
        annotation: &Annotation,
        parse: fn(&str) -> Result<T, String>,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        let (key, text, origin) = self.find(annotation)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(message) => {
                let pointer = format!("/metadata/annotations/{}", pointer_token(&key));
                let takes = annotation.values;
                let message = format!("`{key}`: {message}; it takes {takes}");
                problems.push(origin.error(&pointer, message));
                None
            }
        }
    }

    /// The annotation that holds, its value, and where it was written.
    fn find(&self, annotation: &Annotation) -> Option<(String, &str, &Origin)> {
        let key = annotation.key;
        let places = [
            self.own.map(|own| (key.to_owned(), own)),
            self.listener
                .map(|listener| (format!("{key}.{}", self.name), listener)),
            self.listener.map(|listener| (key.to_owned(), listener)),
        ];
        let mut places = places.into_iter().flatten();
        places.find_map(|(key, (annotations, origin))| {
            let text = annotations.get(&key)?;
            Some((key, text.as_str(), origin))
        })
    }
}
