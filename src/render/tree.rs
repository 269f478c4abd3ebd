//! A resource template as a tree that knows where its expressions are.
//!
//! In: the template's JSON, once; values, for each event. Out: the JSON of the
//! resource. Parts without expressions are kept whole. Values only ever go into
//! texts and keys, so that none can add, remove or retype a field.

use serde_json::{Map, Value};

use crate::model::limits::MANIFEST_BYTES;
use crate::model::problem::Problem;

use super::error::RenderError;
use super::leaf::{Leaf, TooLarge};
use super::values::Values;

/// Deepest nesting of a template. The journal must be able to read it back:
/// JSON is read to a depth of 128.
const DEPTH: usize = 96;

/// Fields of a resource that say what it is.
const IDENTITY: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// A part of a template.
#[derive(Debug)]
pub(super) enum Node {
    /// No expression anywhere in it.
    Fixed(Value),
    Text(Leaf),
    List(Vec<Node>),
    Object {
        fixed: Vec<(String, Node)>,
        rendered: Vec<(Leaf, Node)>,
    },
}

impl Node {
    /// Reads what stands at `pointer`.
    pub(super) fn new(value: Value, pointer: &str) -> Result<Self, Problem> {
        Self::nested(value, DEPTH).ok_or_else(|| Problem {
            pointer: pointer.to_owned(),
            message: format!("is nested deeper than {DEPTH}"),
        })
    }

    fn nested(value: Value, depth: usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        Some(match value {
            Value::String(text) => match Leaf::new(&text) {
                Some(leaf) => Self::Text(leaf),
                None => Self::Fixed(Value::String(text)),
            },
            Value::Array(items) => {
                let nodes = items.into_iter().map(|item| Self::nested(item, depth));
                Self::list(nodes.collect::<Option<_>>()?)
            }
            Value::Object(map) => {
                let mut fixed = Vec::new();
                let mut rendered = Vec::new();
                for (key, value) in map {
                    let node = Self::nested(value, depth)?;
                    match Leaf::new(&key) {
                        Some(leaf) => rendered.push((leaf, node)),
                        None => fixed.push((key, node)),
                    }
                }
                Self::object(fixed, rendered)
            }
            scalar => Self::Fixed(scalar),
        })
    }

    fn list(nodes: Vec<Self>) -> Self {
        if !nodes.iter().all(Self::is_fixed) {
            return Self::List(nodes);
        }
        Self::Fixed(nodes.into_iter().filter_map(Self::into_fixed).collect())
    }

    fn object(fixed: Vec<(String, Self)>, rendered: Vec<(Leaf, Self)>) -> Self {
        if !rendered.is_empty() || !fixed.iter().all(|(_, node)| node.is_fixed()) {
            return Self::Object { fixed, rendered };
        }
        let members = fixed.into_iter();
        Self::Fixed(
            members
                .filter_map(|(key, node)| Some((key, node.into_fixed()?)))
                .collect(),
        )
    }

    fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }

    fn into_fixed(self) -> Option<Value> {
        match self {
            Self::Fixed(value) => Some(value),
            _ => None,
        }
    }
}

/// Renders the resource with this index.
pub(super) fn render(
    root: &Node,
    values: &Values<'_>,
    resource: usize,
) -> Result<Value, RenderError> {
    let mut renderer = Renderer {
        values,
        room: MANIFEST_BYTES,
    };
    let too_large = |TooLarge| RenderError::TooLarge {
        resource,
        limit: MANIFEST_BYTES,
    };
    if let Node::Object { fixed, rendered } = root {
        let is_taken = |key: &str| IDENTITY.contains(&key) && fixed.iter().any(|(k, _)| k == key);
        for (key, _) in rendered {
            let key = key.render(values).map_err(too_large)?;
            if is_taken(&key) {
                return Err(RenderError::KeyTaken { resource, key });
            }
        }
    }
    renderer.node(root).map_err(too_large)
}

struct Renderer<'v> {
    values: &'v Values<'v>,
    /// How many bytes the texts may still have.
    room: usize,
}

impl Renderer<'_> {
    fn node(&mut self, node: &Node) -> Result<Value, TooLarge> {
        Ok(match node {
            Node::Fixed(value) => value.clone(),
            Node::Text(leaf) => Value::String(self.text(leaf)?),
            Node::List(nodes) => {
                let items = nodes.iter().map(|node| self.node(node));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Node::Object { fixed, rendered } => {
                // The author's own keys win over keys that a value spells.
                let mut map = self.keys(rendered)?;
                for (key, node) in fixed {
                    map.insert(key.clone(), self.node(node)?);
                }
                Value::Object(map)
            }
        })
    }

    fn keys(&mut self, rendered: &[(Leaf, Node)]) -> Result<Map<String, Value>, TooLarge> {
        let members = rendered.iter().map(|(key, node)| {
            let key = self.text(key)?;
            Ok((key, self.node(node)?))
        });
        members.collect()
    }

    fn text(&mut self, leaf: &Leaf) -> Result<String, TooLarge> {
        let text = leaf.render(self.values)?;
        self.room = self.room.checked_sub(text.len()).ok_or(TooLarge)?;
        Ok(text)
    }
}
