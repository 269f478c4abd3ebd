//! Overlays: a value of the event under a key of the extensions.
//!
//! In: a key, an expression, a scope. Out: the extensions with the value in
//! its place. The expression sees the scope as it was before any overlay of
//! the same interceptor.

use serde_json::{Map as JsonMap, Value as Json};

use super::Scope;
use super::convert;
use super::convert::path::Path;
use super::error::{CompileError, OverlayError};
use super::evaluate::Machine;
use super::program::{Program, compile};
use super::reads::Credential;

/// A compiled overlay.
#[derive(Debug)]
pub struct Overlay {
    key: Box<str>,
    /// A key that is no path fails when the overlay is applied, as upstream.
    path: Result<Path, OverlayError>,
    program: Program,
}

/// Compiles an overlay.
pub fn compile_overlay(key: &str, expression: &str) -> Result<Overlay, CompileError> {
    compile(expression).map(|program| Overlay::new(key, program))
}

impl Overlay {
    /// An overlay of a program that is compiled already.
    pub fn new(key: &str, program: Program) -> Self {
        Self {
            key: key.into(),
            path: Path::parse(key).map_err(OverlayError::Key),
            program,
        }
    }

    /// The key, as it is written.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The text of the expression.
    pub fn source(&self) -> &str {
        self.program.source()
    }

    /// What the expression compares with secrets.
    pub fn credentials(&self) -> &[Credential] {
        self.program.credentials()
    }

    /// Puts the value for one event into the extensions.
    pub fn apply(
        &self,
        scope: &Scope<'_>,
        into: &mut JsonMap<String, Json>,
    ) -> Result<(), OverlayError> {
        let code = &self.program.code;
        let mut machine = Machine::new(code, scope);
        let value = machine.run(code.root)?;
        let json = convert::overlay_json(&value, machine.meter())?.map_err(OverlayError::Type)?;
        let path = self.path.as_ref().map_err(Clone::clone)?;
        path.set(into, json).map_err(OverlayError::Key)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::intercept::cel::ErrorClass;
    use crate::intercept::cel::testing::{Event, overlaid};

    #[test]
    fn overlays_see_the_scope_and_not_each_other() {
        let event = Event::default();
        let mut extensions = JsonMap::new();
        for (key, expression) in [
            ("branch", "body.ref.split('/')[2]"),
            ("a.b", "body.count"),
            ("a.c", "has(extensions.branch)"),
        ] {
            let overlay = compile_overlay(key, expression).expect("compiles");
            assert_eq!((overlay.key(), overlay.source()), (key, expression));
            overlay
                .apply(&event.scope(), &mut extensions)
                .expect("applies");
        }
        let expected = json!({"branch": "main", "a": {"b": 3.0, "c": false}});
        assert_eq!(Json::Object(extensions), expected);
    }

    #[test]
    fn failures_tell_the_expression_the_value_and_the_key_apart() {
        let failed = overlaid("v", "body.missing");
        assert!(
            matches!(failed, Err(OverlayError::Eval(e)) if e.class() == ErrorClass::MissingKey)
        );
        assert!(matches!(overlaid("v", "null"), Err(OverlayError::Type(_))));
        assert!(matches!(overlaid("", "1"), Err(OverlayError::Key(_))));
    }
}
