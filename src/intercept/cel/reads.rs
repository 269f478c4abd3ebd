//! Which part of the event an expression reads.

use super::syntax::{Kind as Node, Literal, NodeId, Tree, children};

/// A part of the event: a variable, then names of fields. Names of headers are
/// in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path(Vec<String>);

/// Something of the event that an expression compares with a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// One header, by its name in lower case.
    Header(String),
    /// A part of something else: `header` as a whole, `body`, `extensions` or
    /// `requestURL`.
    Within(String),
}

impl Path {
    /// What it is as a credential.
    pub(super) fn credential(&self) -> Credential {
        match self.0.as_slice() {
            [root, name, ..] if root == "header" => Credential::Header(name.clone()),
            [root, ..] => Credential::Within(root.clone()),
            [] => Credential::Within(String::new()),
        }
    }

    /// Whether it reads one of these headers, or all of them.
    pub(super) fn reads_header(&self, names: &[String]) -> bool {
        match self.0.as_slice() {
            [root] => root == "header",
            [root, name, ..] if root == "header" => {
                names.iter().any(|known| known.eq_ignore_ascii_case(name))
            }
            _ => false,
        }
    }

    /// Whether one of the two paths leads into what the other stands for.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(one, other)| one == other)
    }
}

/// Whether a node reads one fixed place of the event: `body.a[0]`,
/// `header['X']`.
pub(super) fn is_path(tree: &Tree, id: NodeId) -> bool {
    let complete = match tree.kind(id) {
        Node::Call { target, .. } => target.is_none(),
        _ => true,
    };
    complete && path(tree, id).is_some_and(|(_, fixed)| fixed)
}

/// The part of the event that a node reads, and whether it is just that part.
fn path(tree: &Tree, id: NodeId) -> Option<(Path, bool)> {
    match tree.kind(id) {
        Node::Ident(name) => {
            let name = name.strip_prefix('.').unwrap_or(name);
            matches!(name, "body" | "header" | "extensions" | "requestURL")
                .then(|| (Path(vec![name.to_owned()]), true))
        }
        Node::Select { operand, field, .. } => {
            let (path, fixed) = path(tree, *operand)?;
            Some((step(path, fixed, Some(field)), fixed))
        }
        Node::Call {
            function,
            target: None,
            args,
        } if &**function == "_[_]" => {
            let (path, fixed) = path(tree, *args.first()?)?;
            match args.get(1).map(|key| tree.kind(*key)) {
                Some(Node::Literal(Literal::Text(key))) => {
                    Some((step(path, fixed, Some(key)), fixed))
                }
                Some(Node::Literal(Literal::Int(key))) => {
                    Some((step(path, fixed, Some(&key.to_string())), fixed))
                }
                _ => Some((path, false)),
            }
        }
        // `header.match('X', …)` and `header.canonical('X')` read one header.
        Node::Call {
            function,
            target: Some(target),
            args,
        } if matches!(&**function, "match" | "canonical") => {
            let (path, fixed) = path(tree, *target)?;
            match args.first().map(|name| tree.kind(*name)) {
                Some(Node::Literal(Literal::Text(name))) => {
                    Some((step(path, fixed, Some(name)), fixed))
                }
                _ => Some((path, false)),
            }
        }
        _ => None,
    }
}

/// The path one field further, unless it was not known to the end before.
fn step(mut path: Path, fixed: bool, field: Option<&str>) -> Path {
    if let Some(field) = field.filter(|_| fixed) {
        let in_headers = path.0.first().is_some_and(|root| root == "header");
        path.0.push(match in_headers {
            true => field.to_ascii_lowercase(),
            false => field.to_owned(),
        });
    }
    path
}

/// Every part of the event that a node and those below it read.
pub(super) fn paths_below(tree: &Tree, id: NodeId) -> Vec<Path> {
    let mut paths = Vec::new();
    collect(tree, id, &mut paths);
    paths
}

fn collect(tree: &Tree, id: NodeId, into: &mut Vec<Path>) {
    if let Some((path, fixed)) = path(tree, id) {
        into.push(path);
        if fixed {
            return;
        }
    }
    children(tree.kind(id), |child| collect(tree, child, into));
}
