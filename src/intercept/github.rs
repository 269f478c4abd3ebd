//! What Tekton's `github` interceptor asks of GitHub's API: the files that a
//! pull request changes, and who may start something by one.

use serde_json::{Map, Value};

use crate::model::event::VerifiedEvent;
use crate::model::finding::Stop;
use crate::model::problem::{Problem, field, kind_of, unknown_fields};
use crate::model::secret::{SecretKeyRef, SecretLookup, SecretValue};
use crate::model::verdict::Reason;

use super::Surroundings;
use super::calls::{Calls, Repository};
use super::cel;
use super::rest::Halt;

mod owners;

pub(super) use owners::{Owners, odd_check_type};

const EVENT: &str = "X-Github-Event";

/// Header that names the host of an enterprise server.
const HOST: &str = "X-Github-Enterprise-Host";

const PULL_REQUEST: &str = "pull_request";

/// Adds the extension `changed_files`.
#[derive(Debug)]
pub(super) struct ChangedFiles {
    token: Option<SecretKeyRef>,
}

impl ChangedFiles {
    /// Compiles `addChangedFiles`; nothing where it is absent or off.
    pub(super) fn compile(
        params: &Map<String, Value>,
        namespace: &str,
    ) -> Result<Option<Self>, Problem> {
        let Some(given) = enabled(params, "addChangedFiles", &[])? else {
            return Ok(None);
        };
        let token = token(given, "/addChangedFiles", namespace)?;
        Ok(Some(Self { token }))
    }

    pub(super) fn secret(&self) -> Option<&SecretKeyRef> {
        self.token.as_ref()
    }

    /// Only a pull request does not list its files itself.
    pub(super) fn needs_call(&self, event: &VerifiedEvent) -> bool {
        event_type(event) == PULL_REQUEST
    }

    /// The files that a push lists.
    pub(super) fn decide(
        &self,
        event: &VerifiedEvent,
        around: &Surroundings<'_>,
        extensions: &mut Map<String, Value>,
    ) -> Result<(), Stop> {
        if event_type(event) != "push" {
            return Ok(());
        }
        // A trigger that names a token is not to work without it, sometimes.
        find(self.token.as_ref(), around)?;
        let body = object(event)?;
        if body.contains_key("number") && number(body).is_none() {
            return Err(lacks("a number in `number`"));
        }
        repository(body)?;
        let mut files = Vec::new();
        let commits = body.get("commits").and_then(Value::as_array);
        for commit in commits.into_iter().flatten() {
            for list in ["added", "modified", "removed"] {
                let listed = commit.get(list).and_then(Value::as_array);
                let listed = listed.ok_or_else(|| lacks(&format!("commits.*.{list}")))?;
                files.extend(listed.iter().map(name_of));
            }
        }
        add(extensions, &files);
        Ok(())
    }

    /// The files that GitHub lists for a pull request.
    pub(super) async fn ask(
        &self,
        event: &VerifiedEvent,
        around: &Surroundings<'_>,
        calls: &dyn Calls,
        extensions: &mut Map<String, Value>,
    ) -> Result<(), Halt> {
        if !self.needs_call(event) {
            return Ok(self.decide(event, around, extensions)?);
        }
        let body = object(event)?;
        let number = number(body).ok_or_else(|| lacks("number"))?;
        let (owner, name) = repository(body)?;
        let token = find(self.token.as_ref(), around)?;
        let at = at(event, around, (owner, name), token);
        let files = calls.changed_files(&at, number).await?;
        add(extensions, &files);
        Ok(())
    }
}

/// A file's name. What is no text is written as Go's `%v` writes it.
fn name_of(file: &Value) -> String {
    match file {
        Value::String(name) => name.clone(),
        Value::Number(number) => cel::general_number(number.as_f64().unwrap_or_default()),
        Value::Null => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(name_of).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            let fields = fields.into_iter();
            let fields = fields.map(|(name, value)| format!("{name}:{}", name_of(value)));
            format!("map[{}]", fields.collect::<Vec<_>>().join(" "))
        }
    }
}

fn add(extensions: &mut Map<String, Value>, files: &[String]) {
    extensions.insert("changed_files".into(), files.join(",").into());
}

fn event_type(event: &VerifiedEvent) -> &str {
    event.headers().get(EVENT).unwrap_or_default()
}

/// The parameter `name`, where it is switched on.
fn enabled<'p>(
    params: &'p Map<String, Value>,
    name: &str,
    more: &[&str],
) -> Result<Option<&'p Map<String, Value>>, Problem> {
    let at = |rest: &str| format!("/{name}{rest}");
    let given = match field(params, name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(given)) => given,
        Some(other) => {
            let message = format!("expected {{enabled, …}}, got {}", kind_of(other));
            return Err(Problem::at(at(""), message));
        }
    };
    let known = [&["enabled", "personalAccessToken"], more].concat();
    if let Some(unknown) = unknown_fields(given, &known).next() {
        let message = format!("`{name}` has no field `{unknown}`");
        return Err(Problem::at(at(&format!("/{unknown}")), message));
    }
    match field(given, "enabled") {
        None | Some(Value::Null | Value::Bool(false)) => Ok(None),
        Some(Value::Bool(true)) => Ok(Some(given)),
        Some(other) => {
            let message = format!("expected true or false, got {}", kind_of(other));
            Err(Problem::at(at("/enabled"), message))
        }
    }
}

