//! The expression tree that the passes share.
//!
//! In: what `parse` reads. Out: nodes in one vector, children before their
//! parents, each with the place in the source that messages point at. No pass
//! changes the tree, and dropping it does not recurse.

/// Index of a node.
pub(crate) type NodeId = u32;

/// A whole expression.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: NodeId,
}

impl Tree {
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    pub(crate) fn kind(&self, id: NodeId) -> &Kind {
        &self.node(id).kind
    }

    /// The dotted name that identifiers and selections spell, if they do.
    pub(crate) fn dotted(&self, id: NodeId) -> Option<String> {
        match self.kind(id) {
            Kind::Ident(name) => Some(name.to_string()),
            Kind::Select {
                operand,
                field,
                test: false,
            } => Some(format!("{}.{field}", self.dotted(*operand)?)),
            _ => None,
        }
    }
}

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Byte offsets of the first and the last character of the token that
    /// stands for the node: an operator, an opening bracket, a literal.
    pub(crate) token: (u32, u32),
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Kind {
    Literal(Literal),
    Ident(Box<str>),
    Select {
        operand: NodeId,
        field: Box<str>,
        /// `has(operand.field)`.
        test: bool,
    },
    Call {
        function: Box<str>,
        target: Option<NodeId>,
        args: Box<[NodeId]>,
    },
    List(Box<[NodeId]>),
    Map(Box<[(NodeId, NodeId)]>),
    /// A message literal, by the name of its type.
    Message(Box<str>),
    Comprehension(Box<Comprehension>),
}

/// A literal value.
#[derive(Clone, Debug)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Box<str>),
    Bytes(Box<[u8]>),
}

/// What the macros over lists and maps expand to.
#[derive(Debug)]
pub(crate) struct Comprehension {
    pub(crate) range: NodeId,
    pub(crate) variable: Box<str>,
    pub(crate) accumulator: Box<str>,
    pub(crate) init: NodeId,
    pub(crate) condition: NodeId,
    pub(crate) step: NodeId,
    pub(crate) result: NodeId,
}

/// Calls `visit` with each direct child, in the order of evaluation.
pub(crate) fn children(kind: &Kind, mut visit: impl FnMut(NodeId)) {
    match kind {
        Kind::Literal(_) | Kind::Ident(_) | Kind::Message(_) => {}
        Kind::Select { operand, .. } => visit(*operand),
        Kind::Call { target, args, .. } => {
            target.iter().chain(args.iter()).copied().for_each(visit);
        }
        Kind::List(items) => items.iter().copied().for_each(visit),
        Kind::Map(entries) => entries.iter().for_each(|&(key, value)| {
            visit(key);
            visit(value);
        }),
        Kind::Comprehension(fold) => {
            for id in [
                fold.range,
                fold.init,
                fold.condition,
                fold.step,
                fold.result,
            ] {
                visit(id);
            }
        }
    }
}
