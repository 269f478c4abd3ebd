//! Who may start something by a pull request: those whom the repository knows,
//! and whoever one of those lets in by a comment.

use serde_json::{Map, Value};

use crate::intercept::Surroundings;
use crate::intercept::calls::{CallError, Calls, Repository};
use crate::intercept::cel;
use crate::intercept::rest::Halt;
use crate::model::event::VerifiedEvent;
use crate::model::finding::Stop;
use crate::model::problem::{Problem, field, kind_of};
use crate::model::secret::SecretKeyRef;
use crate::model::verdict::Reason;

use super::{
    PULL_REQUEST, at, enabled, event_type, find, lacks, number, object, repository, token,
};

const COMMENT: &str = "issue_comment";

/// What a comment says to let a pull request in, on a line of its own.
const OK_TO_TEST: &str = "/ok-to-test";

/// Where owners are listed.
const FILE: &str = "OWNERS";

/// Lets events of owners and members pass.
#[derive(Debug)]
pub(in crate::intercept) struct Owners {
    token: Option<SecretKeyRef>,
    /// Whether members of the organisation count.
    members: bool,
    /// Whether collaborators of the repository count.
    collaborators: bool,
    /// Whether nobody but those in the file counts, so that a token is not
    /// needed.
    only_file: bool,
}

/// A `checkType` that upstream does not know, and takes for the file alone.
pub(in crate::intercept) fn odd_check_type(params: &Map<String, Value>) -> Option<Problem> {
    const KNOWN: [&str; 4] = ["orgMembers", "repoMembers", "all", "none"];
    let given = field(params, "githubOwners")?.as_object()?;
    let check = field(given, "checkType")?.as_str()?;
    (!check.is_empty() && !KNOWN.contains(&check)).then(|| {
        Problem::at(
            "/githubOwners/checkType",
            format!(
                "`{check}` is none of {}: only the file {FILE} says who may",
                KNOWN.join(", ")
            ),
        )
    })
}

impl Owners {
    /// Compiles `githubOwners`; nothing where it is absent or off.
    pub(in crate::intercept) fn compile(
        params: &Map<String, Value>,
        namespace: &str,
    ) -> Result<Option<Self>, Problem> {
        let Some(given) = enabled(params, "githubOwners", &["checkType"])? else {
            return Ok(None);
        };
        let check = match field(given, "checkType") {
            None | Some(Value::Null) => "",
            Some(Value::String(check)) => check,
            Some(other) => {
                let message = format!(
                    "expected orgMembers, repoMembers, all or none, got {}",
                    kind_of(other)
                );
                return Err(Problem::at("/githubOwners/checkType", message));
            }
        };
        Ok(Some(Self {
            token: token(given, "/githubOwners", namespace)?,
            members: ["orgMembers", "all"].contains(&check),
            collaborators: ["repoMembers", "all"].contains(&check),
            only_file: check == "none",
        }))
    }

    pub(in crate::intercept) fn secret(&self) -> Option<&SecretKeyRef> {
        self.token.as_ref()
    }

    pub(in crate::intercept) fn needs_call(&self, event: &VerifiedEvent) -> bool {
        [PULL_REQUEST, COMMENT].contains(&event_type(event))
    }

    /// Asks whether whoever caused the event may.
    pub(in crate::intercept) async fn ask(
        &self,
        event: &VerifiedEvent,
        around: &Surroundings<'_>,
        calls: &dyn Calls,
    ) -> Result<(), Halt> {
        if !self.needs_call(event) {
            return Ok(());
        }
        let token = find(self.token.as_ref(), around)?;
        if token.is_none() && !self.only_file {
            let detail = "githubOwners needs a personalAccessToken to look members up";
            return Err(Stop::failed(Reason::NotAnOwner, detail).into());
        }
        let body = object(event)?;
        let asks_for_it = match event_type(event) {
            PULL_REQUEST => {
                number(body).ok_or_else(|| lacks("number"))?;
                true
            }
            _ => comment(body)?.is_some_and(lets_in),
        };
        let place = repository(body)?;
        let sender = body.get("sender").and_then(Value::as_object);
        let sender = sender.ok_or_else(|| lacks("sender"))?;
        let login = sender.get("login").and_then(Value::as_str);
        let login = login.unwrap_or_default();
        let at = at(event, around, place, token);
        if asks_for_it && self.knows(&at, login, calls).await? {
            return Ok(());
        }
        let detail = match asks_for_it {
            true => format!("`{login}` is no owner of {}/{}", place.0, place.1),
            false => format!("the comment does not say {OK_TO_TEST}"),
        };
        Err(Stop::filtered(Reason::NotAnOwner, detail).into())
    }

    async fn knows(
        &self,
        at: &Repository<'_>,
        login: &str,
        calls: &dyn Calls,
    ) -> Result<bool, CallError> {
        if self.members && calls.is_member(at, login).await? {
            return Ok(true);
        }
        if self.collaborators && calls.is_collaborator(at, login).await? {
            return Ok(true);
        }
        let Some(file) = calls.file(at, FILE).await? else {
            return Ok(false);
        };
        let unreadable = |why: &str| CallError::lasting(format!("{FILE} cannot be read: {why}"));
        let text = String::from_utf8_lossy(&file);
        let read = cel::read_yaml_texts(&text).map_err(|error| unreadable(&error))?;
        let [approvers, reviewers] = ["approvers", "reviewers"].map(|list| names(&read, list));
        let (Some(approvers), Some(reviewers)) = (approvers, reviewers) else {
            return Err(unreadable("it lists no texts"));
        };
        let login = login.to_lowercase();
        let mut listed = approvers.iter().chain(&reviewers);
        // Whoever has no name is nobody, even where an entry is empty.
        Ok(!login.is_empty() && listed.any(|name| name.to_lowercase() == login))
    }
}

/// The names in a list, whose own name counts letter for letter; nothing where
/// it is none.
fn names<'v>(file: &'v Value, list: &str) -> Option<Vec<&'v str>> {
    match file {
        Value::Null => Some(Vec::new()),
        Value::Object(file) => match file.get(list) {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(names)) => names
                .iter()
                .filter(|name| !name.is_null())
                .map(Value::as_str)
                .collect(),
            Some(_) => None,
        },
        _ => None,
    }
}

/// What a comment on a pull request or an issue says.
fn comment(body: &Map<String, Value>) -> Result<Option<&str>, Stop> {
    let part = |name: &'static str| {
        let part = body.get(name).and_then(Value::as_object);
        part.ok_or_else(|| lacks(name))
    };
    number(part("issue")?).ok_or_else(|| lacks("issue.number"))?;
    let said = part("comment")?.get("body");
    let said = said.ok_or_else(|| lacks("comment.body"))?;
    Ok(said.as_str())
}

/// Whether a line of a comment is the word that lets a pull request in. A line
/// ends with any of the ends of lines that there are, and begins after `\n`.
fn lets_in(comment: &str) -> bool {
    comment.split('\n').any(|line| {
        let rest = line.strip_prefix(OK_TO_TEST);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('\r'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_lets_in_by_a_line_of_its_own() {
        for (comment, expected) in [
            ("/ok-to-test", true),
            ("/ok-to-test\r\nthanks", true),
            ("hello\n/ok-to-test\n", true),
            ("/ok-to-test\rfoo", true),
            ("/ok-to-test now", false),
            ("x /ok-to-test", false),
            ("/OK-TO-TEST", false),
            ("/ok-to-testing", false),
            ("", false),
        ] {
            assert_eq!(lets_in(comment), expected, "{comment:?}");
        }
    }
}
