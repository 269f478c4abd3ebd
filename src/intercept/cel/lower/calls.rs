//! Calls: operators that have operations of their own, conversions of
//! constants, literal patterns, and everything else.

use super::Lowerer;
use crate::intercept::cel::error::{CompileError, ErrorClass, Fault, Stage, fault};
use crate::intercept::cel::evaluate;
use crate::intercept::cel::functions::regex;
use crate::intercept::cel::ir::{Op, OpId, SlotId};
use crate::intercept::cel::registry::Overload;
use crate::intercept::cel::report::{Problem, compile_error};
use crate::intercept::cel::syntax::NodeId;
use crate::intercept::cel::value::{Kind, Value};

/// Most literal patterns of one expression. Each may take milliseconds to
/// compile.
const MOST_PATTERNS: usize = 100;

/// Functions that cel-go computes ahead when their argument is constant.
const CONVERSIONS: [&str; 10] = [
    "bool",
    "bytes",
    "double",
    "duration",
    "dyn",
    "int",
    "string",
    "timestamp",
    "type",
    "uint",
];

impl Lowerer<'_> {
    pub(super) fn lower_call(
        &mut self,
        id: NodeId,
        overloads: &[&'static Overload],
        operands: &[NodeId],
    ) -> Result<OpId, CompileError> {
        let args = self.lower_all(operands)?;
        let name = overloads.first().map_or("", |overload| overload.name);
        let op = match (name, &args[..]) {
            ("!_", &[operand]) => Op::Not(operand),
            ("@not_strictly_false", &[operand]) => Op::NotFalse(operand),
            ("_?_:_", &[when, then, otherwise]) => Op::Condition {
                when,
                then,
                otherwise,
            },
            ("_==_" | "_!=_", &[one, other]) => Op::Equal {
                one,
                other,
                negated: name == "_!=_",
            },
            ("_[_]", &[operand, key]) => return self.lower_index(id, operand, key),
            ("_+_", &[list, one]) => self.lower_add(overloads, list, one, args),
            ("@in", &[_, list]) if self.is_empty_list(overloads, list) => {
                return Ok(self.constant(Value::Bool(false)));
            }
            ("@in", &[item, list]) => match self.simple_list(overloads, list) {
                Some(list) => Op::Member { item, list },
                None => self.plain_call(overloads, args),
            },
            ("matches", &[subject, pattern]) => match self.text_constant(pattern) {
                Some(pattern) => {
                    let compiled = self.compile_pattern(id, &pattern)?;
                    let pattern = compiled.map_err(|fault| self.refuse(id, &fault))?;
                    Op::Matches { subject, pattern }
                }
                None => self.plain_call(overloads, args),
            },
            ("translate", &[_, pattern, _]) => match (self.text_constant(pattern), overloads) {
                (Some(pattern), [overload]) => Op::Translate {
                    overload,
                    pattern: self
                        .compile_pattern(id, &pattern)?
                        .map_err(|fault| translate_fault(&fault)),
                    args,
                },
                _ => self.plain_call(overloads, args),
            },
            (_, &[operand]) if CONVERSIONS.contains(&name) => {
                if let Some(value) = self.constant_of(operand) {
                    let converted = evaluate::call_constant(overloads, value)
                        .map_err(|fault| self.refuse(id, &fault))?;
                    return Ok(self.constant(converted));
                }
                self.plain_call(overloads, args)
            }
            _ => self.plain_call(overloads, args),
        };
        Ok(self.add(op))
    }

    fn plain_call(&self, overloads: &[&'static Overload], args: Box<[OpId]>) -> Op {
        Op::Call {
            overloads: overloads.into(),
            args,
        }
    }

    /// Whether only the macro itself reads a slot.
    fn accumulates(&self, slot: SlotId) -> bool {
        matches!(self.scopes.get(usize::from(slot)), Some((_, true)))
    }

    /// `accumulator + [item]` is how macros collect; it is done in place.
    fn lower_add(
        &self,
        overloads: &[&'static Overload],
        list: OpId,
        one: OpId,
        args: Box<[OpId]>,
    ) -> Op {
        match (&self.ops[list as usize], &self.ops[one as usize]) {
            (&Op::Slot(slot), Op::List(items)) if items.len() == 1 && self.accumulates(slot) => {
                Op::Append {
                    slot,
                    item: items[0],
                }
            }
            _ => self.plain_call(overloads, args),
        }
    }

    /// Upstream does not evaluate `x` of `x in []`.
    fn is_empty_list(&self, overloads: &[&'static Overload], list: OpId) -> bool {
        overloads.len() == 1
            && matches!(self.constant_of(list), Some(Value::List(list)) if list.len() == 0)
    }

    /// The constant list whose elements upstream looks up instead of comparing.
    fn simple_list(&self, overloads: &[&'static Overload], list: OpId) -> Option<u32> {
        let (Op::Constant(index), [_]) = (&self.ops[list as usize], overloads) else {
            return None;
        };
        let simple = |item: Value<'_>| {
            matches!(
                item.kind(),
                Kind::Bool | Kind::Int | Kind::Uint | Kind::Double | Kind::Text
            )
        };
        match self.constants.get(*index as usize)? {
            Value::List(items) => items.iter().all(simple).then_some(*index),
            _ => None,
        }
    }

    fn compile_pattern(
        &mut self,
        at: NodeId,
        pattern: &str,
    ) -> Result<regex::Compiled, CompileError> {
        self.patterns += 1;
        if self.patterns > MOST_PATTERNS {
            let offset = self.checked.tree.node(at).token.0;
            let message = format!("expression has more than {MOST_PATTERNS} regular expressions");
            let problem = Problem::at(self.source, offset, message);
            return Err(compile_error(Stage::Limit, self.source, vec![problem]));
        }
        Ok(regex::compile(pattern))
    }

    fn text_constant(&self, id: OpId) -> Option<String> {
        match self.constant_of(id) {
            Some(Value::Text(text)) => text.as_str().map(str::to_owned),
            _ => None,
        }
    }

    fn lower_index(&mut self, id: NodeId, operand: OpId, key: OpId) -> Result<OpId, CompileError> {
        if let Some(value) = self.constant_of(key)
            && !matches!(
                value.kind(),
                Kind::Text | Kind::Int | Kind::Uint | Kind::Double | Kind::Bool
            )
        {
            let message = format!("invalid qualifier type: {}", value.kind());
            return Err(self.refuse(id, &fault(ErrorClass::Type, message)));
        }
        Ok(self.add(Op::Index { operand, key }))
    }
}

fn translate_fault(cause: &Fault) -> Fault {
    let message = format!("failed to parse regular expression for translation: {cause}");
    fault(ErrorClass::Regex, message)
}
