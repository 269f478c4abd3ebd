//! Which overloads of a function a call may take.

use super::super::registry::Overload;
use super::super::syntax::NodeId;
use super::types::Type;
use super::{Checker, Meaning, suggest};

impl Checker<'_> {
    /// Finds the overloads that fit, and the type of the result.
    pub(super) fn resolve(
        &mut self,
        id: NodeId,
        overloads: &'static [Overload],
        target: Option<NodeId>,
        args: &[NodeId],
    ) -> Type {
        let name = overloads[0].name;
        if matches!(name, "_&&_" | "_||_") {
            return self.check_logic(args);
        }
        let operands: Vec<Type> = target
            .iter()
            .chain(args)
            .map(|&operand| self.type_of(operand))
            .collect();
        let mut fitting: Vec<&'static Overload> = Vec::new();
        let mut result: Option<Type> = None;
        for overload in overloads {
            let considered = overload.member == target.is_some()
                && (self.compares_across || !overload.mixes_numbers);
            if !considered {
                continue;
            }
            let Some(of) = self.fit(overload, &operands) else {
                continue;
            };
            fitting.push(overload);
            result = Some(match result {
                None => of,
                Some(first) if first == Type::Dyn || first == of => first,
                Some(_) => Type::Dyn,
            });
        }
        let Some(result) = result else {
            let signature = self.signature(&operands, target.is_some());
            self.report(
                id,
                format!("found no matching overload for '{name}' applied to '{signature}'"),
            );
            if let Some(problem) = self.problems.last_mut() {
                problem.usage = suggest::usage(overloads);
            }
            return Type::Error;
        };
        self.meanings[id as usize] = Meaning::Call {
            overloads: fitting.into(),
            with_target: target.is_some(),
        };
        result
    }

    /// The result of an overload, if it takes these operands.
    fn fit(&mut self, overload: &Overload, operands: &[Type]) -> Option<Type> {
        if overload.variables == 0 {
            return self
                .bindings
                .all_assignable(operands, &overload.parameters)
                .then(|| overload.result.clone());
        }
        let fresh: Vec<Type> = (0..overload.variables)
            .map(|_| self.bindings.fresh())
            .collect();
        let mut instance = |variable: u32| fresh[variable as usize].clone();
        let parameters: Vec<Type> = overload
            .parameters
            .iter()
            .map(|parameter| parameter.replace(&mut instance))
            .collect();
        let result = overload.result.replace(&mut instance);
        self.bindings
            .all_assignable(operands, &parameters)
            .then(|| self.bindings.resolve(&result))
    }

    fn signature(&self, operands: &[Type], method: bool) -> String {
        let mut types = operands
            .iter()
            .map(|operand| self.bindings.resolve_fully(operand).to_string());
        let target = match method {
            true => types.next().map(|target| format!("{target}.")),
            false => None,
        };
        let arguments: Vec<String> = types.collect();
        format!("{}({})", target.unwrap_or_default(), arguments.join(", "))
    }

    /// `&&` and `||` report each operand by itself.
    fn check_logic(&mut self, args: &[NodeId]) -> Type {
        let mut of = Type::Bool;
        for &arg in args {
            let found = self.type_of(arg);
            if !self.bindings.assignable(&found, &Type::Bool) {
                self.report(arg, format!("expected type 'bool' but found '{found}'"));
                of = Type::Error;
            }
        }
        of
    }
}
