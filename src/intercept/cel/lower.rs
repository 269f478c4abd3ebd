//! Second pass: a checked tree to code.
//!
//! In: a tree whose names and types fit. Out: `ir::Code`. What depends on no
//! event is computed here, where cel-go does it too: conversions of constants,
//! lists and maps of constants, the literal patterns of `matches`. If that
//! fails, the expression can never give a value, and is refused.

mod calls;

use std::collections::HashMap;

use super::check::{Checked, Meaning};
use super::error::{CompileError, ErrorClass, Fault, Stage, fault};
use super::evaluate;
use super::ir::{Code, Fold, Op, OpId, SlotId};
use super::report::{Problem, compile_error};
use super::syntax::{Comprehension, Kind as Node, Literal, NodeId};
use super::value::{Bytes, Text, Value};

/// Compiles a checked tree, and tells which code each node became.
pub(crate) fn lower(
    source: &str,
    checked: &Checked,
) -> Result<(Code, HashMap<NodeId, OpId>), CompileError> {
    let mut lowerer = Lowerer {
        source,
        checked,
        ops: Vec::with_capacity(checked.tree.nodes.len()),
        constants: Vec::new(),
        scopes: Vec::new(),
        slots: 0,
        patterns: 0,
        places: HashMap::new(),
    };
    let root = lowerer.lower(checked.tree.root)?;
    let code = Code {
        ops: lowerer.ops,
        constants: lowerer.constants,
        slots: lowerer.slots,
        root,
    };
    Ok((code, lowerer.places))
}

struct Lowerer<'t> {
    source: &'t str,
    checked: &'t Checked,
    ops: Vec<Op>,
    constants: Vec<Value<'static>>,
    /// Variables of the folds around the node, innermost last, and whether
    /// each is an accumulator; the index is the slot.
    scopes: Vec<(&'t str, bool)>,
    slots: usize,
    patterns: usize,
    places: HashMap<NodeId, OpId>,
}

impl<'t> Lowerer<'t> {
    fn add(&mut self, op: Op) -> OpId {
        self.ops.push(op);
        (self.ops.len() - 1) as OpId
    }

    fn constant(&mut self, value: Value<'static>) -> OpId {
        self.constants.push(value);
        let index = (self.constants.len() - 1) as u32;
        self.add(Op::Constant(index))
    }

