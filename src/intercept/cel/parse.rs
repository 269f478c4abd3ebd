//! Source text to tree.
//!
//! In: text from a trigger's author. Out: a `Tree` of bounded depth and size,
//! or the syntax errors. The grammar and the standard macros are the `cel`
//! crate's, which mirrors cel-go's ANTLR grammar; nothing else of it is used.
//!
//! That parser recurses as deep as the text is nested and as long as its
//! chains are, and its tree is dropped by recursion. `scan` bounds that before:
//! what is too deep is refused, what is deeper than usual is parsed on a thread
//! with a large stack, the only thread that this stage starts.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cel::common::ast::{self, Expr, IdedExpr};
use cel::parser::{ParseErrors, Parser};

use super::error::{CompileError, Stage};
use super::expand;
use super::report::{Problem, compile_error};
use super::scan;
use super::syntax::{Comprehension, Kind, Literal, Node, NodeId, Tree, children};
use crate::model::limits::{CEL_DEPTH, CEL_NODES, CEL_PARSE_STACK_BYTES, CEL_SOURCE_BYTES};

/// Largest bound of the depth of a source that is parsed. It is far above
/// `CEL_DEPTH`, because it is a rough bound, and it keeps the parser within a
/// small part of its stack.
const DEEPEST_TEXT: usize = 4 * CEL_DEPTH;

/// Most brackets inside one another that are parsed.
const DEEPEST_NESTING: usize = 128;

/// Largest bounds of a source that is parsed on the caller's own stack. Most
/// expressions are within them. A level of brackets takes about 16 KiB of
/// stack, and eight times that without optimisation.
const SHALLOW_DEPTH: usize = 32;
const SHALLOW_NESTING: usize = 4;

/// What the crate's parser says when its listener stops it.
const STOPPED: &str = "UNKNOWN";

/// Runs `work`, which may parse, where the stack is large enough for it.
pub(crate) fn with_parser_stack<T: Send>(work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("cel-parser".to_owned())
            .stack_size(CEL_PARSE_STACK_BYTES)
            .spawn_scoped(scope, work)?;
        thread
            .join()
            .map_err(|_| std::io::Error::other("the parser panicked"))
    })
}

/// Whether the parser needs so little stack for `source` that any thread has
/// it.
pub(crate) fn is_shallow(source: &str) -> bool {
    let bounds = scan::bounds(source);
    source.len() <= CEL_SOURCE_BYTES
        && bounds.depth <= SHALLOW_DEPTH
        && bounds.nesting <= SHALLOW_NESTING
}

/// Reads `source`. Unless it is shallow, only to be called inside `with_parser_stack`.
pub(crate) fn parse(source: &str) -> Result<Tree, CompileError> {
    if source.len() > CEL_SOURCE_BYTES {
        return Err(limit(
            source,
            format!("expression is longer than {CEL_SOURCE_BYTES} bytes"),
        ));
    }
    let bounds = scan::bounds(source);
    if bounds.depth > DEEPEST_TEXT || bounds.nesting > DEEPEST_NESTING {
        return Err(limit(
            source,
            format!("expression recursion limit exceeded: {CEL_DEPTH}"),
        ));
    }
    // The crate unwraps and indexes after error recovery; a panic there must
    // refuse this expression and no other.
    let parsed = catch_unwind(AssertUnwindSafe(|| {
        Parser::new()
            .max_recursion_depth(CEL_DEPTH as u16)
            .enable_ident_escape_syntax(true)
            .parse_with_source_info(source)
    }));
    match parsed {
        Ok(Ok((expression, places))) => {
            let mut builder = Builder::new(source, places);
            let root = builder.convert(expression)?;
            Ok(builder.finish(root))
        }
        Ok(Err(errors)) => Err(syntax_errors(source, errors)),
        Err(_) => Err(compile_error(
            Stage::Parse,
            source,
            vec![Problem::at(source, 0, "Syntax error: unreadable input")],
        )),
    }
}

fn limit(source: &str, message: String) -> CompileError {
    let problem = Problem {
        line: 1,
        column: 1,
        message,
        suggestion: None,
        usage: None,
    };
    let mut error = compile_error(Stage::Limit, "", vec![problem]);
    if source.len() <= CEL_SOURCE_BYTES {
        error.message = format!("ERROR: <input>:-1:0: {}", error.summary);
    }
    error
}

fn syntax_errors(source: &str, errors: ParseErrors) -> CompileError {
    if errors.errors.len() == 1 && errors.errors[0].msg == STOPPED {
        return limit(
            source,
            format!("expression recursion limit exceeded: {CEL_DEPTH}"),
        );
    }
    let problems = errors
        .errors
        .into_iter()
        .map(|error| Problem {
            line: usize::try_from(error.pos.0).unwrap_or(1).max(1),
            column: usize::try_from(error.pos.1).unwrap_or(1),
            message: error.msg,
            suggestion: None,
            usage: None,
        })
        .collect();
    compile_error(Stage::Parse, source, problems)
}

/// Builds the tree, and bounds it while it grows.
pub(super) struct Builder<'s> {
    source: &'s str,
    places: ast::SourceInfo,
    nodes: Vec<Node>,
    depths: Vec<u16>,
}

impl<'s> Builder<'s> {
    fn new(source: &'s str, places: ast::SourceInfo) -> Self {
        Self {
            source,
            places,
            nodes: Vec::new(),
            depths: Vec::new(),
        }
    }

    fn finish(self, root: NodeId) -> Tree {
        Tree {
            nodes: self.nodes,
            root,
        }
    }

    /// What a node is, for macros that look at their arguments.
    pub(super) fn kind(&self, id: NodeId) -> &Kind {
        &self.nodes[id as usize].kind
    }

