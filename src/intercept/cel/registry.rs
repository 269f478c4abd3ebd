//! The table of functions and operators: what each takes, what it gives, and
//! the code behind it.
//!
//! In: rows that the files in `functions/` declare, one for each overload,
//! with the signature as text. Out: overloads that the checker compares types
//! with and the evaluator calls. Both read this one table.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::check::types::Type;
use super::error::Fault;
use super::functions;
use super::functions::regex::Patterns;
use super::meter::Meter;
use super::value::Value;
use crate::model::secret::Secrets;

/// Most arguments that an overload takes, its target included.
pub(crate) const MOST_ARGUMENTS: usize = 4;

/// What a function may use beside its arguments.
pub(crate) struct Context<'m> {
    pub(crate) meter: &'m mut Meter,
    pub(crate) patterns: &'m mut Patterns,
    pub(crate) secrets: &'m dyn Secrets,
    pub(crate) namespace: &'m str,
}

/// The code of a function.
pub(crate) type Native = for<'m, 'v> fn(&mut Context<'m>, &[Value<'v>]) -> Result<Value<'v>, Fault>;

/// One line of the table.
pub(crate) struct Row {
    name: &'static str,
    signature: &'static str,
    run: Native,
    guarded: bool,
}

/// An overload that is called only with values of the declared types.
pub(crate) const fn row(name: &'static str, signature: &'static str, run: Native) -> Row {
    Row {
        name,
        signature,
        run,
        guarded: true,
    }
}

/// An overload that judges the types of its values itself.
pub(crate) const fn open_row(name: &'static str, signature: &'static str, run: Native) -> Row {
    Row {
        name,
        signature,
        run,
        guarded: false,
    }
}

/// One way to call a function.
#[derive(Debug)]
pub(crate) struct Overload {
    pub(crate) name: &'static str,
    /// Called as `target.name(…)`; the target is the first parameter.
    pub(crate) member: bool,
    pub(crate) parameters: Vec<Type>,
    pub(crate) result: Type,
    /// How many type variables the signature has.
    pub(crate) variables: u32,
    /// Whether it compares two different types of numbers.
    pub(crate) mixes_numbers: bool,
    pub(crate) run: Native,
    pub(crate) guarded: bool,
}

static TABLE: LazyLock<HashMap<&'static str, Vec<Overload>>> = LazyLock::new(|| {
    let mut table: HashMap<&'static str, Vec<Overload>> = HashMap::new();
    for row in functions::TABLES.iter().copied().flatten() {
        if let Some(overload) = read_row(row) {
            table.entry(row.name).or_default().push(overload);
        }
    }
    table
});

/// The overloads of a function, in the order in which they are tried.
pub(crate) fn overloads(name: &str) -> Option<&'static [Overload]> {
    TABLE.get(name).map(Vec::as_slice)
}

/// The names that an expression can spell.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TABLE
        .keys()
        .copied()
        .filter(|name| name.starts_with(|first: char| first.is_ascii_alphabetic()))
}

fn read_row(row: &Row) -> Option<Overload> {
    let (call, result) = row.signature.split_once(" -> ")?;
    let mut reader = Reader { rest: call };
    let mut parameters = Vec::new();
    let member = !call.starts_with('(');
    if member {
        parameters.push(reader.one()?);
        reader.expect(".")?;
    }
    reader.expect("(")?;
    while reader.expect(")").is_none() {
        parameters.push(reader.one()?);
        let _last = reader.expect(", ");
    }
    let result = Reader { rest: result }.one()?;
    let mut variables = 0;
    for part in parameters.iter().chain([&result]) {
        part.replace(&mut |variable| {
            variables = variables.max(variable + 1);
            Type::Var(variable)
        });
    }
    let ordering = matches!(row.name, "_<_" | "_<=_" | "_>_" | "_>=_");
    Some(Overload {
        name: row.name,
        member,
        mixes_numbers: ordering && parameters[0] != parameters[1],
        parameters,
        result,
        variables,
        run: row.run,
        guarded: row.guarded,
    })
}

/// Reads types from the text of a signature.
struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn expect(&mut self, text: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    fn one(&mut self) -> Option<Type> {
        let length = self
            .rest
            .find(|letter: char| !letter.is_ascii_alphabetic())
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(match name {
            "dyn" => Type::Dyn,
            "null" => Type::Null,
            "bool" => Type::Bool,
            "int" => Type::Int,
            "uint" => Type::Uint,
            "double" => Type::Double,
            "string" => Type::Text,
            "bytes" => Type::Bytes,
            "timestamp" => Type::Timestamp,
            "duration" => Type::Duration,
            "list" => Type::list(self.inside()?),
            "type" => Type::of(self.inside()?),
            "map" => {
                self.expect("(")?;
                let key = self.one()?;
                self.expect(", ")?;
                let value = self.one()?;
                self.expect(")")?;
                Type::map(key, value)
            }
            "A" => Type::Var(0),
            "B" => Type::Var(1),
            _ => return None,
        })
    }

    fn inside(&mut self) -> Option<Type> {
        self.expect("(")?;
        let inner = self.one()?;
        self.expect(")")?;
        Some(inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_reads() {
        for row in functions::TABLES.iter().copied().flatten() {
            let overload =
                read_row(row).unwrap_or_else(|| panic!("{}: {}", row.name, row.signature));
            assert!(overload.parameters.len() <= MOST_ARGUMENTS, "{}", row.name);
            assert!(overload.variables <= 2, "{}", row.name);
        }
    }

    #[test]
    fn a_signature_prints_as_it_was_written() {
        let overload = &overloads("slice").expect("declared")[0];
        assert!(overload.member);
        assert_eq!(overload.parameters[0].to_string(), "list(_var0)");
        assert_eq!(overload.parameters[2], Type::Int);
        assert_eq!(overload.result.to_string(), "list(_var0)");
    }

    #[test]
    fn only_comparisons_mix_numbers() {
        let less = overloads("_<_").expect("declared");
        assert!(less.iter().any(|overload| overload.mixes_numbers));
        let least = overloads("math.@min").expect("declared");
        assert!(least.iter().all(|overload| !overload.mixes_numbers));
    }
}
