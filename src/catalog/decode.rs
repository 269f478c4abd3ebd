//! Typed values from JSON, with the place of a mistake and the fields that
//! nobody asked for.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::problem::pointer_token;

/// Decodes an object; also gives pointers to the fields that nobody asked for.
pub(super) fn decode<T: DeserializeOwned>(
    value: &Value,
) -> Result<(T, Vec<String>), (String, String)> {
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    let decoded = serde_ignored::deserialize(tracked, |path| {
        let mut pointer = String::new();
        ignored_pointer(&path, &mut pointer);
        let everybodys = ["/apiVersion", "/kind", "/metadata", "/status"];
        if !everybodys.iter().any(|known| pointer.starts_with(known)) {
            unknown.push(pointer);
        }
    });
    match decoded {
        Ok(object) => Ok((object, unknown)),
        Err(error) => Err((error_pointer(&track.path()), error.to_string())),
    }
}

fn ignored_pointer(path: &serde_ignored::Path<'_>, pointer: &mut String) {
    use serde_ignored::Path;
    match path {
        Path::Root => {}
        Path::Seq { parent, index } => {
            ignored_pointer(parent, pointer);
            push_token(pointer, &index.to_string());
        }
        Path::Map { parent, key } => {
            ignored_pointer(parent, pointer);
            push_token(pointer, key);
        }
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => ignored_pointer(parent, pointer),
    }
}

fn error_pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => push_token(&mut pointer, &index.to_string()),
            Segment::Map { key } => push_token(&mut pointer, key),
            Segment::Enum { variant } => push_token(&mut pointer, variant),
            Segment::Unknown => {}
        }
    }
    pointer
}

fn push_token(pointer: &mut String, token: &str) {
    pointer.push('/');
    pointer.push_str(&pointer_token(token));
}
