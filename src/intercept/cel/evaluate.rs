//! Third pass: code to a value.
//!
//! In: code and a scope. Out: a value that borrows from both, or a fault. The
//! event is read by reference. Every operation is paid for, and recursion is
//! as deep as the tree was, which is bounded. `&&`, `||` and macros take
//! failures as values, as cel-go does: another operand may outweigh them.

mod access;
mod fold;

use super::Scope;
use super::check::Variable;
use super::check::types::Type;
use super::error::{ErrorClass, Fault, fault, no_overload};
use super::functions::collections;
use super::functions::regex::{self, Patterns};
use super::ir::{Code, Op, OpId};
use super::meter::Meter;
use super::registry::{Context, MOST_ARGUMENTS, Overload};
use super::value::{Key, Kind, Map, Text, Value};
use crate::model::secret::NoSecrets;

/// What an operation gives.
pub(crate) type Outcome<'v> = Result<Value<'v>, Fault>;

/// One evaluation.
pub(crate) struct Machine<'v, 's> {
    code: &'v Code,
    scope: &'s Scope<'v>,
    meter: Meter,
    patterns: Patterns,
    /// Variables of folds; failures among them are values too.
    slots: Vec<Outcome<'v>>,
    /// The first failure that makes upstream's evaluator panic: it ends the
    /// whole evaluation, and no `||` outweighs it.
    crashed: Option<Fault>,
}

impl<'v, 's> Machine<'v, 's> {
    pub(crate) fn new(code: &'v Code, scope: &'s Scope<'v>) -> Self {
        Self::with_meter(code, scope, Meter::default())
    }

    pub(crate) fn with_meter(code: &'v Code, scope: &'s Scope<'v>, meter: Meter) -> Self {
        Self {
            code,
            scope,
            meter,
            patterns: Patterns::default(),
            slots: vec![Ok(Value::Null); code.slots],
            crashed: None,
        }
    }

