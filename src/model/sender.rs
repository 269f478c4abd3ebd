//! What is known of a sender, as data: how its events are recognised and where
//! their facts stand. The rows themselves stand in `verify`.

use serde_json::Value;

use super::headers::Headers;

/// Alternatives of where a fact stands in a body; the first that is there wins.
pub type Places = &'static [&'static [&'static str]];

/// Everything that Tripline knows of one sender.
#[derive(Debug)]
pub struct Sender {
    /// Name: of the interceptor, the fixtures' folder, the docs' anchor.
    pub name: &'static str,
    /// Whether a request is of this sender: by its headers alone where there is
    /// no body yet, else by both.
    pub recognises: fn(&Headers, Option<&Value>) -> bool,
    /// Header that names the type of the event, where the sender has one.
    pub event_header: Option<&'static str>,
    /// The type of the event.
    pub event_type: for<'a> fn(&'a Headers, &'a Value) -> Option<&'a str>,
    /// Event types that only test the connection and never fire a trigger.
    pub pings: &'static [&'static str],
    /// What makes a delivery recognisable when it is sent again, likewise.
    pub delivery: fn(&Headers, Option<&Value>) -> Option<DeliveryMark>,
    /// Headers that carry a credential; they are never recorded.
    pub credential_headers: &'static [&'static str],
    /// Where in its bodies the facts stand.
    pub vocabulary: Vocabulary,
}

/// How a sender numbers its deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryMark {
    /// What makes the id unique: a hook, a source.
    pub scope: String,
    /// The id itself, or what serves as one.
    pub id: Mark,
}

/// The id of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The sender gave it.
    Id(String),
    /// It gave none; the same bytes on the same path within a short time are
    /// the same delivery.
    BodyHash,
}

/// Where a sender's bodies say what filters ask for.
#[derive(Debug)]
pub struct Vocabulary {
    /// `owner/name` of the repository.
    pub repository: Places,
    /// Address of the repository, to learn its host.
    pub repository_url: Places,
    /// What happened to the subject.
    pub action: Places,
    /// Who caused the event.
    pub actor: Places,
    /// Whether the change is a draft.
    pub draft: Places,
    /// The git reference that the event is about.
    pub git_ref: for<'a> fn(&'a Value) -> Option<GitRef<'a>>,
    /// Labels of the change.
    pub labels: for<'a> fn(&'a Value) -> Vec<&'a str>,
    /// Files that the event says were changed.
    pub changed: for<'a> fn(&'a Value) -> ChangedFiles<'a>,
}

/// A git reference as filters see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GitRef<'a> {
    /// A branch: the one pushed to, or the one a change is to be merged into.
    Branch(&'a str),
    /// A tag.
    Tag(&'a str),
}

/// Files that were changed, as far as the event lists them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ChangedFiles<'a> {
    /// The files that are listed.
    pub listed: Vec<&'a str>,
    /// Whether these are all. Senders cut long lists, and some events list
    /// none.
    pub complete: bool,
}

/// The first of `places` that holds anything, in `body`.
pub fn find(body: &Value, places: Places) -> Option<&Value> {
    places.iter().find_map(|keys| {
        keys.iter()
            .try_fold(body, |at, key| at.get(key))
            .filter(|found| !found.is_null())
    })
}

/// As [`find`], for text.
pub fn find_str(body: &Value, places: Places) -> Option<&str> {
    find(body, places)?.as_str()
}

/// The facts of one event, read from its body when they are asked for.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    sender: &'static Sender,
    headers: &'a Headers,
    body: &'a Value,
}

impl<'a> Facts<'a> {
    /// The facts of an event that `sender` sent.
    pub fn new(sender: &'static Sender, headers: &'a Headers, body: &'a Value) -> Self {
        Self {
            sender,
            headers,
            body,
        }
    }

    /// Who sent it.
    pub fn sender(&self) -> &'static Sender {
        self.sender
    }

    /// The type of the event, in the sender's words.
    pub fn event_type(&self) -> Option<&'a str> {
        (self.sender.event_type)(self.headers, self.body)
    }

    /// `owner/name` of the repository.
    pub fn repository(&self) -> Option<&'a str> {
        find_str(self.body, self.sender.vocabulary.repository)
    }

    /// Everything before the last `/` of the repository: owner, group, project.
    pub fn owner(&self) -> Option<&'a str> {
        self.repository()?.rsplit_once('/').map(|(owner, _)| owner)
    }

    /// Host that the repository lives on.
    pub fn host(&self) -> Option<&'a str> {
        let url = find_str(self.body, self.sender.vocabulary.repository_url)?;
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let authority = rest.split('/').next()?;
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        Some(host).filter(|host| !host.is_empty())
    }

    /// What happened to the subject.
    pub fn action(&self) -> Option<&'a str> {
        find_str(self.body, self.sender.vocabulary.action)
    }

    /// Who caused the event.
    pub fn actor(&self) -> Option<&'a str> {
        find_str(self.body, self.sender.vocabulary.actor)
    }

    /// Whether the change is a draft; nothing where the event is of no change.
    pub fn draft(&self) -> Option<bool> {
        find(self.body, self.sender.vocabulary.draft)?.as_bool()
    }

    /// The branch or tag.
    pub fn git_ref(&self) -> Option<GitRef<'a>> {
        (self.sender.vocabulary.git_ref)(self.body)
    }

    /// Labels of the change.
    pub fn labels(&self) -> Vec<&'a str> {
        (self.sender.vocabulary.labels)(self.body)
    }

    /// Files that were changed.
    pub fn changed(&self) -> ChangedFiles<'a> {
        (self.sender.vocabulary.changed)(self.body)
    }
}
