//! Bindings and templates that no trigger uses.

use std::collections::HashSet;
use std::sync::Arc;

use crate::bind;
use crate::catalog::diagnostic::Diagnostic;
use crate::catalog::objects::{Objects, Origin};
use crate::catalog::resolve::{binding_params, template_source};
use crate::model::problem::Problem;
use crate::render;

use super::{last_of, unbindable, unknown_control};

/// Compiles bindings and templates by themselves, except those that are
/// `used`, and says what is wrong with them.
pub(in crate::catalog) fn check_alone(
    objects: &Objects,
    used: &HashSet<*const Origin>,
) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let is_unused = |origin: &Arc<Origin>| !used.contains(&Arc::as_ptr(origin));
    let bindings = objects.bindings.values();
    for object in bindings.filter(|object| is_unused(&object.origin)) {
        let params = binding_params(&object.value);
        let at = |index: usize| format!("/spec/params/{index}/value");
        match bind::compile(&params) {
            Ok(bindings) => diagnostics.extend(bindings.problems().iter().map(|problem| {
                object
                    .origin
                    .warning(&at(problem.index), unbindable(problem))
            })),
            Err(error) => {
                let index = last_of(&params, error.param());
                diagnostics.push(object.origin.error(&at(index), error.to_string()));
            }
        }
    }
    let templates = objects.templates.values();
    for object in templates.filter(|object| is_unused(&object.origin)) {
        let source = template_source(&object.value);
        let at = |problem: &Problem| format!("/spec{}", problem.pointer);
        let undeclared = render::undeclared(&source);
        diagnostics.extend(
            undeclared
                .into_iter()
                .map(|problem| object.origin.warning(&at(&problem), problem.message)),
        );
        let problems = match render::compile(source) {
            Ok(template) => unknown_control(&template).collect(),
            Err(problems) => problems,
        };
        diagnostics.extend(
            problems
                .into_iter()
                .map(|problem| object.origin.error(&at(&problem), problem.message)),
        );
    }
    diagnostics
}