    /// What the result is turned into JSON with.
    pub(crate) fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    /// The value of an operation that stands outside every fold.
    pub(crate) fn run(&mut self, id: OpId) -> Outcome<'v> {
        let outcome = self.evaluate(id);
        // A refused charge ends the evaluation, whatever became of it.
        if self.meter.is_exhausted() {
            self.meter.step(1)?;
        }
        match self.crashed.take() {
            Some(fault) => Err(fault),
            None => outcome,
        }
    }

    fn noting_crash<T>(&mut self, outcome: Result<T, Fault>) -> Result<T, Fault> {
        if let Err(fault) = &outcome
            && fault.class() == ErrorClass::Internal
        {
            self.crashed.get_or_insert_with(|| fault.clone());
        }
        outcome
    }

    fn evaluate(&mut self, id: OpId) -> Outcome<'v> {
        self.meter.step(1)?;
        match self.code.op(id) {
            Op::Constant(index) => Ok(self.code.constants[*index as usize].lend()),
            Op::Variable(variable) => Ok(self.variable(*variable)),
            Op::Slot(slot) => self.slots[usize::from(*slot)].clone(),
            Op::Path { root, fields } => self.path(*root, fields),
            Op::Select { operand, field } => {
                let operand = self.evaluate(*operand)?;
                access::select(&operand, field)
            }
            Op::Has { operand, field } => {
                let operand = self.evaluate(*operand)?;
                access::has(&operand, field)
            }
            Op::Index { operand, key } => self.index(*operand, *key),
            Op::And(terms) => self.combine(terms, false),
            Op::Or(terms) => self.combine(terms, true),
            Op::Not(operand) => match self.evaluate(*operand)? {
                Value::Bool(value) => Ok(Value::Bool(!value)),
                _ => Err(no_overload()),
            },
            Op::NotFalse(operand) => {
                let value = self.evaluate(*operand);
                Ok(Value::Bool(!matches!(value, Ok(Value::Bool(false)))))
            }
            Op::Condition {
                when,
                then,
                otherwise,
            } => match self.evaluate(*when)? {
                Value::Bool(true) => self.evaluate(*then),
                Value::Bool(false) => self.evaluate(*otherwise),
                _ => Err(no_overload()),
            },
            Op::Equal {
                one,
                other,
                negated,
            } => self.equal(*one, *other, *negated),
            Op::Call { overloads, args } => self.call(overloads, args),
            Op::Member { item, list } => {
                let item = self.evaluate(*item)?;
                let list = &self.code.constants[*list as usize];
                let found = collections::member(&item, list, &mut self.meter);
                self.noting_crash(found).map(Value::Bool)
            }
            Op::Matches { subject, pattern } => {
                let subject = self.evaluate(*subject)?;
                regex::is_match(pattern, &subject, &mut self.meter)
            }
            Op::Translate {
                overload,
                args,
                pattern,
            } => self.translate(overload, args, pattern),
            Op::List(items) => self.list(items),
            Op::Map(entries) => self.map(entries),
            Op::Fold(fold) => self.fold(fold),
            Op::Append { slot, item } => self.append(*slot, *item),
        }
    }

    fn variable(&self, variable: Variable) -> Value<'v> {
        match variable {
            Variable::Body => Value::of_json(self.scope.body),
            Variable::Header => Value::Map(Map::Headers(self.scope.headers)),
            Variable::Extensions => Value::Map(Map::Json(self.scope.extensions)),
            Variable::RequestUrl => Value::Text(Text::Borrowed(self.scope.request_url)),
        }
    }

    fn path(&mut self, root: Variable, fields: &[Box<str>]) -> Outcome<'v> {
        self.meter.step(fields.len() as u64)?;
        let mut value = self.variable(root);
        for field in fields {
            value = access::select(&value, field)?;
        }
        Ok(value)
    }

    #[inline(never)]
    fn index(&mut self, operand: OpId, key: OpId) -> Outcome<'v> {
        let spelt = matches!(self.code.op(key), Op::Constant(_));
        let operand = self.evaluate(operand)?;
        let key = self.evaluate(key)?;
        access::index(&operand, &key, spelt)
    }

    /// `&&` is settled by the first false, `||` by the first true, even after
    /// a failure; else the first failure wins.
    #[inline(never)]
    fn combine(&mut self, terms: &[OpId], settles: bool) -> Outcome<'v> {
        let mut failed = None;
        for &term in terms {
            match self.evaluate(term) {
                Ok(Value::Bool(value)) if value == settles => return Ok(Value::Bool(settles)),
                Ok(Value::Bool(_)) => {}
                Ok(_) => drop(failed.get_or_insert_with(no_overload)),
                Err(fault) => drop(failed.get_or_insert(fault)),
            }
        }
        match failed {
            Some(fault) => Err(fault),
            None => Ok(Value::Bool(!settles)),
        }
    }

    #[inline(never)]
    fn equal(&mut self, one: OpId, other: OpId, negated: bool) -> Outcome<'v> {
        let one = self.evaluate(one)?;
        let other = self.evaluate(other)?;
        let equal = one.equals(&other, &mut self.meter)?;
        Ok(Value::Bool(equal != negated))
    }

    #[inline(never)]
    fn call(&mut self, overloads: &[&'static Overload], args: &[OpId]) -> Outcome<'v> {
        let mut values: [Value<'v>; MOST_ARGUMENTS] = Default::default();
        for (value, &arg) in values.iter_mut().zip(args) {
            *value = self.evaluate(arg)?;
        }
        let mut context = Context {
            meter: &mut self.meter,
            patterns: &mut self.patterns,
            secrets: self.scope.secrets,
            namespace: self.scope.namespace,
        };
        let count = args.len().min(MOST_ARGUMENTS);
        let outcome = call_overload(&mut context, overloads, &values[..count]);
        self.noting_crash(outcome)
    }

    #[inline(never)]
    fn translate(
        &mut self,
        overload: &'static Overload,
        args: &[OpId],
        pattern: &regex::Compiled,
    ) -> Outcome<'v> {
        let mut values = Vec::with_capacity(args.len());
        for &arg in args {
            values.push(self.evaluate(arg)?);
        }
        if !fits(overload, &values) {
            return Err(no_overload_for(overload.name, &values));
        }
        let pattern = pattern.as_ref().map_err(Clone::clone)?;
        regex::replace_all(pattern, &values, &mut self.meter)
    }

    #[inline(never)]
    fn list(&mut self, items: &[OpId]) -> Outcome<'v> {
        self.meter.build_elements(items.len())?;
        let items: Result<_, Fault> = items.iter().map(|&item| self.evaluate(item)).collect();
        Ok(Value::list(items?))
    }

    #[inline(never)]
    fn map(&mut self, entries: &[(OpId, OpId)]) -> Outcome<'v> {
        self.meter.build_elements(entries.len() * 2)?;
        let mut built = Vec::with_capacity(entries.len());
        for &(key, value) in entries {
            let key = self.evaluate(key)?;
            built.push((key, self.evaluate(value)?));
        }
        let outcome = build_map(built);
        self.noting_crash(outcome)
    }
}

