//! What upstream's admission webhook does with an object: decodes it
//! strictly, fills in defaults, validates it.
//!
//! In: an object as JSON. Out: the object as it would be stored, or why it
//! would be refused, in the words that users of Tekton know. Nothing here
//! decides whether Tripline itself can run the object: `catalog` does.

use serde_json::Value;

use crate::api::{TRIGGERS_GROUP, schema};

mod custom;
mod decode;
mod defaults;
mod field_error;
mod patch;
mod quantity;
mod read;
pub mod review;
mod time;

mod validate;

use decode::Unknown;

/// What becomes of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is taken, with defaults filled in.
    Admitted(Value),
    /// It is not.
    Refused(Refusal),
}

/// Why an object is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Who refuses it.
    pub stage: Stage,
    /// Everything that is wrong with it, with a pointer to each place.
    pub mistakes: Vec<Mistake>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What it is, as users see it.
    pub message: String,
    /// JSON pointers to the fields that it concerns, as near as they are known.
    pub pointers: Vec<String>,
}

/// Who refuses an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nobody knows its kind.
    Kind,
    /// The decoder.
    Decode,
    /// The defaulting, which crashes upstream.
    Defaulting,
    /// The validation.
    Validate,
}

/// A kind that can be reviewed, decoded.
struct Object {
    kind: String,
    version: String,
    value: Value,
}

/// Where upstream crashes: the path of what it crashes on.
struct Panic(String);

impl Refusal {
    /// The whole message.
    pub fn message(&self) -> String {
        let messages = self.mistakes.iter().map(|mistake| mistake.message.as_str());
        messages.collect::<Vec<_>>().join("\n")
    }

    fn one(stage: Stage, message: String, pointer: String) -> Self {
        let pointers = vec![pointer];
        Self {
            stage,
            mistakes: vec![Mistake { message, pointers }],
        }
    }

    fn crash(stage: Stage, Panic(path): &Panic) -> Self {
        let message = format!("invalid value: null: {path}");
        Self::one(stage, message, pointer(path))
    }
}

/// Whether a kind of Tekton's group is known in a version.
pub fn is_known(version: &str, kind: &str) -> bool {
    schema::root(version, kind).is_some() && KINDS.contains(&kind)
}

/// The kinds that are reviewed. The table of types has parts of them too.
const KINDS: [&str; 7] = [
    "ClusterInterceptor",
    "ClusterTriggerBinding",
    "EventListener",
    "Interceptor",
    "Trigger",
    "TriggerBinding",
    "TriggerTemplate",
];

/// Reviews an object that is to be created or updated.
pub fn review(given: &Value) -> Verdict {
    let mut object = match decode(given, Unknown::Refused) {
        Ok(object) => object,
        Err(refusal) => return Verdict::Refused(refusal),
    };
    if let Err(panic) = defaults::set(&mut object) {
        return Verdict::Refused(Refusal::crash(Stage::Defaulting, &panic));
    }
    match object.check() {
        Some(refusal) => Verdict::Refused(refusal),
        None => Verdict::Admitted(object.value),
    }
}

fn decode(given: &Value, unknown: Unknown) -> Result<Object, Refusal> {
    let text = |key: &str| given[key].as_str().unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let known = match api_version.split_once('/') {
        Some((TRIGGERS_GROUP, version)) if KINDS.contains(&kind) => {
            schema::root(version, kind).map(|root| (version, root))
        }
        _ => None,
    };
    let Some((version, root)) = known else {
        let message = format!("unhandled kind: {api_version}, Kind={kind}");
        return Err(Refusal::one(Stage::Kind, message, "/kind".into()));
    };
    let decoded = decode::decode(root, given, unknown);
    match decoded.mistake {
        Some(mistake) => Err(Refusal::one(
            Stage::Decode,
            mistake.message,
            mistake.pointer,
        )),
        None => Ok(Object {
            kind: kind.to_owned(),
            version: version.to_owned(),
            value: decoded.value,
        }),
    }
}

impl Object {
    /// What is wrong with it.
    fn check(&self) -> Option<Refusal> {
        let errors = match validate::validate(self) {
            Ok(errors) if errors.is_empty() => return None,
            Ok(errors) => errors,
            Err(panic) => return Some(Refusal::crash(Stage::Validate, &panic)),
        };
        let mistakes = errors.merged().into_iter().map(|(message, paths)| Mistake {
            message,
            pointers: paths.iter().map(|path| self.pointer(path)).collect(),
        });
        Some(Refusal {
            stage: Stage::Validate,
            mistakes: mistakes.collect(),
        })
    }
}

impl Object {
    /// Where the field stands that upstream calls by `path`: it leaves out
    /// some pieces of the way, and makes up others.
    fn pointer(&self, path: &str) -> String {
        let path = path.replace(".interceptor.", ".");
        let path = path.replace("Resource.spec.replicas", "Resource.replicas");
        match self.kind.as_str() {
            "EventListener" | "Trigger" => {
                pointer(&path.replace("resourcetemplates", "template.spec.resourcetemplates"))
            }
            "ClusterTriggerBinding" if !path.starts_with("metadata") => {
                format!("/spec{}", pointer(&path))
            }
            _ => pointer(&path),
        }
    }
}

/// A path such as `spec.triggers[0].template` as a JSON pointer.
fn pointer(path: &str) -> String {
    let tokens = path
        .split(['.', '[', ']'])
        .filter(|token| !token.is_empty());
    tokens.flat_map(|token| ["/", token]).collect()
}

#[cfg(test)]
mod tests;
