//! The macros of cel-go's extension libraries: `math.greatest`, `math.least`
//! and `sortBy`. The standard ones are the parser's.
//!
//! In: a receiver call whose parts are converted. Out: what stands in its
//! place, or nothing when it is no macro call.

use super::error::CompileError;
use super::parse::Builder;
use super::syntax::{Comprehension, Kind, Literal, NodeId};

/// Accumulator of the standard macros. No source can spell it.
const RESULT: &str = "@result";

/// What `sortBy` calls the list it sorts. No source can spell it.
const INPUT: &str = "@__sortBy_input__";

/// Sorts a list by the keys that belong to its elements.
pub(super) const SORT_BY_KEYS: &str = "@sortByAssociatedKeys";

type Token = (u32, u32);

/// Expands `target.function(args)` if it is a macro call.
pub(super) fn expand(
    builder: &mut Builder<'_>,
    function: &str,
    target: NodeId,
    args: &[NodeId],
    token: Token,
) -> Result<Option<NodeId>, CompileError> {
    let in_math = matches!(builder.kind(target), Kind::Ident(name) if &**name == "math");
    match function {
        "greatest" if in_math => {
            extreme(builder, "math.greatest()", "math.@max", target, args, token).map(Some)
        }
        "least" if in_math => {
            extreme(builder, "math.least()", "math.@min", target, args, token).map(Some)
        }
        "sortBy" if args.len() == 2 => sort_by(builder, target, args, token).map(Some),
        _ => Ok(None),
    }
}

/// Refuses the one name that cel-go keeps for its accumulator and that a
/// source can spell.
pub(super) fn check_variable(
    builder: &Builder<'_>,
    name: &str,
    token: Token,
) -> Result<(), CompileError> {
    if name == "__result__" {
        return Err(builder.misuse(token, "iteration variable overwrites accumulator variable"));
    }
    Ok(())
}

/// One argument is a list or a number; more than two become a list.
fn extreme(
    builder: &mut Builder<'_>,
    macro_name: &str,
    function: &str,
    target: NodeId,
    args: &[NodeId],
    token: Token,
) -> Result<NodeId, CompileError> {
    match args {
        [] => {
            let message = format!("{macro_name} requires at least one argument");
            return Err(builder.misuse(builder.token_of(target), &message));
        }
        [one] if !may_be_number(builder, *one) && !is_list_of_numbers(builder, *one) => {
            let message = format!("{macro_name} invalid single argument value");
            return Err(builder.misuse(builder.token_of(*one), &message));
        }
        [_] => {}
        several => {
            if let Some(bad) = several.iter().find(|&&id| !may_be_number(builder, id)) {
                let message = format!("{macro_name} simple literal arguments must be numeric");
                return Err(builder.misuse(builder.token_of(*bad), &message));
            }
        }
    }
    let args: Box<[NodeId]> = if args.len() > 2 {
        Box::new([builder.add(Kind::List(args.into()), token)?])
    } else {
        args.into()
    };
    call(builder, function, None, args, token)
}

fn may_be_number(builder: &Builder<'_>, id: NodeId) -> bool {
    match builder.kind(id) {
        Kind::Literal(literal) => {
            matches!(
                literal,
                Literal::Int(_) | Literal::Uint(_) | Literal::Double(_)
            )
        }
        Kind::List(_) | Kind::Map(_) | Kind::Message(_) => false,
        _ => true,
    }
}

fn is_list_of_numbers(builder: &Builder<'_>, id: NodeId) -> bool {
    match builder.kind(id) {
        Kind::List(items) => {
            !items.is_empty() && items.iter().all(|&item| may_be_number(builder, item))
        }
        _ => false,
    }
}

/// `target.sortBy(x, key)` binds the target to a name, by way of a fold over
/// nothing, and sorts it by `target.map(x, key)`.
fn sort_by(
    builder: &mut Builder<'_>,
    target: NodeId,
    args: &[NodeId],
    token: Token,
) -> Result<NodeId, CompileError> {
    if matches!(
        builder.kind(target),
        Kind::Literal(_) | Kind::Map(_) | Kind::Message(_)
    ) {
        let message = "sortBy can only be applied to a list, identifier, comprehension, call or select expression";
        return Err(builder.misuse(builder.token_of(target), message));
    }
    let variable = match builder.kind(args[0]) {
        Kind::Ident(name) => name.clone(),
        _ => {
            return Err(builder.misuse(builder.token_of(args[0]), "argument is not an identifier"));
        }
    };
    check_variable(builder, &variable, builder.token_of(args[0]))?;
    let keys = map(builder, variable, args[1], token)?;
    let input = ident(builder, INPUT, token)?;
    let sorted = call(builder, SORT_BY_KEYS, Some(input), Box::new([keys]), token)?;
    let nothing = builder.add(Kind::List(Box::new([])), token)?;
    let never = builder.add(Kind::Literal(Literal::Bool(false)), token)?;
    let unchanged = ident(builder, INPUT, token)?;
    let bind = Comprehension {
        range: nothing,
        variable: "#unused".into(),
        accumulator: INPUT.into(),
        init: target,
        condition: never,
        step: unchanged,
        result: sorted,
    };
    builder.add(Kind::Comprehension(Box::new(bind)), token)
}

/// `input.map(variable, item)`.
fn map(
    builder: &mut Builder<'_>,
    variable: Box<str>,
    item: NodeId,
    token: Token,
) -> Result<NodeId, CompileError> {
    let range = ident(builder, INPUT, token)?;
    let init = builder.add(Kind::List(Box::new([])), token)?;
    let condition = builder.add(Kind::Literal(Literal::Bool(true)), token)?;
    let so_far = ident(builder, RESULT, token)?;
    let one = builder.add(Kind::List(Box::new([item])), token)?;
    let step = call(builder, "_+_", None, Box::new([so_far, one]), token)?;
    let result = ident(builder, RESULT, token)?;
    let fold = Comprehension {
        range,
        variable,
        accumulator: RESULT.into(),
        init,
        condition,
        step,
        result,
    };
    builder.add(Kind::Comprehension(Box::new(fold)), token)
}

fn ident(builder: &mut Builder<'_>, name: &str, token: Token) -> Result<NodeId, CompileError> {
    builder.add(Kind::Ident(name.into()), token)
}

fn call(
    builder: &mut Builder<'_>,
    function: &str,
    target: Option<NodeId>,
    args: Box<[NodeId]>,
    token: Token,
) -> Result<NodeId, CompileError> {
    builder.add(
        Kind::Call {
            function: function.into(),
            target,
            args,
        },
        token,
    )
}