/// The map of these entries.
pub(crate) fn build_map<'v>(entries: Vec<(Value<'v>, Value<'v>)>) -> Outcome<'v> {
    let keyed: Result<Vec<_>, Fault> = entries
        .into_iter()
        .enumerate()
        .map(|(index, (key, value))| match Key::of_entry(&key, index) {
            Some(key) => Ok((key, value)),
            None => Err(fault(
                ErrorClass::Internal,
                format!("internal error: {} cannot be the key of a map", key.kind()),
            )),
        })
        .collect();
    Ok(Value::Map(Map::of_entries(keyed?)))
}

/// Calls a function with a constant, before there is an event.
pub(crate) fn call_constant(
    overloads: &[&'static Overload],
    value: &Value<'static>,
) -> Outcome<'static> {
    let mut context = Context {
        meter: &mut Meter::default(),
        patterns: &mut Patterns::default(),
        secrets: &NoSecrets,
        namespace: "",
    };
    call_overload(&mut context, overloads, std::slice::from_ref(value))
}

/// Calls the first overload that takes these values.
fn call_overload<'v>(
    context: &mut Context<'_>,
    overloads: &[&'static Overload],
    values: &[Value<'v>],
) -> Outcome<'v> {
    for overload in overloads {
        if !overload.guarded || fits(overload, values) {
            return (overload.run)(context, values);
        }
    }
    let name = overloads.first().map_or("", |overload| overload.name);
    Err(no_overload_for(name, values))
}

#[cold]
fn no_overload_for(name: &str, values: &[Value<'_>]) -> Fault {
    let kinds: Vec<&str> = values.iter().map(|value| value.kind().name()).collect();
    let message = format!("no such overload: {name}({})", kinds.join(", "));
    fault(ErrorClass::NoOverload, message)
}

fn fits(overload: &Overload, values: &[Value<'_>]) -> bool {
    overload.parameters.len() == values.len()
        && overload
            .parameters
            .iter()
            .zip(values)
            .all(|(parameter, value)| is_of(value, parameter))
}

/// Whether a value has a type. Of a list or map only the first element is
/// looked at, as upstream does.
fn is_of(value: &Value<'_>, of: &Type) -> bool {
    match (of, value) {
        (Type::Dyn | Type::Var(_), _) => true,
        (Type::List(item), Value::List(list)) => {
            list.get(0).is_none_or(|first| is_of(&first, item))
        }
        (Type::Map(entry), Value::Map(map)) => map
            .first()
            .is_none_or(|(key, value)| is_of(&key, &entry.0) && is_of(&value, &entry.1)),
        (Type::Null, value) => value.kind() == Kind::Null,
        (Type::Bool, value) => value.kind() == Kind::Bool,
        (Type::Int, value) => value.kind() == Kind::Int,
        (Type::Uint, value) => value.kind() == Kind::Uint,
        (Type::Double, value) => value.kind() == Kind::Double,
        (Type::Text, value) => value.kind() == Kind::Text,
        (Type::Bytes, value) => value.kind() == Kind::Bytes,
        (Type::Timestamp, value) => value.kind() == Kind::Timestamp,
        (Type::Duration, value) => value.kind() == Kind::Duration,
        (Type::Meta(_), value) => value.kind() == Kind::Type,
        (Type::Error | Type::List(_) | Type::Map(_), _) => false,
    }
}
