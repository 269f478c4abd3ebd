//! What is wrong with the configuration, for people: `file:line:col: message`.

use std::fmt;

use super::yaml::Place;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Something does not work.
    Error,
    /// Something is not what its author seems to think.
    Warning,
}

/// One mistake, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Diagnostic {
    /// The file, or the object where there is no file.
    pub file: String,
    /// Line and column in the file.
    pub place: Option<Place>,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong and what would be right.
    pub message: String,
    /// JSON pointer to it in its document; empty for the document itself.
    pub pointer: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        let mark = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        write!(f, ": {mark}{}", self.message)
    }
}
