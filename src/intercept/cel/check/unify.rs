//! Which types fit which, and what that says about unknown ones.
//!
//! In: pairs of types. Out: yes or no, and bindings of type variables. The
//! rules are cel-go's, with their order: `dyn` fits everything, null fits
//! timestamps and durations, and a variable takes the more general of the
//! types that it met.

use super::types::Type;

/// What is known about type variables.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    bound: Vec<Option<Type>>,
    /// Former values, so that a failed attempt leaves no trace.
    trail: Vec<(u32, Option<Type>)>,
}

impl Bindings {
    /// A type that nothing is known about.
    pub(super) fn fresh(&mut self) -> Type {
        self.bound.push(None);
        Type::Var((self.bound.len() - 1) as u32)
    }

    /// Whether `from` fits `to`. Keeps what was learnt only if it does.
    pub(super) fn assignable(&mut self, from: &Type, to: &Type) -> bool {
        self.attempt(|bindings| bindings.fits(from, to))
    }

    /// Whether each of `from` fits its counterpart in `to`.
    pub(super) fn all_assignable(&mut self, from: &[Type], to: &[Type]) -> bool {
        from.len() == to.len()
            && self.attempt(|bindings| {
                from.iter()
                    .zip(to)
                    .all(|(from, to)| bindings.fits(from, to))
            })
    }

    /// The type with every bound variable replaced, as far as it is followed.
    pub(super) fn resolve(&self, of: &Type) -> Type {
        let resolved = of.replace(&mut |variable| match self.find(variable) {
            Some(bound) => self.resolve(bound),
            None => Type::Var(variable),
        });
        resolved.bounded()
    }

    /// The same, with `dyn` for what stayed unknown.
    pub(super) fn resolve_fully(&self, of: &Type) -> Type {
        self.resolve(of).replace(&mut |_| Type::Dyn)
    }

    fn attempt(&mut self, attempt: impl FnOnce(&mut Self) -> bool) -> bool {
        self.trail.clear();
        let fits = attempt(self);
        if !fits {
            while let Some((variable, former)) = self.trail.pop() {
                self.bound[variable as usize] = former;
            }
        }
        fits
    }

    fn find(&self, variable: u32) -> Option<&Type> {
        self.bound.get(variable as usize)?.as_ref()
    }

    fn bind(&mut self, variable: u32, to: Type) {
        if let Some(slot) = self.bound.get_mut(variable as usize) {
            self.trail.push((variable, slot.replace(to)));
        }
    }

    fn fits(&mut self, from: &Type, to: &Type) -> bool {
        if let Type::Var(variable) = to {
            let (fits, was_bound) = self.substitutes(from, *variable);
            if fits || was_bound {
                return fits;
            }
        }
        if let Type::Var(variable) = from {
            return self.substitutes(to, *variable).0;
        }
        if from.is_open() || to.is_open() {
            return true;
        }
        match (from, to) {
            (Type::Null, other) | (other, Type::Null) => {
                matches!(other, Type::Null | Type::Timestamp | Type::Duration)
            }
            (Type::List(from), Type::List(to)) => self.fits(from, to),
            (Type::Map(from), Type::Map(to)) => {
                self.fits(&from.0, &to.0) && self.fits(&from.1, &to.1)
            }
            (Type::Meta(_), Type::Meta(_)) => true,
            _ => from == to,
        }
    }

    /// Whether `variable` can stand for `other`, and whether it had a value.
    fn substitutes(&mut self, other: &Type, variable: u32) -> (bool, bool) {
        if *other == Type::Var(variable) {
            return (true, true);
        }
        if let Some(bound) = self.find(variable).cloned() {
            if *other == bound {
                return (true, true);
            }
            if !self.fits(other, &bound) {
                return (false, true);
            }
            let general = most_general(other, &bound);
            if !self.occurs(variable, &general) {
                self.bind(variable, general);
            }
            return (true, true);
        }
        if self.occurs(variable, other) {
            return (false, false);
        }
        self.bind(variable, other.clone());
        (true, false)
    }

    /// Whether `variable` stands inside `within`: binding it to that would
    /// describe an infinite type.
    fn occurs(&self, variable: u32, within: &Type) -> bool {
        match within {
            Type::Var(other) => {
                *other == variable
                    || self
                        .find(*other)
                        .is_some_and(|bound| self.occurs(variable, bound))
            }
            Type::List(item) => self.occurs(variable, item),
            Type::Map(entry) => self.occurs(variable, &entry.0) || self.occurs(variable, &entry.1),
            Type::Meta(Some(named)) => self.occurs(variable, named),
            _ => false,
        }
    }
}

/// The more general of two types that fit each other.
pub(super) fn most_general(one: &Type, other: &Type) -> Type {
    if is_no_more_specific(one, other) {
        one.clone()
    } else {
        other.clone()
    }
}

fn is_no_more_specific(one: &Type, other: &Type) -> bool {
    match (one, other) {
        (Type::Dyn | Type::Var(_), _) => true,
        (_, Type::Dyn | Type::Var(_)) => false,
        (Type::List(one), Type::List(other)) => is_no_more_specific(one, other),
        (Type::Map(one), Type::Map(other)) => {
            is_no_more_specific(&one.0, &other.0) && is_no_more_specific(&one.1, &other.1)
        }
        (Type::Meta(_), Type::Meta(_)) => true,
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_takes_the_more_general_type() {
        let mut bindings = Bindings::default();
        let variable = bindings.fresh();
        assert!(bindings.assignable(&Type::Int, &variable));
        assert!(bindings.assignable(&Type::Dyn, &variable));
        assert_eq!(bindings.resolve(&variable), Type::Dyn);
        assert!(bindings.assignable(&Type::Text, &variable));
    }

    #[test]
    fn a_failed_attempt_leaves_no_binding() {
        let mut bindings = Bindings::default();
        let variable = bindings.fresh();
        assert!(!bindings.all_assignable(
            &[Type::Int, Type::Text],
            &[variable.clone(), variable.clone()]
        ));
        assert_eq!(bindings.resolve_fully(&variable), Type::Dyn);
        assert_eq!(bindings.resolve(&variable), variable);
    }

    #[test]
    fn a_type_cannot_contain_itself() {
        let mut bindings = Bindings::default();
        let variable = bindings.fresh();
        assert!(!bindings.assignable(&Type::list(variable.clone()), &variable));
    }

    #[test]
    fn null_fits_times_and_nothing_else() {
        let mut bindings = Bindings::default();
        assert!(bindings.assignable(&Type::Null, &Type::Timestamp));
        assert!(bindings.assignable(&Type::Duration, &Type::Null));
        assert!(!bindings.assignable(&Type::Null, &Type::Int));
        assert!(!bindings.assignable(&Type::list(Type::Int), &Type::Null));
    }
}
