//! First pass: names and types.
//!
//! In: a tree. Out: what each name means, which overloads each call may take,
//! and the problems, in cel-go's words. The rules are those of cel-go's
//! checker over the table in `registry`; `dyn` fits everything, so what is
//! known only with the event is left to the evaluator.

mod calls;
mod format;
mod names;
mod suggest;
pub(crate) mod types;
mod unify;

use super::error::{CompileError, Stage};
use super::registry::{Overload, overloads};
use super::report::{Problem, compile_error};
use super::syntax::{Comprehension, Kind as Node, NodeId, Tree};
use super::value::Kind;
use names::{global, type_of_literal};
use types::Type;
use unify::{Bindings, most_general};

/// A variable that every expression sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    Body,
    Header,
    Extensions,
    RequestUrl,
}

/// What a node of the tree stands for.
#[derive(Clone, Debug)]
pub(crate) enum Meaning {
    /// What the node itself says.
    Plain,
    Variable(Variable),
    /// A variable of an enclosing macro.
    Local,
    Type(Kind),
    Call {
        /// Those that fit as far as types are known, in the order to try.
        overloads: Box<[&'static Overload]>,
        /// Whether the target is an argument, and no mere part of the name.
        with_target: bool,
    },
}

/// A tree whose names and types fit.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) tree: Tree,
    meanings: Vec<Meaning>,
}

impl Checked {
    pub(crate) fn meaning(&self, id: NodeId) -> &Meaning {
        &self.meanings[id as usize]
    }
}

/// Checks a tree.
pub(crate) fn check(source: &str, tree: Tree) -> Result<Checked, CompileError> {
    let size = tree.nodes.len();
    let mut checker = Checker {
        source,
        tree: &tree,
        types: vec![Type::Error; size],
        meanings: vec![Meaning::Plain; size],
        bindings: Bindings::default(),
        scopes: Vec::new(),
        compares_across: false,
        problems: Vec::new(),
    };
    checker.check(tree.root);
    let Checker {
        types,
        meanings,
        bindings,
        mut problems,
        ..
    } = checker;
    if problems.is_empty() {
        problems = format::check(source, &tree, |id| {
            bindings.resolve_fully(&types[id as usize])
        });
    }
    if problems.is_empty() {
        Ok(Checked { tree, meanings })
    } else {
        Err(compile_error(Stage::Check, source, problems))
    }
}

struct Checker<'t> {
    source: &'t str,
    tree: &'t Tree,
    types: Vec<Type>,
    meanings: Vec<Meaning>,
    bindings: Bindings,
    /// Variables of the macros around the node, innermost last.
    scopes: Vec<(&'t str, Type)>,
    /// Whether `1 < 2.0` passes. cel-go refuses it until it has met the first
    /// macro, and then forgets to.
    compares_across: bool,
    problems: Vec<Problem>,
}

impl<'t> Checker<'t> {
    fn type_of(&self, id: NodeId) -> Type {
        self.types[id as usize].clone()
    }

    fn report(&mut self, at: NodeId, message: String) {
        let offset = self.tree.node(at).token.0;
        self.problems
            .push(Problem::at(self.source, offset, message));
    }

    fn undeclared(&mut self, at: NodeId, name: &str, suggestion: Option<String>) -> Type {
        self.report(
            at,
            format!("undeclared reference to '{name}' (in container '')"),
        );
        if let Some(problem) = self.problems.last_mut() {
            problem.suggestion = suggestion;
        }
        Type::Error
    }

    fn check(&mut self, id: NodeId) {
        let of = match self.tree.kind(id) {
            Node::Literal(literal) => type_of_literal(literal),
            Node::Ident(name) => self.check_ident(id, name),
            Node::Select {
                operand,
                field,
                test,
            } => self.check_select(id, *operand, field, *test),
            Node::Call {
                function,
                target,
                args,
            } => self.check_call(id, function, *target, args),
            Node::List(items) => {
                let item = self.check_joined(items.iter().copied());
                Type::list(item).bounded()
            }
            Node::Map(entries) => self.check_map(entries),
            Node::Message(name) => {
                self.report(id, format!("message literals are not supported: '{name}'"));
                Type::Error
            }
            Node::Comprehension(fold) => self.check_fold(fold),
        };
        self.types[id as usize] = of;
    }

    fn check_ident(&mut self, id: NodeId, name: &'t str) -> Type {
        // A leading dot leads out of all macros, even where one has the same.
        let mut scopes = self.scopes.iter().rev();
        let local = scopes.find(|(known, _)| *known == name && !name.starts_with('.'));
        if let Some((_, of)) = local {
            let of = of.clone();
            self.meanings[id as usize] = Meaning::Local;
            return of;
        }
        match global(name.strip_prefix('.').unwrap_or(name)) {
            Some((meaning, of)) => {
                self.meanings[id as usize] = meaning;
                of
            }
            None => self.undeclared(id, name, suggest::name(name)),
        }
    }

