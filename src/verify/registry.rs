//! One line for each sender, and what several of them have in common.

use serde_json::Value;

use crate::model::headers::Headers;
use crate::model::sender::{ChangedFiles, GitRef, Places, Sender, find};

use super::hmac::Hash;
use super::scheme::Scheme;
use super::{bitbucket, github, gitlab, harbor, slack};

/// Every sender: how it proves itself, and what it says.
static ROWS: [(Scheme, Sender); 5] = [
    (github::SCHEME, github::SENDER),
    (gitlab::SCHEME, gitlab::SENDER),
    (bitbucket::SCHEME, bitbucket::SENDER),
    (slack::SCHEME, slack::SENDER),
    (harbor::SCHEME, harbor::SENDER),
];

/// Schemes of listeners that want Tekton's ways (`tripline.dev/compat`), where
/// those differ.
static TEKTON: [Scheme; 4] = [
    github::TEKTON_SCHEME,
    gitlab::TEKTON_SCHEME,
    bitbucket::TEKTON_SCHEME,
    slack::TEKTON_SCHEME,
];

/// What Tekton's interceptors take for a signature.
pub(super) const TEKTON_HASHES: &[(Hash, &str)] = &[
    (Hash::Sha256, "sha256="),
    (Hash::Sha512, "sha512="),
    (Hash::Sha1, "sha1="),
];

/// Headers that carry credentials whoever sends them.
const CREDENTIAL_HEADERS: [&str; 3] = ["Authorization", "Proxy-Authorization", "Cookie"];

/// The scheme that Tekton Triggers has for the sender called `name`.
pub(super) fn tekton_scheme(name: &str) -> Option<&'static Scheme> {
    let own = TEKTON.iter().find(|scheme| scheme.name == name);
    own.or_else(|| scheme(name))
}

/// The scheme of the sender called `name`.
pub fn scheme(name: &str) -> Option<&'static Scheme> {
    ROWS.iter()
        .map(|(scheme, _)| scheme)
        .find(|scheme| scheme.name == name)
}

/// What is known of the sender called `name`.
pub fn sender(name: &str) -> Option<&'static Sender> {
    senders().find(|sender| sender.name == name)
}

/// Every sender that is known.
pub fn senders() -> impl Iterator<Item = &'static Sender> {
    ROWS.iter().map(|(_, sender)| sender)
}

/// The sender of a request.
pub(super) fn recognise(headers: &Headers, body: Option<&Value>) -> Option<&'static Sender> {
    senders().find(|sender| (sender.recognises)(headers, body))
}

/// Whether the header of any sender names an event that only tests the
/// connection.
pub(super) fn is_ping(headers: &Headers) -> bool {
    senders().any(|sender| {
        let event = sender.event_header.and_then(|header| headers.get(header));
        event.is_some_and(|event| sender.pings.contains(&event))
    })
}

/// Headers that are never written down.
pub fn credential_headers() -> impl Iterator<Item = &'static str> {
    let own = senders().flat_map(|sender| sender.credential_headers);
    CREDENTIAL_HEADERS.into_iter().chain(own.copied())
}

/// A reference that is written in full.
pub(super) fn full_ref(name: &str) -> Option<GitRef<'_>> {
    let branch = name.strip_prefix("refs/heads/").map(GitRef::Branch);
    branch.or_else(|| name.strip_prefix("refs/tags/").map(GitRef::Tag))
}

/// The text under `key` of each object in the list at `places`.
pub(super) fn names_of<'a>(body: &'a Value, places: Places, key: &str) -> Vec<&'a str> {
    let list = find(body, places).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|item| item.get(key)?.as_str())
        .collect()
}

/// The files that the commits of a push touch. `complete` tells from the
/// number of commits that are listed whether these are all.
pub(super) fn changed_by_commits(
    body: &Value,
    complete: impl FnOnce(usize) -> bool,
) -> ChangedFiles<'_> {
    let Some(commits) = body.get("commits").and_then(Value::as_array) else {
        return ChangedFiles::default();
    };
    let files = commits.iter().flat_map(|commit| {
        let lists = ["added", "modified", "removed"].map(|list| commit.get(list));
        lists
            .into_iter()
            .flatten()
            .filter_map(Value::as_array)
            .flatten()
            .filter_map(Value::as_str)
    });
    ChangedFiles {
        listed: files.collect(),
        complete: complete(commits.len()),
    }
}