    fn constant_of(&self, id: OpId) -> Option<&Value<'static>> {
        match &self.ops[id as usize] {
            Op::Constant(index) => self.constants.get(*index as usize),
            _ => None,
        }
    }

    /// A part that can only fail.
    fn refuse(&self, at: NodeId, fault: &Fault) -> CompileError {
        let offset = self.checked.tree.node(at).token.0;
        let problem = Problem::at(self.source, offset, fault.to_string());
        compile_error(Stage::Fold(fault.class()), self.source, vec![problem])
    }

    fn lower(&mut self, id: NodeId) -> Result<OpId, CompileError> {
        let tree = &self.checked.tree;
        let lowered = match (self.checked.meaning(id), tree.kind(id)) {
            (Meaning::Variable(variable), _) => self.add(Op::Variable(*variable)),
            (Meaning::Type(kind), _) => self.constant(Value::Type(*kind)),
            (Meaning::Local, Node::Ident(name)) => match self.slot_of(name) {
                Some(slot) => self.add(Op::Slot(slot)),
                None => return Err(self.unexpected(id)),
            },
            (_, Node::Literal(literal)) => self.constant(constant_value(literal)),
            (
                _,
                Node::Select {
                    operand,
                    field,
                    test,
                },
            ) => {
                let operand = self.lower(*operand)?;
                self.lower_select(operand, field, *test)
            }
            (
                Meaning::Call {
                    overloads,
                    with_target,
                },
                Node::Call { target, args, .. },
            ) => {
                let target = target.filter(|_| *with_target);
                let operands: Vec<NodeId> = target.iter().chain(args.iter()).copied().collect();
                self.lower_call(id, overloads, &operands)?
            }
            (_, Node::Call { function, args, .. }) => self.lower_logic(id, function, args)?,
            (_, Node::List(items)) => self.lower_list(items)?,
            (_, Node::Map(entries)) => self.lower_map(id, entries)?,
            (_, Node::Comprehension(fold)) => self.lower_fold(fold)?,
            (_, Node::Ident(_) | Node::Message(_)) => return Err(self.unexpected(id)),
        };
        self.places.insert(id, lowered);
        Ok(lowered)
    }

    /// The checker lets nothing through that leads here.
    fn unexpected(&self, at: NodeId) -> CompileError {
        self.refuse(at, &fault(ErrorClass::Internal, "unexpected expression"))
    }

    fn slot_of(&self, name: &str) -> Option<SlotId> {
        let slot = self.scopes.iter().rposition(|(known, _)| *known == name)?;
        SlotId::try_from(slot).ok()
    }

    fn lower_all(&mut self, ids: &[NodeId]) -> Result<Box<[OpId]>, CompileError> {
        ids.iter().map(|&id| self.lower(id)).collect()
    }

    /// Fields of a variable become one operation.
    fn lower_select(&mut self, operand: OpId, field: &str, test: bool) -> OpId {
        let field: Box<str> = field.into();
        if test {
            return self.add(Op::Has { operand, field });
        }
        let op = match &self.ops[operand as usize] {
            Op::Variable(root) => Op::Path {
                root: *root,
                fields: Box::new([field]),
            },
            Op::Path { root, fields } => Op::Path {
                root: *root,
                fields: fields.iter().cloned().chain([field]).collect(),
            },
            _ => Op::Select { operand, field },
        };
        self.add(op)
    }

    /// `&&` and `||`; the parser balances their terms into a tree, and here
    /// they are a row again.
    fn lower_logic(
        &mut self,
        id: NodeId,
        function: &str,
        args: &[NodeId],
    ) -> Result<OpId, CompileError> {
        let mut terms: Vec<OpId> = Vec::with_capacity(args.len());
        for &arg in args {
            let term = self.lower(arg)?;
            match (&self.ops[term as usize], function) {
                (Op::And(inner), "_&&_") | (Op::Or(inner), "_||_") => terms.extend(inner),
                _ => terms.push(term),
            }
        }
        match function {
            "_&&_" => Ok(self.add(Op::And(terms.into()))),
            "_||_" => Ok(self.add(Op::Or(terms.into()))),
            _ => Err(self.unexpected(id)),
        }
    }

    fn lower_list(&mut self, items: &[NodeId]) -> Result<OpId, CompileError> {
        let items = self.lower_all(items)?;
        let constants: Option<Vec<Value<'static>>> = items
            .iter()
            .map(|&item| self.constant_of(item).cloned())
            .collect();
        Ok(match constants {
            Some(constants) => self.constant(Value::list(constants)),
            None => self.add(Op::List(items)),
        })
    }

    fn lower_map(
        &mut self,
        id: NodeId,
        entries: &[(NodeId, NodeId)],
    ) -> Result<OpId, CompileError> {
        let mut lowered = Vec::with_capacity(entries.len());
        for &(key, value) in entries {
            let key = self.lower(key)?;
            lowered.push((key, self.lower(value)?));
        }
        let constants: Option<Vec<_>> = lowered
            .iter()
            .map(|&(key, value)| {
                let key = self.constant_of(key)?.clone();
                Some((key, self.constant_of(value)?.clone()))
            })
            .collect();
        Ok(match constants {
            Some(constants) => {
                let map =
                    evaluate::build_map(constants).map_err(|fault| self.refuse(id, &fault))?;
                self.constant(map)
            }
            None => self.add(Op::Map(lowered.into())),
        })
    }

    fn lower_fold(&mut self, fold: &'t Comprehension) -> Result<OpId, CompileError> {
        let init = self.lower(fold.init)?;
        let range = self.lower(fold.range)?;
        let accumulator = self.enter(&fold.accumulator, true);
        let variable = self.enter(&fold.variable, false);
        let condition = self.lower(fold.condition)?;
        let step = self.lower(fold.step)?;
        self.scopes.pop();
        let result = self.lower(fold.result)?;
        self.scopes.pop();
        Ok(self.add(Op::Fold(Box::new(Fold {
            range,
            variable,
            accumulator,
            init,
            condition,
            step,
            result,
        }))))
    }

    /// Slots are few: each needs a macro around it, and depth is bounded.
    fn enter(&mut self, name: &'t str, accumulates: bool) -> SlotId {
        self.scopes.push((name, accumulates));
        self.slots = self.slots.max(self.scopes.len());
        (self.scopes.len() - 1) as SlotId
    }
}

fn constant_value(literal: &Literal) -> Value<'static> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::Uint(value) => Value::Uint(*value),
        Literal::Double(value) => Value::Double(*value),
        Literal::Text(text) => Value::Text(Text::Shared((&**text).into())),
        Literal::Bytes(bytes) => Value::Bytes(Bytes::Shared((&**bytes).into())),
    }
}
