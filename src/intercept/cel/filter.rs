//! Filters: does a trigger want an event, and is it from whom it claims?
//!
//! In: the text of a filter, then scopes. Out: a decision. Conjuncts that
//! compare a secret authenticate the sender, so they are decided first and
//! their failures are kept apart from those of the rest: what a stranger sends
//! is refused before anything else is looked at.

mod explain;
mod span;

use serde_json::Value as Json;

use super::Scope;
use super::error::{CompileError, ErrorClass, EvalError, Fault, MissingSecret, Stage, fault};
use super::evaluate::Machine;
use super::functions::COMPARE_SECRET;
use super::ir::OpId;
use super::program::{Compiled, Program, compile_with};
use super::reads::{Credential, paths_below};
use super::report::{Problem, compile_error};
use super::syntax::{Kind as Node, NodeId, Tree, children};
use super::value::Value;
use crate::model::secret::SecretKeyRef;
use explain::Shown;

/// A compiled filter.
#[derive(Debug)]
pub struct Filter {
    program: Program,
    conjuncts: Vec<Conjunct>,
    shown: Vec<Shown>,
}

/// One of the terms between the outermost `&&`.
#[derive(Debug)]
struct Conjunct {
    op: OpId,
    compares_secret: bool,
    /// Whether it reads something of the event besides its head.
    reads_body: bool,
    reads_extensions: bool,
}

/// What a filter makes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterOutcome {
    /// Wanted.
    True,
    /// Not wanted. No authentication failed.
    False,
    /// A comparison with a secret failed.
    Refused,
    /// A comparison with a secret cannot be made yet.
    SecretMissing(SecretKeyRef, MissingSecret),
    /// The filter gave no value.
    Error(EvalError),
}

/// Compiles a filter.
pub fn compile_filter(source: &str) -> Result<Filter, CompileError> {
    let mut filters = compile_filters([source]);
    filters.pop().unwrap_or_else(|| {
        let problem = Problem::at(source, 0, "the parser could not be started");
        Err(compile_error(Stage::Limit, source, vec![problem]))
    })
}

/// Compiles many filters on one parser thread. Results keep the order.
pub fn compile_filters<'s>(
    sources: impl IntoIterator<Item = &'s str>,
) -> Vec<Result<Filter, CompileError>> {
    let sources: Vec<&str> = sources.into_iter().collect();
    compile_with(&sources, Filter::new)
}

impl Filter {
    fn new(compiled: Compiled) -> Self {
        let shown = explain::shown(&compiled);
        let Compiled {
            program,
            tree,
            places,
        } = compiled;
        let mut terms = Vec::new();
        conjuncts(&tree, tree.root, &mut terms);
        let conjuncts = terms
            .into_iter()
            .filter_map(|term| {
                let reads = paths_below(&tree, term);
                let within = |root: &str| {
                    let root = Credential::Within(root.to_owned());
                    reads.iter().any(|path| path.credential() == root)
                };
                Some(Conjunct {
                    op: *places.get(&term)?,
                    compares_secret: compares_secret(&tree, term),
                    reads_body: within("body"),
                    reads_extensions: within("extensions"),
                })
            })
            .collect();
        Self {
            program,
            conjuncts,
            shown,
        }
    }

    /// The text of the filter.
    pub fn source(&self) -> &str {
        self.program.source()
    }

    /// Whether the filter compares a secret, and so says who sent an event.
    pub fn authenticates(&self) -> bool {
        self.conjuncts.iter().any(|term| term.compares_secret)
    }

    /// What the filter compares with secrets.
    pub fn credentials(&self) -> &[Credential] {
        self.program.credentials()
    }

    /// Whether it takes the body to say who sent an event.
    pub fn authenticates_by_body(&self) -> bool {
        let mut terms = self.conjuncts.iter();
        terms.any(|term| term.compares_secret && term.reads_body)
    }

    /// Whether it takes extensions to say who sent an event, which only
    /// interceptors before it can have added.
    pub fn authenticates_by_extensions(&self) -> bool {
        let mut terms = self.conjuncts.iter();
        terms.any(|term| term.compares_secret && term.reads_extensions)
    }

    /// Decides about one event: whether it is genuine, then whether it is
    /// wanted.
    pub fn decide(&self, scope: &Scope<'_>) -> FilterOutcome {
        match self.authenticate(scope) {
            FilterOutcome::True => self.decide_wanted(scope),
            outcome => outcome,
        }
    }

    /// Decides the terms that do not compare a secret.
    pub fn decide_wanted(&self, scope: &Scope<'_>) -> FilterOutcome {
        let mut machine = Machine::new(&self.program.code, scope);
        let mut failed: Option<Fault> = None;
        for term in self.conjuncts.iter().filter(|term| !term.compares_secret) {
            match machine.run(term.op) {
                Ok(Value::Bool(true)) => {}
                Ok(Value::Bool(false)) => return FilterOutcome::False,
                // A whole filter that is no boolean is just not true; a term
                // of a conjunction has to be one.
                Ok(_) if self.conjuncts.len() == 1 => return FilterOutcome::False,
                Ok(_) => drop(
                    failed.get_or_insert_with(|| fault(ErrorClass::NoOverload, "no such overload")),
                ),
                Err(fault) => drop(failed.get_or_insert(fault)),
            }
        }
        match failed {
            Some(fault) => FilterOutcome::Error(*fault),
            None => FilterOutcome::True,
        }
    }

