//! A compiled path: what an expression of kubectl's JSONPath dialect asks for.
//!
//! In: nothing. Out: types that `parse` builds and `walk` follows. Data only.

use super::search::Search;

/// Steps, each applied to everything that the one before it found.
pub(super) type Path = Vec<Step>;

/// One step.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// `.name`, `['name']`.
    Field(String),
    /// `[n]`, `[from:to:step]`, `[*]`.
    Slice(Slice),
    /// `.*`.
    Wildcard(Search),
    /// `..`: everything that has children, at any depth.
    Descend,
    /// `[a,b]`: what each alternative finds, one after the other.
    Union(Vec<Path>),
    /// `[?(…)]`.
    Filter(Filter),
    /// A number, a quoted text, `true` or `false`.
    Literal(Literal),
    /// A bare word, whose meaning is only looked up when it is reached.
    Word(String),
}

/// A value that the expression itself states.
#[derive(Debug, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
}

/// Bounds as written; negative ones count from the end.
#[derive(Debug, PartialEq)]
pub(super) struct Slice {
    pub(super) from: i64,
    pub(super) to: End,
    pub(super) step: i64,
    /// The same bounds for the engine, once they are known to fit.
    pub(super) search: Search,
}

/// Where a slice ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End {
    /// One after its start: `[n]`.
    Next,
    /// Before this index.
    At(i64),
    /// With the list.
    Last,
}

/// A condition on the elements of a list.
#[derive(Debug, PartialEq)]
pub(super) struct Filter {
    pub(super) left: Path,
    pub(super) test: Test,
}

/// What a filter asks of the left side.
#[derive(Debug, PartialEq)]
pub(super) enum Test {
    /// `[?(@.a.b)]`, fields only: the engine answers it.
    Has(Search),
    /// Any other path without an operator.
    Exists,
    /// A comparison; the operator as written.
    Compare(String, Path),
}
