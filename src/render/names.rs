//! Names for resources that leave theirs to the server.
//!
//! In: a prefix (`metadata.generateName`) and what the resource is made from.
//! Out: `metadata.name`, always the same for the same origin, so that creating
//! twice meets the object that is there already.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use crate::model::ids::{EventId, TriggerId};

/// How many characters tell names of one prefix apart: 60 bits.
const HASH_CHARACTERS: usize = 12;

/// Longest name, and longest name of a CronJob, whose Jobs add eleven
/// characters to it.
const NAME_CHARACTERS: usize = 63;
const CRON_JOB_CHARACTERS: usize = 52;

/// The name of the resource with this index in its template.
pub(super) fn derive(
    prefix: &str,
    kind: &str,
    event: EventId,
    trigger: &TriggerId,
    index: usize,
) -> String {
    let longest = match kind {
        "CronJob" => CRON_JOB_CHARACTERS,
        _ => NAME_CHARACTERS,
    };
    let mut name = sanitise(prefix, longest - HASH_CHARACTERS);
    name.push_str(&hash(event, trigger, index));
    name
}

/// Lower-case base32 of SHA-256 over the three parts, the only one without a
/// fixed length last.
fn hash(event: EventId, trigger: &TriggerId, index: usize) -> String {
    let mut digest = Sha256::new();
    digest.update(event.0.as_bytes());
    digest.update((index as u64).to_be_bytes());
    digest.update(trigger.0.as_bytes());
    let mut text = BASE32_NOPAD.encode(&digest.finalize());
    text.truncate(HASH_CHARACTERS);
    text.make_ascii_lowercase();
    text
}

/// The start of a DNS-1123 subdomain: lower case, other characters as `-`, each
/// part between dots beginning and ending with a letter or a digit. What comes
/// behind it begins with one.
fn sanitise(prefix: &str, longest: usize) -> String {
    let mut out = String::with_capacity(longest);
    for letter in prefix.chars().map(|letter| letter.to_ascii_lowercase()) {
        let after_alphanumeric = out.ends_with(|c: char| c.is_ascii_alphanumeric());
        let after_dot_or_start = out.is_empty() || out.ends_with('.');
        match letter {
            'a'..='z' | '0'..='9' => out.push(letter),
            '.' if after_alphanumeric => out.push('.'),
            _ if !after_dot_or_start => out.push('-'),
            _ => {}
        }
        if out.len() == longest {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn derived(prefix: &str, kind: &str) -> String {
        let trigger = TriggerId("ci/push".into());
        derive(prefix, kind, EventId(Uuid::from_u128(7)), &trigger, 0)
    }

    /// RFC 1123 subdomain, as the API server checks names.
    fn is_subdomain(name: &str) -> bool {
        let is_end = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        name.split('.').all(|label| {
            let bytes = label.as_bytes();
            bytes.first().is_some_and(is_end)
                && bytes.last().is_some_and(is_end)
                && bytes.iter().all(|byte| is_end(byte) || *byte == b'-')
        })
    }

    #[test]
    fn names_never_change() {
        assert_eq!(derived("run-", "PipelineRun"), "run-5znxojpabqnu");
    }

    #[test]
    fn a_prefix_becomes_the_start_of_a_valid_name() {
        for (prefix, expected) in [
            ("run-", "run-"),
            ("a.b-", "a.b-"),
            ("Build_Main/", "build-main-"),
            ("--x", "x"),
            ("..x", "x"),
            ("a..b", "a.b"),
            ("a-.b", "a--b"),
            ("a.-b", "a.b"),
            ("żółć-", ""),
            ("", ""),
        ] {
            assert_eq!(sanitise(prefix, 51), expected, "{prefix}");
        }
    }

    #[test]
    fn a_cron_job_leaves_room_for_the_names_of_its_jobs() {
        let long = "x".repeat(100);
        assert_eq!(derived(&long, "CronJob").len(), 52);
        assert_eq!(derived(&long, "Job").len(), 63);
    }

    proptest! {
        #[test]
        fn names_are_valid_and_short_enough(prefix in ".{0,80}", cron: bool) {
            let (kind, longest) = if cron { ("CronJob", 52) } else { ("Job", 63) };
            let name = derived(&prefix, kind);
            prop_assert!(is_subdomain(&name), "{}", name);
            prop_assert!(name.len() <= longest);
            prop_assert_eq!(&name, &derived(&prefix, kind));
        }

        #[test]
        fn different_origins_have_different_names(
            one in (any::<u128>(), "[a-z/#~0-9]{1,8}", 0_usize..300),
            other in (any::<u128>(), "[a-z/#~0-9]{1,8}", 0_usize..300),
        ) {
            let name = |(event, trigger, index): &(u128, String, usize)| {
                let event = EventId(Uuid::from_u128(*event));
                derive("run-", "Job", event, &TriggerId(trigger.clone()), *index)
            };
            prop_assert_eq!(one == other, name(&one) == name(&other));
            // The same event and neighbouring parts: the likely way to collide.
            let near = (one.0, other.1.clone(), other.2);
            prop_assert_eq!(one == near, name(&one) == name(&near));
        }
    }
}