fn token(
    given: &Map<String, Value>,
    under: &str,
    namespace: &str,
) -> Result<Option<SecretKeyRef>, Problem> {
    let at = format!("{under}/personalAccessToken");
    let reference = match field(given, "personalAccessToken") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(reference)) => reference,
        Some(other) => {
            let message = format!("expected {{secretName, secretKey}}, got {}", kind_of(other));
            return Err(Problem::at(at, message));
        }
    };
    let text = |name: &str| {
        let text = field(reference, name).and_then(Value::as_str);
        let text = text.filter(|text| !text.is_empty());
        text.map(str::to_owned)
            .ok_or_else(|| Problem::at(at.clone(), format!("{name} is empty")))
    };
    Ok(Some(SecretKeyRef {
        namespace: namespace.to_owned(),
        name: text("secretName")?,
        key: text("secretKey")?,
    }))
}

/// The value of a token. One that is not there may come.
fn find(
    token: Option<&SecretKeyRef>,
    around: &Surroundings<'_>,
) -> Result<Option<SecretValue>, Stop> {
    let Some(token) = token else {
        return Ok(None);
    };
    let reason = match around.secrets.find(token) {
        SecretLookup::Found(value) => return Ok(Some(value)),
        SecretLookup::NoSecret => Reason::SecretMissing,
        SecretLookup::NoKey => Reason::SecretKeyMissing,
        SecretLookup::NotSynced => Reason::SecretsNotSynced,
    };
    Err(Stop::deferred(reason, format!("waits for secret {token}")))
}

/// The repository, at the host that the event is from. Headers are not signed:
/// the host counts as proven where the signed body names it too.
fn at<'e>(
    event: &'e VerifiedEvent,
    around: &Surroundings<'_>,
    (owner, name): (&'e str, &'e str),
    token: Option<SecretValue>,
) -> Repository<'e> {
    let host = event.headers().get(HOST).filter(|host| !host.is_empty());
    let in_body = event.facts().and_then(|facts| facts.host());
    Repository {
        host,
        is_proven: around.is_verified && host.is_some() && host == in_body,
        owner,
        name,
        token,
    }
}

fn object(event: &VerifiedEvent) -> Result<&Map<String, Value>, Stop> {
    let body = event.body();
    let body = body.map_err(|reason| Stop::failed(reason, reason.meaning()))?;
    body.as_object()
        .ok_or_else(|| Stop::failed(Reason::BodyNotObject, Reason::BodyNotObject.meaning()))
}

/// Owner and name of the repository.
fn repository(body: &Map<String, Value>) -> Result<(&str, &str), Stop> {
    let repository = body.get("repository").and_then(Value::as_object);
    let full = repository.and_then(|repository| repository.get("full_name")?.as_str());
    let mut parts = full
        .ok_or_else(|| lacks("repository.full_name"))?
        .split('/');
    match (parts.next(), parts.next()) {
        (Some(owner), Some(name)) => Ok((owner, name)),
        _ => Err(lacks("an owner in repository.full_name")),
    }
}

/// The number of a pull request or an issue.
fn number(of: &Map<String, Value>) -> Option<i64> {
    let number = of.get("number")?.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "a whole number is wanted")]
    let whole = number.trunc() as i64;
    Some(whole)
}

fn lacks(what: &str) -> Stop {
    Stop::failed(Reason::PayloadIncomplete, format!("the event lacks {what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compile(params: &Value) -> Result<Option<ChangedFiles>, Problem> {
        ChangedFiles::compile(params.as_object().unwrap(), "ci")
    }

    #[test]
    fn what_is_off_is_not_there_and_what_is_misspelt_is_told() {
        for params in [
            json!({}),
            json!({"addChangedFiles": null}),
            json!({"addChangedFiles": {}}),
            json!({"addChangedFiles": {"enabled": false}}),
        ] {
            assert!(compile(&params).unwrap().is_none(), "{params}");
        }
        for (params, pointer) in [
            (json!({"addChangedFiles": true}), "/addChangedFiles"),
            (
                json!({"addChangedFiles": {"enabled": "yes"}}),
                "/addChangedFiles/enabled",
            ),
            (
                json!({"addChangedFiles": {"enable": true}}),
                "/addChangedFiles/enable",
            ),
            (
                json!({"addChangedFiles": {"enabled": true, "personalAccessToken": {"secretName": "a"}}}),
                "/addChangedFiles/personalAccessToken",
            ),
        ] {
            assert_eq!(compile(&params).unwrap_err().pointer, pointer);
        }
    }

    #[test]
    fn what_is_no_name_of_a_file_is_written_as_go_writes_it() {
        for (file, expected) in [
            (json!("a b"), "a b"),
            (json!(1e21), "1e+21"),
            (json!([1, null, true]), "[1 <nil> true]"),
            (json!({"b": [1], "a": {}}), "map[a:map[] b:[1]]"),
        ] {
            assert_eq!(name_of(&file), expected);
        }
    }

    #[test]
    fn a_token_is_one_of_the_trigger_s_namespace() {
        let secret = json!({"secretName": "github", "secretKey": "token"});
        let params = json!({"addChangedFiles": {"enabled": true, "personalAccessToken": secret}});
        let files = compile(&params).unwrap().unwrap();
        assert_eq!(files.secret().unwrap().to_string(), "ci/github[token]");
    }
}
