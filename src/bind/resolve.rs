//! Resolves the parameters of one event.
//!
//! In: compiled bindings, the scope, what the template declares. Out: one value
//! for each parameter.

use std::collections::BTreeMap;

use crate::model::limits::{BIND_FUEL, PARAMS_BYTES};
use crate::model::params::{Param, ParamSpec, Params};

use super::error::{BindError, PathError};
use super::expression::Expression;
use super::print::print;
use super::value::Pattern;
use super::walk::find;
use super::{Bindings, BodyView, Scope};

/// Gives every bound parameter its value, in the order of the bindings; then
/// declared ones that have a default and no binding, in the order of their
/// declaration. An expression without a value takes the default of its
/// parameter, if the template declares one; else the whole event fails.
pub fn bind(
    bindings: &Bindings,
    scope: &Scope<'_>,
    declared: &[ParamSpec],
) -> Result<Params, BindError> {
    if let BodyView::Invalid(message) = scope.body {
        let message = message.to_owned();
        return Err(BindError::Body { message });
    }
    // Of several defaults for one name the last counts, as upstream.
    let mut defaults: BTreeMap<&str, &str> = declared
        .iter()
        .filter_map(|spec| Some((spec.name.as_str(), spec.default.as_deref()?)))
        .collect();
    let mut resolver = Resolver {
        scope,
        fuel: BIND_FUEL,
        room: PARAMS_BYTES,
    };
    let mut params = Params::with_capacity(bindings.params.len() + defaults.len());
    for (name, pattern) in &bindings.params {
        let default = defaults.remove(name.as_str());
        let value = resolver.param(name, pattern, default)?;
        params.push(Param {
            name: name.clone(),
            value,
        });
    }
    for spec in declared {
        if let Some(default) = defaults.remove(spec.name.as_str()) {
            params.push(Param {
                name: spec.name.clone(),
                value: default.to_owned(),
            });
        }
    }
    Ok(params)
}

/// Resolves params one after the other, out of one budget.
struct Resolver<'s, 'a> {
    scope: &'s Scope<'a>,
    /// JSON nodes that may still be visited.
    fuel: u64,
    /// Bytes that values may still have.
    room: usize,
}

impl Resolver<'_, '_> {
    fn param(
        &mut self,
        param: &str,
        pattern: &Pattern,
        default: Option<&str>,
    ) -> Result<String, BindError> {
        let mut held = 0;
        let mut values = Vec::with_capacity(pattern.expressions().len());
        for expression in pattern.expressions() {
            let value = match self.evaluate(expression, held) {
                Ok(value) => Some(value),
                Err(PathError::Exhausted) => return Err(exhausted(param, expression)),
                Err(_) if default.is_some() => None,
                Err(cause) => return Err(no_value(param, expression, cause)),
            };
            held += value.as_ref().map_or(0, String::len);
            values.push(value);
        }
        let text = pattern.assemble(values, default.unwrap_or_default(), self.room);
        let text = text.ok_or_else(|| BindError::TooLarge {
            param: param.to_owned(),
            limit: PARAMS_BYTES,
        })?;
        self.room = self.room.saturating_sub(text.len());
        Ok(text)
    }

    /// The value of an expression, beside `held` bytes of others.
    fn evaluate(&mut self, expression: &Expression, held: usize) -> Result<String, PathError> {
        let path = expression.path.as_ref().map_err(Clone::clone)?;
        let found = find(path, self.scope, &mut self.fuel)?;
        print(&found, self.scope, self.room.saturating_sub(held))
    }
}

fn no_value(param: &str, expression: &Expression, cause: PathError) -> BindError {
    BindError::Expression {
        param: param.to_owned(),
        expression: expression.source.clone(),
        cause,
    }
}