    /// Decides the terms that compare a secret: `True`, `Refused` or
    /// `SecretMissing`. A term that is false outweighs a Secret that is
    /// missing, because no Secret could make it true; one that fails, in
    /// whatever way, proves nothing.
    pub fn authenticate(&self, scope: &Scope<'_>) -> FilterOutcome {
        let mut machine = Machine::new(&self.program.code, scope);
        let mut missing = None;
        for term in self.conjuncts.iter().filter(|term| term.compares_secret) {
            match machine.run(term.op) {
                Ok(Value::Bool(true)) => {}
                Ok(_) => return FilterOutcome::Refused,
                Err(fault) => match fault.missing_secret() {
                    Some((at, gap)) => {
                        missing.get_or_insert(FilterOutcome::SecretMissing(at.clone(), gap));
                    }
                    None => return FilterOutcome::Refused,
                },
            }
        }
        missing.unwrap_or(FilterOutcome::True)
    }

    /// The parts of the filter with their values for one event, to show why it
    /// decided as it did. What a secret is compared with is not shown, and
    /// neither is a header among `withheld`.
    pub fn explain(&self, scope: &Scope<'_>, withheld: &[String]) -> Vec<(String, Json)> {
        // One machine, so that all parts together stay within the limits.
        let mut machine = Machine::new(&self.program.code, scope);
        self.shown
            .iter()
            .map(|part| (part.text.clone(), part.value(&mut machine, withheld)))
            .collect()
    }
}

/// The terms between the outermost `&&`.
fn conjuncts(tree: &Tree, id: NodeId, into: &mut Vec<NodeId>) {
    match tree.kind(id) {
        Node::Call { function, args, .. } if &**function == "_&&_" => {
            for &arg in args {
                conjuncts(tree, arg, into);
            }
        }
        _ => into.push(id),
    }
}

