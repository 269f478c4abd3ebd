//! What an expression is compiled to: one vector of operations.
//!
//! In: a checked tree, by way of `lower`. Out: what `evaluate` walks. Names
//! are resolved, constants computed, literal patterns compiled; nothing refers
//! to the tree any more.

use std::sync::Arc;

use super::check::Variable;
use super::functions::regex::{Compiled, Pattern};
use super::registry::Overload;
use super::value::Value;

/// Index of an operation.
pub(crate) type OpId = u32;

/// Index of a variable of a fold.
pub(crate) type SlotId = u16;

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) ops: Vec<Op>,
    pub(crate) constants: Vec<Value<'static>>,
    /// How many variables of folds are in use at most.
    pub(crate) slots: usize,
    pub(crate) root: OpId,
}

impl Code {
    pub(crate) fn op(&self, id: OpId) -> &Op {
        &self.ops[id as usize]
    }
}

/// One operation. Operands are other operations.
#[derive(Debug)]
pub(crate) enum Op {
    Constant(u32),
    Variable(Variable),
    Slot(SlotId),
    /// Fields of fields of a variable.
    Path {
        root: Variable,
        fields: Box<[Box<str>]>,
    },
    Select {
        operand: OpId,
        field: Box<str>,
    },
    Has {
        operand: OpId,
        field: Box<str>,
    },
    Index {
        operand: OpId,
        key: OpId,
    },
    And(Box<[OpId]>),
    Or(Box<[OpId]>),
    Not(OpId),
    /// False for false, and true for everything else, failures included.
    NotFalse(OpId),
    Condition {
        when: OpId,
        then: OpId,
        otherwise: OpId,
    },
    Equal {
        one: OpId,
        other: OpId,
        negated: bool,
    },
    Call {
        overloads: Box<[&'static Overload]>,
        args: Box<[OpId]>,
    },
    /// `in` with a constant list of numbers, booleans and texts.
    Member {
        item: OpId,
        list: u32,
    },
    /// `matches` with a literal pattern.
    Matches {
        subject: OpId,
        pattern: Arc<Pattern>,
    },
    /// `translate` with a literal pattern, which fails only when it is met.
    Translate {
        overload: &'static Overload,
        args: Box<[OpId]>,
        pattern: Compiled,
    },
    List(Box<[OpId]>),
    Map(Box<[(OpId, OpId)]>),
    Fold(Box<Fold>),
    /// Adds an element to the list in a slot, in place.
    Append {
        slot: SlotId,
        item: OpId,
    },
}

/// A loop over a list or the keys of a map.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) range: OpId,
    pub(crate) variable: SlotId,
    pub(crate) accumulator: SlotId,
    pub(crate) init: OpId,
    pub(crate) condition: OpId,
    pub(crate) step: OpId,
    pub(crate) result: OpId,
}
