//! What Go's decoder makes of the kinds: their types, down to the last field
//! of a pod. Whoever wants to read an object as upstream does, or to name a
//! field as the API spells it, looks here.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Facts, one type a line; its head says how it is written.
const TYPES: &str = include_str!("schema/types.txt");

static TABLE: LazyLock<HashMap<&'static str, Type>> = LazyLock::new(|| {
    let lines = TYPES.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(read).collect()
});

/// A type that has a name.
#[derive(Debug)]
enum Type {
    Struct(Vec<Field>),
    Custom,
    Is(&'static str),
}

/// A field of a structure.
#[derive(Debug)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// The embedded structures that it is promoted from, separated by `/`.
    pub from: &'static str,
    /// Its type.
    pub of: &'static str,
    /// Whether Go writes it also where nobody gives it: a number, then 0.
    pub is_always_written: bool,
}

/// What a type looks like in JSON.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Something that may be absent.
    Pointer(&'static str),
    /// A list of things.
    List(&'static str),
    /// Things by names that nobody fixes.
    Map(&'static str),
    /// Things by fixed names.
    Struct(&'static [Field]),
    /// Something that reads JSON by itself.
    Custom,
    /// A text.
    Text,
    /// True or false.
    Bool,
    /// A whole number of so many bits.
    Int(u32),
}

/// The type of objects of a kind in a version.
pub fn root(version: &str, kind: &str) -> Option<&'static str> {
    let name = format!("{version}.{kind}");
    TABLE.get_key_value(name.as_str()).map(|(name, _)| *name)
}

/// What a type looks like.
pub fn shape(of: &'static str) -> Shape {
    if let Some(inner) = of.strip_prefix('*') {
        return Shape::Pointer(inner);
    }
    if let Some(items) = of.strip_prefix("[]") {
        return Shape::List(items);
    }
    if let Some((_, values)) = of
        .strip_prefix("map[")
        .and_then(|rest| rest.split_once(']'))
    {
        return Shape::Map(values);
    }
    match TABLE.get(of) {
        Some(Type::Struct(fields)) => Shape::Struct(fields),
        Some(Type::Is(other)) => shape(other),
        Some(Type::Custom) => Shape::Custom,
        None => match of {
            "bool" => Shape::Bool,
            "int32" => Shape::Int(32),
            "int64" => Shape::Int(64),
            "uint8" => Shape::Int(8),
            _ => Shape::Text,
        },
    }
}

/// A type as Go prints it.
pub fn shown(of: &str) -> &str {
    of.split('#').next().unwrap_or(of)
}

/// The field that Go's decoder gives a key to: the one of that name, else the
/// one of that name in another letter case.
pub fn field<'f>(fields: &'f [Field], key: &str) -> Option<&'f Field> {
    let exact = fields.iter().find(|field| field.name == key);
    exact.or_else(|| {
        fields
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(key))
    })
}

fn read(line: &'static str) -> Option<(&'static str, Type)> {
    let (name, rest) = line.split_once(' ')?;
    let read = match rest.strip_prefix("struct") {
        Some(fields) => Type::Struct(fields.split_whitespace().filter_map(read_field).collect()),
        None if rest == "custom" => Type::Custom,
        None => Type::Is(rest),
    };
    Some((name, read))
}

fn read_field(text: &'static str) -> Option<Field> {
    let (name, of) = text.split_once(':')?;
    let (from, name) = name.rsplit_once('/').unwrap_or(("", name));
    let marked = of.strip_prefix('!');
    Some(Field {
        name,
        from,
        of: marked.unwrap_or(of),
        is_always_written: marked.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_is_named_is_known() {
        for of in TABLE.values() {
            let Type::Struct(fields) = of else { continue };
            for field in fields {
                let mut inner = field.of;
                while let Shape::Pointer(next) | Shape::List(next) | Shape::Map(next) = shape(inner)
                {
                    inner = next;
                }
                let basic = ["string", "bool", "int32", "int64", "uint8"];
                assert!(
                    TABLE.contains_key(inner) || basic.contains(&inner),
                    "{inner}"
                );
            }
        }
    }

    #[test]
    fn keys_find_their_fields_in_any_letter_case() {
        let listener = root("v1beta1", "EventListener").unwrap();
        let Shape::Struct(fields) = shape(listener) else {
            panic!("it is a structure");
        };
        assert_eq!(
            field(fields, "SPEC").unwrap().of,
            "v1beta1.EventListenerSpec"
        );
        assert!(field(fields, "specs").is_none());
        assert!(root("v1beta1", "Interceptor").is_none());
    }
}
