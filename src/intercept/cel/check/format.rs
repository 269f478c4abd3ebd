//! `'…'.format([…])` with everything literal is checked before evaluation.

use super::super::functions::format::{Clause, Piece, Pieces};
use super::super::report::Problem;
use super::super::syntax::{Kind as Node, Literal, NodeId, Tree};
use super::super::value::Kind;
use super::types::Type;

/// The problems of all literal format strings.
pub(super) fn check(source: &str, tree: &Tree, type_of: impl Fn(NodeId) -> Type) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (id, node) in tree.nodes.iter().enumerate() {
        let Node::Call {
            function,
            target: Some(target),
            args,
        } = &node.kind
        else {
            continue;
        };
        let (Node::Literal(Literal::Text(format)), [list]) = (tree.kind(*target), &args[..]) else {
            continue;
        };
        if &**function != "format" {
            continue;
        }
        if let Node::List(items) = tree.kind(*list)
            && let Err((at, message)) = check_call(id as NodeId, format, items, &type_of)
        {
            let offset = tree.node(at).token.0;
            problems.push(Problem::at(source, offset, message));
        }
    }
    problems
}

fn check_call(
    call: NodeId,
    format: &str,
    items: &[NodeId],
    type_of: impl Fn(NodeId) -> Type,
) -> Result<(), (NodeId, String)> {
    let mut next = 0;
    for piece in Pieces::of(format) {
        match piece {
            Ok(Piece::Literal(_)) => {}
            Ok(Piece::Clause(clause)) => {
                let Some(&item) = items.get(next) else {
                    return Err((call, format!("index {next} out of range")));
                };
                next += 1;
                let of = type_of(item);
                if !takes(clause, &of) {
                    return Err((item, clause.mismatch(name(&of))));
                }
            }
            Err(message) => return Err((call, message)),
        }
    }
    if items.len() > next {
        let given = items.len();
        return Err((
            call,
            format!("too many arguments supplied to string.format (expected {next}, got {given})"),
        ));
    }
    Ok(())
}

fn takes(clause: Clause, of: &Type) -> bool {
    kind(of).is_none_or(|kind| clause.takes(kind))
}

fn name(of: &Type) -> &'static str {
    kind(of).map_or("dyn", Kind::name)
}

/// The kind of the values of a type, where it is known.
fn kind(of: &Type) -> Option<Kind> {
    Some(match of {
        Type::Dyn | Type::Error | Type::Var(_) => return None,
        Type::Null => Kind::Null,
        Type::Bool => Kind::Bool,
        Type::Int => Kind::Int,
        Type::Uint => Kind::Uint,
        Type::Double => Kind::Double,
        Type::Text => Kind::Text,
        Type::Bytes => Kind::Bytes,
        Type::Timestamp => Kind::Timestamp,
        Type::Duration => Kind::Duration,
        Type::List(_) => Kind::List,
        Type::Map(_) => Kind::Map,
        Type::Meta(_) => Kind::Type,
    })
}
