//! Where the pieces of a trigger stand that something is said of.

use std::sync::Arc;

use crate::catalog::objects::Origin;
use crate::catalog::resolve::Places;
use crate::catalog::source::{InterceptorSource, TriggerSource};

use super::Part;

impl Places {
    /// Every object that a piece of the trigger was written in.
    pub(in crate::catalog) fn origins(&self) -> impl Iterator<Item = *const Origin> {
        let bindings = self.bindings.iter();
        let all = bindings.chain([&self.trigger, &self.template]);
        let all = all.chain(&self.group);
        all.map(|(origin, _)| Arc::as_ptr(origin))
    }

    /// Where in its object the piece at `pointer` of a part stands.
    pub(super) fn locate(
        &self,
        source: &TriggerSource,
        part: Part,
        pointer: &str,
    ) -> (&Origin, String) {
        match part {
            Part::Interceptor(index) => {
                let (origin, base) = &self.trigger;
                (origin, inside(&source.interceptors, base, index, pointer))
            }
            Part::OfGroup(index) => {
                let (origin, base) = self.group.as_ref().unwrap_or(&self.trigger);
                let group = source.group.as_ref();
                let interceptors = group.map_or(&[][..], |group| &group.interceptors);
                (origin, inside(interceptors, base, index, pointer))
            }
            Part::Binding(index) => {
                let (origin, inside) = self.bindings.get(index).unwrap_or(&self.trigger);
                (origin, inside.clone())
            }
            Part::Template => {
                let (origin, base) = &self.template;
                (origin, format!("{base}{pointer}"))
            }
        }
    }
}

/// Where in its object a place in an interceptor's parameters stands.
fn inside(interceptors: &[InterceptorSource], base: &str, index: usize, pointer: &str) -> String {
    let here = format!("{base}/interceptors/{index}");
    // Parameters are pairs of name and value in the text.
    let path = pointer.get(1..).unwrap_or_default();
    let (param, rest) = path.split_once('/').unwrap_or((path, ""));
    let mut params = interceptors
        .get(index)
        .into_iter()
        .flat_map(|one| &one.params);
    let at = params.position(|given| given.name.eq_ignore_ascii_case(param));
    match at {
        Some(at) if rest.is_empty() => format!("{here}/params/{at}/value"),
        Some(at) => format!("{here}/params/{at}/value/{rest}"),
        None => format!("{here}/ref/name"),
    }
}