    fn check_select(&mut self, id: NodeId, operand: NodeId, field: &str, test: bool) -> Type {
        if !test && let Some((meaning, of)) = self.qualified_type(id) {
            self.meanings[id as usize] = meaning;
            return of;
        }
        self.check(operand);
        let target = self.bindings.resolve(&self.type_of(operand));
        let of = match &target {
            Type::Map(entry) => entry.1.clone(),
            Type::Var(_) => {
                self.bindings.assignable(&Type::Dyn, &target);
                Type::Dyn
            }
            open if open.is_open() => Type::Dyn,
            other => {
                let message = format!("type '{other}' does not support field selection");
                self.report(id, message);
                let _unknown = field;
                Type::Dyn
            }
        };
        if test {
            return Type::Bool;
        }
        self.bindings.resolve(&of)
    }

    /// A type whose name has dots, unless a local variable is in its way.
    fn qualified_type(&self, id: NodeId) -> Option<(Meaning, Type)> {
        let name = self.tree.dotted(id)?;
        let first = name.split('.').next()?;
        if self.scopes.iter().any(|(known, _)| *known == first) {
            return None;
        }
        global(name.strip_prefix('.').unwrap_or(&name))
    }

    fn check_call(
        &mut self,
        id: NodeId,
        function: &str,
        target: Option<NodeId>,
        args: &[NodeId],
    ) -> Type {
        for &arg in args {
            self.check(arg);
        }
        let Some(target) = target else {
            let name = function.strip_prefix('.').unwrap_or(function);
            return match overloads(name) {
                Some(overloads) => self.resolve(id, overloads, None, args),
                None => self.undeclared(id, function, suggest::function(name)),
            };
        };
        // `math.ceil(x)` is a function with a dotted name, not a method.
        if let Some(prefix) = self.tree.dotted(target) {
            let name = format!("{prefix}.{function}");
            if let Some(overloads) = overloads(name.strip_prefix('.').unwrap_or(&name)) {
                return self.resolve(id, overloads, None, args);
            }
        }
        self.check(target);
        match overloads(function) {
            Some(overloads) => self.resolve(id, overloads, Some(target), args),
            None => self.undeclared(id, function, suggest::function(function)),
        }
    }

    fn check_joined(&mut self, items: impl Iterator<Item = NodeId>) -> Type {
        let mut joined: Option<Type> = None;
        for item in items {
            self.check(item);
            let of = self.type_of(item);
            joined = Some(self.join(joined, of));
        }
        joined.unwrap_or_else(|| self.bindings.fresh())
    }

    fn check_map(&mut self, entries: &[(NodeId, NodeId)]) -> Type {
        let mut joined: Option<(Type, Type)> = None;
        for &(key, value) in entries {
            self.check(key);
            self.check(value);
            let (keys, values) = joined.unzip();
            let (key, value) = (self.type_of(key), self.type_of(value));
            joined = Some((self.join(keys, key), self.join(values, value)));
        }
        match joined {
            Some((key, value)) => Type::map(key, value).bounded(),
            None => {
                let key = self.bindings.fresh();
                Type::map(key, self.bindings.fresh())
            }
        }
    }

    /// The type of elements of both types: the more general, or `dyn`.
    fn join(&mut self, joined: Option<Type>, next: Type) -> Type {
        match joined {
            None => next,
            Some(joined) if self.bindings.assignable(&joined, &next) => {
                most_general(&joined, &next)
            }
            Some(_) => Type::Dyn,
        }
    }

    fn check_fold(&mut self, fold: &'t Comprehension) -> Type {
        self.check(fold.range);
        self.check(fold.init);
        let range = self.bindings.resolve(&self.type_of(fold.range));
        let accumulator = self.type_of(fold.init);
        self.compares_across = true;
        self.scopes.push((&fold.accumulator, accumulator.clone()));
        let item = match &range {
            Type::List(item) => (**item).clone(),
            Type::Map(entry) => entry.0.clone(),
            Type::Dyn | Type::Error | Type::Var(_) => {
                self.bindings.assignable(&Type::Dyn, &range);
                Type::Dyn
            }
            other => {
                let message = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                self.report(fold.range, message);
                Type::Error
            }
        };
        self.scopes.push((&fold.variable, item));
        self.check(fold.condition);
        self.expect(fold.condition, &Type::Bool);
        self.check(fold.step);
        self.expect(fold.step, &accumulator);
        self.scopes.pop();
        self.check(fold.result);
        self.scopes.pop();
        self.bindings.resolve(&self.type_of(fold.result))
    }

    fn expect(&mut self, id: NodeId, expected: &Type) {
        let found = self.type_of(id);
        if !self.bindings.assignable(expected, &found) {
            self.report(
                id,
                format!("expected type '{expected}' but found '{found}'"),
            );
        }
    }
}

#[cfg(test)]
mod tests;
