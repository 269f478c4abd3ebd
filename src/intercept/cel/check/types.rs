//! Static types.
//!
//! In: signatures and literals. Out: types that `unify` compares and messages
//! print, in cel-go's spelling.

use std::fmt;
use std::sync::Arc;

/// The type of an expression, as far as it is known before evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// Known only at evaluation.
    Dyn,
    /// Of an expression that has been reported already.
    Error,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Timestamp,
    Duration,
    List(Arc<Type>),
    Map(Arc<(Type, Type)>),
    /// The type of a type: of `int`, say. Without a parameter, of `type`.
    Meta(Option<Arc<Type>>),
    /// A variable of a signature, or a type that is still to be inferred.
    Var(u32),
}

impl Type {
    pub(crate) fn list(item: Self) -> Self {
        Self::List(Arc::new(item))
    }

    pub(crate) fn map(key: Self, value: Self) -> Self {
        Self::Map(Arc::new((key, value)))
    }

    pub(crate) fn of(named: Self) -> Self {
        Self::Meta(Some(Arc::new(named)))
    }

    /// Whether anything may stand here, or nothing sensible can be said.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Dyn | Self::Error)
    }

    /// The type with each variable replaced by what `replace` gives for it.
    pub(crate) fn replace(&self, replace: &mut impl FnMut(u32) -> Self) -> Self {
        match self {
            Self::Var(variable) => replace(*variable),
            Self::List(item) => Self::list(item.replace(replace)),
            Self::Map(entry) => {
                let key = entry.0.replace(replace);
                Self::map(key, entry.1.replace(replace))
            }
            Self::Meta(Some(named)) => Self::of(named.replace(replace)),
            other => other.clone(),
        }
    }
}

/// Largest type of a list or map literal that is followed, in parts. Macros
/// that put their variable into a literal twice would double it each time.
const LARGEST: usize = 256;

impl Type {
    /// The type, or `dyn` where it is too large to be followed.
    pub(crate) fn bounded(self) -> Self {
        let mut parts = 0;
        if self.count(&mut parts) {
            self
        } else {
            Self::Dyn
        }
    }

    /// Counts parts until there are too many.
    fn count(&self, parts: &mut usize) -> bool {
        *parts += 1;
        *parts <= LARGEST
            && match self {
                Self::List(item) => item.count(parts),
                Self::Map(entry) => entry.0.count(parts) && entry.1.count(parts),
                Self::Meta(Some(named)) => named.count(parts),
                _ => true,
            }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("dyn"),
            Self::Error => f.write_str("!error!"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::Text => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(item) => write!(f, "list({item})"),
            Self::Map(entry) => write!(f, "map({}, {})", entry.0, entry.1),
            Self::Meta(None) => f.write_str("type"),
            Self::Meta(Some(named)) => write!(f, "type({named})"),
            Self::Var(number) => write!(f, "_var{number}"),
        }
    }
}
