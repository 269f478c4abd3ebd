//! Binds parameters: takes values out of an event by JSONPath.
//!
//! In: the params of a trigger's bindings, compiled once; for each event its
//! body, headers, extensions and id, by reference. Out: the parameters that
//! the template declares or the bindings name. Follows Tekton Triggers, whose
//! expressions are `$(…)` around kubectl's JSONPath dialect. It must not read
//! anything but its arguments, and never interprets what an event carries.
//!
//! `value` cuts a value into text and `expression`s, `parse` reads one into a
//! `path`; `walk` follows it through the `node`s of an event (`search` is where
//! jsonpath-rust selects), `print` writes what was found, and `resolve` does all
//! of it for one event.

mod error;
mod expression;
mod node;
mod parse;
mod path;
mod print;
mod resolve;
mod search;
mod value;
mod walk;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use error::{BindError, PathError};
pub use resolve::bind;

use crate::model::headers::Headers;
use crate::model::limits::BINDING_SOURCE_BYTES;
use value::Pattern;

/// A parameter as a binding gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingParam {
    /// Name of the parameter.
    pub name: String,
    /// Text with expressions, as written.
    pub value: String,
}

/// The params of all bindings of one trigger, compiled.
#[derive(Debug)]
pub struct Bindings {
    params: Vec<(String, Pattern)>,
    problems: Vec<Problem>,
}

/// An expression that can never have a value. It is no error by itself: where
/// the template declares a default, that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Index of the param among those that were compiled.
    pub index: usize,
    /// Name of the param.
    pub param: String,
    /// The expression, without `$(` and `)`.
    pub expression: String,
    /// What is wrong with it.
    pub message: String,
}

/// The event that expressions look at.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// `body`.
    pub body: BodyView<'a>,
    /// `header`; names are those of the map, exactly.
    pub headers: &'a Headers,
    /// `extensions`.
    pub extensions: &'a Map<String, Value>,
    /// `context.eventID`.
    pub event_id: &'a str,
}

/// What became of the body when it was parsed.
#[derive(Clone, Copy, Debug)]
pub enum BodyView<'a> {
    /// It is this.
    Json(&'a Value),
    /// There is none: `null`.
    Empty,
    /// It is not JSON; what the parser said.
    Invalid(&'a str),
}

impl Bindings {
    /// Expressions that can never have a value, for `check` to show.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// Compiles the params of all bindings of a trigger, in order. An expression
/// that cannot be read is not an error here but a `Problem`.
pub fn compile(params: &[BindingParam]) -> Result<Bindings, BindError> {
    let mut names = BTreeSet::new();
    let mut compiled = Vec::with_capacity(params.len());
    let mut problems = Vec::new();
    for (index, BindingParam { name, value }) in params.iter().enumerate() {
        let param = name.clone();
        if !names.insert(name) {
            return Err(BindError::DuplicateParam { param });
        }
        let (bytes, limit) = (value.len(), BINDING_SOURCE_BYTES);
        if bytes > limit {
            return Err(BindError::TooLong {
                param,
                bytes,
                limit,
            });
        }
        let pattern = Pattern::new(value);
        for expression in pattern.expressions() {
            problems.extend(expression.problem().map(|message| Problem {
                index,
                param: name.clone(),
                expression: expression.source.clone(),
                message,
            }));
        }
        compiled.push((param, pattern));
    }
    Ok(Bindings {
        params: compiled,
        problems,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::model::params::ParamSpec;
    use crate::model::verdict::Reason;

    fn param(name: &str, value: &str) -> BindingParam {
        BindingParam {
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }

    #[test]
    fn a_param_that_stands_twice_is_an_error_at_load() {
        let error = compile(&[param("a", "1"), param("a", "1")]).expect_err("is one");
        assert_eq!(error.reason(), Reason::DuplicateParam);
        assert_eq!(error.to_string(), "duplicate param name: a");
    }

    #[test]
    fn a_value_that_is_too_long_is_an_error_at_load() {
        let long = "x".repeat(BINDING_SOURCE_BYTES + 1);
        let error = compile(&[param("a", &long)]).expect_err("is one");
        assert_eq!(error.reason(), Reason::BadConfig);
    }

    #[test]
    fn an_expression_that_can_never_have_a_value_is_a_problem_and_no_error() {
        let params = [
            param("a", "$(body.a) $(Context.EventID) $()"),
            param("b", "x $(body[) $(boddy.ok)"),
        ];
        let problems = compile(&params).expect("loads").problems;
        let problem = |expression: &str, message: &str| Problem {
            index: 1,
            param: "b".into(),
            expression: expression.into(),
            message: message.into(),
        };
        let expected = [
            problem("body[", "unterminated array"),
            problem("boddy.ok", "boddy is not found"),
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn compiled_bindings_can_be_shared() {
        fn shared<T: Send + Sync>() {}
        shared::<Bindings>();
    }

    proptest! {
        #[test]
        fn no_expression_panics(
            path in r#"(body|header|\.\.|\[[-0-9:,*']{0,6}\]|\[\?\([@.a=<!'"1 ]{0,9}\)\]|[.a*@$ '"\\{}()é\[\]]){0,12}"#,
        ) {
            let bindings = compile(&[param("p", &format!("$({path})"))]).expect("loads");
            let body = json!({"a": [{"a": 1}, "é", null, [1.5, "a"]], "": "x"});
            let scope = Scope {
                body: BodyView::Json(&body),
                headers: &Headers::new(),
                extensions: &Map::new(),
                event_id: "",
            };
            let _ = bind(&bindings, &scope, &[]);
        }

        #[test]
        fn any_value_gives_the_same_again_or_fails(
            value in r#"(\$\(|\)|\$|body|header|\.[ab]|\[[*0:-]\]|\.\.|\{|\}|[ \\"']|.){0,24}"#,
            default in proptest::option::of(r"(\$\(body\.[abc]\)|.){0,6}"),
        ) {
            let bindings = compile(&[param("p", &value)]).expect("loads");
            let body = json!({"a": [{"b": "$(body.b)"}, "é"], "b": "x"});
            let scope = Scope {
                body: BodyView::Json(&body),
                headers: &Headers::new(),
                extensions: &Map::new(),
                event_id: "e-1",
            };
            let spec = ParamSpec {
                name: "p".to_owned(),
                description: None,
                default,
            };
            let bound = bind(&bindings, &scope, std::slice::from_ref(&spec));
            prop_assert_eq!(&bound, &bind(&bindings, &scope, std::slice::from_ref(&spec)));
            if spec.default.is_some() {
                prop_assert!(bound.is_ok(), "{:?}", bound);
            }
        }
    }
}
