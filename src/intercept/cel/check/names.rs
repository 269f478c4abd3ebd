//! What every expression can name, and literals.

use super::super::syntax::Literal;
use super::super::value::Kind;
use super::types::Type;
use super::{Meaning, Variable};

/// The type of a literal.
pub(super) fn type_of_literal(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::Text(_) => Type::Text,
        Literal::Bytes(_) => Type::Bytes,
    }
}

/// Names that every expression can use, with their types.
pub(super) fn global(name: &str) -> Option<(Meaning, Type)> {
    let object = || Type::map(Type::Text, Type::Dyn);
    let variable = |variable, of| Some((Meaning::Variable(variable), of));
    let (kind, of) = match name {
        "body" => return variable(Variable::Body, object()),
        "header" => return variable(Variable::Header, object()),
        "extensions" => return variable(Variable::Extensions, object()),
        "requestURL" => return variable(Variable::RequestUrl, Type::Text),
        "bool" => (Kind::Bool, Type::Bool),
        "bytes" => (Kind::Bytes, Type::Bytes),
        "double" => (Kind::Double, Type::Double),
        "google.protobuf.Duration" => (Kind::Duration, Type::Duration),
        "google.protobuf.Timestamp" => (Kind::Timestamp, Type::Timestamp),
        "int" => (Kind::Int, Type::Int),
        "list" => (Kind::List, Type::list(Type::Dyn)),
        "map" => (Kind::Map, Type::map(Type::Dyn, Type::Dyn)),
        "null_type" => (Kind::Null, Type::Null),
        "string" => (Kind::Text, Type::Text),
        "type" => (Kind::Type, Type::Meta(None)),
        "uint" => (Kind::Uint, Type::Uint),
        _ => return None,
    };
    Some((Meaning::Type(kind), Type::of(of)))
}
