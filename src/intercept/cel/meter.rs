//! What one evaluation may still use.
//!
//! In: charges. Out: a fault once fuel or memory is used up, and again on
//! every later charge, so that no `||` can swallow it.

use super::error::{ErrorClass, Fault, fault};
use crate::model::limits::{CEL_FUEL, CEL_MEMORY_BYTES};

/// Bytes that a built-in may walk for one step of fuel.
const BYTES_PER_STEP: usize = 16;

/// Fuel and memory of one evaluation.
#[derive(Debug)]
pub(crate) struct Meter {
    fuel: u64,
    bytes: usize,
    exhausted: bool,
}

impl Default for Meter {
    fn default() -> Self {
        Self::with(CEL_FUEL, CEL_MEMORY_BYTES)
    }
}

impl Meter {
    /// A meter with other bounds than the usual ones.
    pub(crate) fn with(fuel: u64, bytes: usize) -> Self {
        Self {
            fuel,
            bytes,
            exhausted: false,
        }
    }

    /// Pays for `steps` steps.
    pub(crate) fn step(&mut self, steps: u64) -> Result<(), Fault> {
        match self.fuel.checked_sub(steps) {
            Some(rest) if !self.exhausted => {
                self.fuel = rest;
                Ok(())
            }
            _ => Err(self.exhaust("evaluation takes more steps than allowed")),
        }
    }

    /// Pays for reading `bytes` bytes once.
    pub(crate) fn walk(&mut self, bytes: usize) -> Result<(), Fault> {
        self.step((bytes / BYTES_PER_STEP) as u64)
    }

    /// Pays for building something of `bytes` bytes.
    pub(crate) fn build(&mut self, bytes: usize) -> Result<(), Fault> {
        match self.bytes.checked_sub(bytes) {
            Some(rest) if !self.exhausted => {
                self.bytes = rest;
                self.walk(bytes)
            }
            _ => Err(self.exhaust_memory()),
        }
    }

    /// Bytes that may still be built.
    pub(crate) fn left(&self) -> usize {
        self.bytes
    }

    /// Refuses something that would take up more memory than is left.
    pub(crate) fn exhaust_memory(&mut self) -> Fault {
        self.exhaust("evaluation takes more memory than allowed")
    }

    /// Pays for a list or map of `length` elements.
    pub(crate) fn build_elements(&mut self, length: usize) -> Result<(), Fault> {
        self.step(length as u64)?;
        self.build(length.saturating_mul(size_of::<super::value::Value<'_>>()))
    }

    /// Whether a charge was refused.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    #[cold]
    fn exhaust(&mut self, message: &'static str) -> Fault {
        self.exhausted = true;
        fault(ErrorClass::Exhausted, message)
    }
}