    /// Adds a node in the place of `token`.
    pub(super) fn add(&mut self, kind: Kind, token: (u32, u32)) -> Result<NodeId, CompileError> {
        let mut below = 0;
        children(&kind, |child| {
            below = below.max(self.depths[child as usize]);
        });
        let depth = below + 1;
        if usize::from(depth) > CEL_DEPTH {
            return Err(limit(
                self.source,
                format!("expression recursion limit exceeded: {CEL_DEPTH}"),
            ));
        }
        if self.nodes.len() >= CEL_NODES {
            return Err(limit(
                self.source,
                format!("expression has more than {CEL_NODES} parts"),
            ));
        }
        self.depths.push(depth);
        self.nodes.push(Node { kind, token });
        Ok((self.nodes.len() - 1) as NodeId)
    }

    /// A macro was used in a way that it does not allow.
    pub(super) fn misuse(&self, at: (u32, u32), message: &str) -> CompileError {
        compile_error(
            Stage::Parse,
            self.source,
            vec![Problem::at(self.source, at.0, message)],
        )
    }

    /// The crate's parser expands a macro that cel-go does not have.
    fn no_macro(&self, at: (u32, u32), name: &str, meant: &str) -> CompileError {
        let message = format!("undeclared reference to '{name}' (in container '')");
        let problem = Problem {
            suggestion: Some(meant.to_owned()),
            ..Problem::at(self.source, at.0, message)
        };
        compile_error(Stage::Check, self.source, vec![problem])
    }

    /// The token of a node that was added before.
    pub(super) fn token_of(&self, id: NodeId) -> (u32, u32) {
        self.nodes[id as usize].token
    }

    fn token(&self, id: u64) -> (u32, u32) {
        self.places.offset_for(id).unwrap_or((0, 0))
    }

    fn convert_all(&mut self, list: Vec<IdedExpr>) -> Result<Box<[NodeId]>, CompileError> {
        list.into_iter().map(|item| self.convert(item)).collect()
    }

    fn convert(&mut self, expression: IdedExpr) -> Result<NodeId, CompileError> {
        let token = self.token(expression.id);
        let kind = match expression.expr {
            Expr::Literal(literal) => Kind::Literal(convert_literal(literal)),
            Expr::Ident(name) => Kind::Ident(name.into()),
            Expr::Select(select) => Kind::Select {
                operand: self.convert(*select.operand)?,
                field: select.field.into(),
                test: select.test,
            },
            Expr::Call(call) => return self.convert_call(call, token),
            Expr::List(list) => Kind::List(self.convert_all(list.elements)?),
            Expr::Map(map) => Kind::Map(self.convert_entries(map.entries)?),
            Expr::Struct(message) => Kind::Message(message.type_name.into()),
            Expr::Comprehension(fold) => self.convert_fold(*fold, token)?,
            Expr::Unspecified => return Err(self.misuse(token, "Syntax error: nothing here")),
        };
        self.add(kind, token)
    }

    fn convert_call(
        &mut self,
        call: ast::CallExpr,
        token: (u32, u32),
    ) -> Result<NodeId, CompileError> {
        let target = match call.target {
            Some(target) => Some(self.convert(*target)?),
            None => None,
        };
        let args = self.convert_all(call.args)?;
        if let Some(target) = target
            && let Some(id) = expand::expand(self, &call.func_name, target, &args, token)?
        {
            return Ok(id);
        }
        self.add(
            Kind::Call {
                function: call.func_name.into(),
                target,
                args,
            },
            token,
        )
    }

    fn convert_entries(
        &mut self,
        entries: Vec<ast::IdedEntryExpr>,
    ) -> Result<Box<[(NodeId, NodeId)]>, CompileError> {
        let mut converted = Vec::with_capacity(entries.len());
        for entry in entries {
            if let ast::EntryExpr::MapEntry(entry) = entry.expr {
                let key = self.convert(entry.key)?;
                converted.push((key, self.convert(entry.value)?));
            }
        }
        Ok(converted.into())
    }

    fn convert_fold(
        &mut self,
        fold: ast::ComprehensionExpr,
        token: (u32, u32),
    ) -> Result<Kind, CompileError> {
        if called_name(self.source, token.0) == "existsOne" {
            return Err(self.no_macro(token, "existsOne", "exists_one"));
        }
        expand::check_variable(self, &fold.iter_var, token)?;
        Ok(Kind::Comprehension(Box::new(Comprehension {
            range: self.convert(fold.iter_range)?,
            variable: fold.iter_var.into(),
            accumulator: fold.accu_var.into(),
            init: self.convert(fold.accu_init)?,
            condition: self.convert(fold.loop_cond)?,
            step: self.convert(fold.loop_step)?,
            result: self.convert(fold.result)?,
        })))
    }
}

/// The name before the parenthesis at `offset`.
fn called_name(source: &str, offset: u32) -> &str {
    let before = source.get(..offset as usize).unwrap_or("").trim_end();
    let belongs = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let start = before.trim_end_matches(belongs).len();
    &before[start..]
}

fn convert_literal(literal: ast::LiteralValue) -> Literal {
    match literal {
        ast::LiteralValue::Null => Literal::Null,
        ast::LiteralValue::Boolean(value) => Literal::Bool(value.into_inner()),
        ast::LiteralValue::Int(value) => Literal::Int(value.into_inner()),
        ast::LiteralValue::UInt(value) => Literal::Uint(value.into_inner()),
        ast::LiteralValue::Double(value) => Literal::Double(value.into_inner()),
        ast::LiteralValue::String(value) => Literal::Text(value.into_inner().into()),
        ast::LiteralValue::Bytes(value) => Literal::Bytes(value.into_inner().into()),
    }
}

#[cfg(test)]
mod tests;