/// Whether a part of an expression compares a secret.
fn compares_secret(tree: &Tree, id: NodeId) -> bool {
    let node = tree.kind(id);
    if matches!(node, Node::Call { function, .. } if &**function == COMPARE_SECRET) {
        return true;
    }
    let mut found = false;
    children(node, |child| found = found || compares_secret(tree, child));
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::intercept::cel::testing::Event;

    fn decide(source: &str) -> FilterOutcome {
        let filter = compile_filter(source).unwrap_or_else(|e| panic!("{source}: {e}"));
        filter.decide(&Event::default().scope())
    }

    #[test]
    fn a_filter_is_true_or_something_else() {
        for source in [
            "true",
            "body.ref == 'refs/heads/main' && header.match('X-GitHub-Event', 'push')",
            "body.missing == 1 || body.yes",
            "(body.yes && body.yes) && body.yes",
        ] {
            assert_eq!(decide(source), FilterOutcome::True, "{source}");
        }
        for source in [
            "false",
            "1",
            "'true'",
            "body.nothing",
            "body.missing == 1 && body.no",
            "body.no && body.missing == 1",
        ] {
            assert_eq!(decide(source), FilterOutcome::False, "{source}");
        }
        for (source, class) in [
            ("body.missing == 1", ErrorClass::MissingKey),
            (
                "body.yes && body.missing == 1 && body.yes",
                ErrorClass::MissingKey,
            ),
            ("body.yes && body.text", ErrorClass::NoOverload),
            ("body.text && body.missing", ErrorClass::NoOverload),
        ] {
            let outcome = decide(source);
            assert!(
                matches!(&outcome, FilterOutcome::Error(error) if error.class() == class),
                "{source}: {outcome:?}"
            );
        }
    }

    #[test]
    fn a_comparison_with_a_secret_is_decided_first() {
        let token = "header.canonical('X-Token').compareSecret('token', 'hook')";
        for (rest, expected) in [
            ("body.yes", FilterOutcome::True),
            ("body.no", FilterOutcome::False),
        ] {
            assert_eq!(decide(&format!("{token} && {rest}")), expected);
            assert_eq!(decide(&format!("{rest} && {token}")), expected);
        }
        for wrong in [
            "body.ref.compareSecret('token', 'hook')",
            "body.count.compareSecret('token', 'hook')",
            "body.missing.compareSecret('token', 'hook')",
            "(body.no || body.ref.compareSecret('token', 'hook'))",
        ] {
            for rest in ["body.yes", "body.no", "body.missing"] {
                assert_eq!(
                    decide(&format!("{rest} && {wrong}")),
                    FilterOutcome::Refused
                );
            }
            assert_eq!(decide(wrong), FilterOutcome::Refused, "{wrong}");
        }
        assert_eq!(
            decide("body.yes || 'x'.compareSecret('token', 'absent')"),
            FilterOutcome::True
        );
    }

    #[test]
    fn a_missing_secret_is_named_unless_another_comparison_is_wrong() {
        let missing = |name: &str, key: &str, gap| {
            let at = SecretKeyRef {
                namespace: "default".into(),
                name: name.into(),
                key: key.into(),
            };
            FilterOutcome::SecretMissing(at, gap)
        };
        assert_eq!(
            decide("body.no && 'x'.compareSecret('token', 'absent')"),
            missing("absent", "token", MissingSecret::NoSecret)
        );
        assert_eq!(
            decide("'x'.compareSecret('other', 'hook')"),
            missing("hook", "other", MissingSecret::NoKey)
        );
        assert_eq!(
            decide("'x'.compareSecret('token', 'later')"),
            missing("later", "token", MissingSecret::NotSynced)
        );
        assert_eq!(
            decide("'x'.compareSecret('token', 'later') && 'x'.compareSecret('token', 'hook')"),
            FilterOutcome::Refused
        );
    }

    #[test]
    fn only_a_filter_that_compares_a_secret_authenticates() {
        for (source, expected) in [
            ("body.yes", false),
            ("header.match('X-Token', 'hunter2')", false),
            ("'x'.compareSecret('token', 'hook')", true),
            (
                "body.yes && ['x'].exists(t, t.compareSecret('token', 'hook'))",
                true,
            ),
        ] {
            let filter = compile_filter(source).expect("compiles");
            assert_eq!(filter.authenticates(), expected, "{source}");
        }
    }

    #[test]
    fn filters_and_programs_go_from_thread_to_thread() {
        fn shared<T: Send + Sync>() {}
        shared::<Filter>();
        shared::<Program>();
        shared::<crate::intercept::cel::Overlay>();
    }

    fn explain(source: &str) -> Vec<(String, Json)> {
        let filter = compile_filter(source).unwrap_or_else(|e| panic!("{source}: {e}"));
        filter.explain(&Event::default().scope(), &[])
    }

    #[test]
    fn an_explanation_has_the_terms_and_what_they_read() {
        let parts = explain(
            "body.ref == 'refs/heads/main' && (header.match('X-GitHub-Event', 'push') || \
             has(body.map.b)) && body.commits.exists(c, c.id == 'c1') && body.missing.x != 1",
        );
        let expected = [
            ("body.ref == 'refs/heads/main'", json!(true)),
            ("body.ref", json!("refs/heads/main")),
            (
                "header.match('X-GitHub-Event', 'push') || has(body.map.b)",
                json!(true),
            ),
            ("header.match('X-GitHub-Event', 'push')", json!(true)),
            ("has(body.map.b)", json!(true)),
            ("body.commits.exists(c, c.id == 'c1')", json!(true)),
            (
                "body.commits",
                json!([
                    {"id": "c1", "modified": ["src/a.rs", "docs/b.md"]},
                    {"id": "c2", "modified": []},
                ]),
            ),
            ("body.missing.x != 1", json!("error: no such key: missing")),
            ("body.missing.x", json!("error: no such key: missing")),
        ];
        assert_eq!(
            parts,
            expected.map(|(text, value)| (text.to_owned(), value))
        );
    }

    #[test]
    fn an_explanation_shows_no_operand_of_a_comparison_with_a_secret() {
        for source in [
            "header.canonical('X-Token').compareSecret('token', 'hook') && header['X-Token'][0] != ''",
            "header['X-Token'][0].compareSecret('token', 'hook') && header.match('x-token', 'hunter2')",
            "header['X-Token'].exists(t, t.compareSecret('token', 'hook')) && header.exists(h, h == 'X')",
            "header.filter(h, h == 'X-Token').size() == 1 && header['X-' + 'Token'][0].compareSecret('token', 'hook')",
            "'hunter2'.compareSecret('token', 'hook') && header.size() > 0",
            "body.yes && (body.no || header.`X-Token`[0].compareSecret('token', 'hook')) && header.`X-Token`.size() == 1",
        ] {
            let parts = explain(source);
            assert!(parts.len() > 1, "{source}");
            for (text, value) in parts {
                assert!(
                    !value.to_string().contains("hunter2"),
                    "{source}: {text} is {value}"
                );
                if text.contains("compareSecret") {
                    assert_eq!(value, json!("(secret)"), "{text}");
                }
            }
        }
    }

    #[test]
    fn long_values_are_cut() {
        let event = Event::with_body(json!({"long": "x".repeat(1000), "many": vec!["y"; 500]}));
        let filter = compile_filter("body.long != '' && body.many.size() > 0").expect("compiles");
        for (text, value) in filter.explain(&event.scope(), &[]) {
            let length = value.as_str().map_or(0, |value| value.chars().count());
            assert!(length <= 257, "{text} is {length} long");
        }
    }
}