/// Work cut short says nothing of the event: no reason for a default.
fn exhausted(param: &str, expression: &Expression) -> BindError {
    BindError::Exhausted {
        param: param.to_owned(),
        expression: expression.source.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::super::{BindingParam, compile};
    use super::*;
    use crate::model::headers::Headers;
    use crate::model::verdict::Reason;

    fn bound(
        params: &[(&str, &str)],
        body: BodyView<'_>,
        declared: &[(&str, Option<&str>)],
    ) -> Result<Vec<(String, String)>, BindError> {
        let params: Vec<_> = params
            .iter()
            .map(|&(name, value)| BindingParam {
                name: name.to_owned(),
                value: value.to_owned(),
            })
            .collect();
        let declared: Vec<_> = declared
            .iter()
            .map(|&(name, default)| ParamSpec {
                name: name.to_owned(),
                description: None,
                default: default.map(str::to_owned),
            })
            .collect();
        let scope = Scope {
            body,
            headers: &Headers::new(),
            extensions: &Map::new(),
            event_id: "e-1",
        };
        let params = bind(&compile(&params)?, &scope, &declared)?;
        Ok(params.into_iter().map(|p| (p.name, p.value)).collect())
    }

    fn one(value: &str, body: &Value, default: Option<&str>) -> Result<String, BindError> {
        let params = bound(&[("p", value)], BodyView::Json(body), &[("p", default)])?;
        Ok(params[0].1.clone())
    }

    #[test]
    fn text_around_expressions_stays() {
        let body = json!({"s": "hello", "n": 42, "paren": "$(body.s)"});
        for (value, expected) in [
            ("static", "static"),
            ("$(body.s)", "hello"),
            ("a$(body.s)b$(body.n)c", "ahellob42c"),
            ("$($(body.s))", "$(hello)"),
            ("$(not-this-$(body.s)", "$(not-this-hello"),
            ("$(body.s)) $ (body.s)", "hello) $ (body.s)"),
            ("$(body.paren) $(body.s)", "$(body.s) hello"),
        ] {
            assert_eq!(one(value, &body, None).as_deref(), Ok(expected), "{value}");
        }
    }

    #[test]
    fn a_default_takes_the_place_of_an_expression_that_fails() {
        let body = json!({"s": "hello", "nul": null, "list": []});
        for (value, expected) in [
            ("refs/$(body.missing)", "refs/d"),
            ("$(body[)", "d"),
            ("$(body.list[9])", "d"),
            ("$(body.s) $(body.missing)", "hello d"),
            ("$(body.nul)", "null"),
            ("$(body.list[*])", "[]"),
        ] {
            assert_eq!(
                one(value, &body, Some("d")).as_deref(),
                Ok(expected),
                "{value}"
            );
        }
        let error = one("$(body.missing)", &body, None).expect_err("has no default");
        assert_eq!(error.reason(), Reason::BindFailed);
        let text = "no value for param p: $(body.missing): missing is not found";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn defaults_follow_the_bound_params_in_the_order_of_their_declaration() {
        let declared = [
            ("z", Some("1")),
            ("b", None),
            ("a", Some("2")),
            ("a", Some("3")),
        ];
        let params = bound(&[("x", "0"), ("z", "9")], BodyView::Empty, &declared);
        let expected = [("x", "0"), ("z", "9"), ("a", "3")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(params.as_deref(), Ok(&expected[..]));
    }

    #[test]
    fn an_empty_body_is_null_and_one_that_is_not_json_fails_every_param() {
        let null = [("p".to_owned(), "null".to_owned())];
        let params = bound(&[("p", "$(body)")], BodyView::Empty, &[]);
        assert_eq!(params.as_deref(), Ok(&null[..]));
        let body = BodyView::Invalid("expected value at line 1 column 1");
        let error = bound(&[("p", "static")], body, &[("p", Some("d"))]).expect_err("fails");
        assert_eq!(error.reason(), Reason::BodyNotJson);
    }

    #[test]
    fn values_that_grow_too_large_are_refused() {
        let body = json!("x".repeat(PARAMS_BYTES / 2));
        let error = one("$(body)$(body)$(body)", &body, Some("d")).expect_err("is too large");
        assert_eq!(error.reason(), Reason::BindExhausted);
        let body = json!("<".repeat(PARAMS_BYTES / 5));
        let error = one("$(body)", &body, Some("d")).expect_err("is too large");
        assert_eq!(error.reason(), Reason::BindExhausted);
    }
}
