//! Why an expression does not compile, or gave no value.
//!
//! Messages use cel-go's words, because users search for them. They name
//! types, functions and keys that the expression itself spells, and never a
//! value of the event: it may be a credential.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

use crate::model::secret::SecretKeyRef;

/// What kind of failure stopped an evaluation. Codes are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// A field or key that the value does not have.
    MissingKey,
    /// A function or operator that does not take values of these types.
    NoOverload,
    /// A value of a type that has no place here.
    Type,
    /// An index outside its list or text, or of a type that is no index.
    Index,
    /// Overflow or division by zero.
    Arithmetic,
    /// A value that cannot be converted.
    Conversion,
    /// Text that is not the JSON, YAML, URL or base64 it was taken for.
    Decode,
    /// A regular expression that does not compile.
    Regex,
    /// An argument outside what the function takes.
    Argument,
    /// What makes upstream's evaluator panic.
    Internal,
    /// A Secret that cannot be read.
    Secret,
    /// More work or memory than one evaluation may use.
    Exhausted,
}

impl ErrorClass {
    /// The stable code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingKey => "missing_key",
            Self::NoOverload => "no_overload",
            Self::Type => "type",
            Self::Index => "index",
            Self::Arithmetic => "arithmetic",
            Self::Conversion => "conversion",
            Self::Decode => "decode",
            Self::Regex => "regex",
            Self::Argument => "argument",
            Self::Internal => "internal",
            Self::Secret => "secret",
            Self::Exhausted => "exhausted",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why `compareSecret` could not compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingSecret {
    /// There is no such Secret.
    NoSecret,
    /// The Secret does not have the key.
    NoKey,
    /// The value is empty.
    Empty,
    /// Secrets have not been read yet.
    NotSynced,
}

/// Why an expression gave no value for one event.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct EvalError {
    class: ErrorClass,
    message: Cow<'static, str>,
    missing: Option<(SecretKeyRef, MissingSecret)>,
}

impl EvalError {
    /// What kind of failure it is.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// The Secret that was not there, where that is the reason.
    pub fn missing_secret(&self) -> Option<(&SecretKeyRef, MissingSecret)> {
        self.missing.as_ref().map(|(at, gap)| (at, *gap))
    }
}

/// How an `EvalError` travels inside the evaluator: one word, because most
/// results are values.
pub(crate) type Fault = Box<EvalError>;

/// A failure of `class`.
#[cold]
pub(crate) fn fault(class: ErrorClass, message: impl Into<Cow<'static, str>>) -> Fault {
    Box::new(EvalError {
        class,
        message: message.into(),
        missing: None,
    })
}

/// Shorthand for the commonest failure.
#[cold]
pub(crate) fn no_overload() -> Fault {
    fault(ErrorClass::NoOverload, "no such overload")
}

/// A key that the expression itself spells is not there.
#[cold]
pub(crate) fn missing_key(key: impl fmt::Display) -> Fault {
    fault(ErrorClass::MissingKey, format!("no such key: {key}"))
}

/// `compareSecret` has nothing to compare with.
#[cold]
pub(crate) fn missing_secret(at: SecretKeyRef, gap: MissingSecret) -> Fault {
    let why = match gap {
        MissingSecret::NoSecret => "there is no such Secret",
        MissingSecret::NoKey => "the Secret does not have this key",
        MissingSecret::Empty => "the value is empty",
        MissingSecret::NotSynced => "Secrets have not been read yet",
    };
    Box::new(EvalError {
        class: ErrorClass::Secret,
        message: format!("failed to find secret {at} in compareSecret: {why}").into(),
        missing: Some((at, gap)),
    })
}

/// Which pass refused an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The text is not CEL.
    Parse,
    /// Names or types do not fit.
    Check,
    /// A part that depends on no event can only fail: a literal that does not
    /// convert, a literal regular expression that does not compile.
    Fold(ErrorClass),
    /// The expression is larger than allowed.
    Limit,
}

/// Why an expression does not compile.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct CompileError {
    /// Which pass refused it.
    pub stage: Stage,
    /// Every problem as cel-go prints it: `ERROR: <input>:L:C: …`, the line
    /// and a mark under the column. Behind its words stands what may have been
    /// meant.
    pub message: String,
    /// The first problem alone, without position.
    pub summary: String,
    /// Line of the first problem, from 1.
    pub line: usize,
    /// Column of the first problem in characters, from 1.
    pub column: usize,
    /// A name that was perhaps meant.
    pub suggestion: Option<String>,
}

/// Why an overlay gave no extension.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OverlayError {
    /// The expression gave no value.
    #[error(transparent)]
    Eval(EvalError),
    /// The value has no JSON form.
    #[error("failed to convert overlay result to type: {0}")]
    Type(Cow<'static, str>),
    /// The key does not fit the values that earlier overlays set.
    #[error("failed to set the overlay key: {0}")]
    Key(Cow<'static, str>),
}

impl From<Fault> for OverlayError {
    fn from(fault: Fault) -> Self {
        Self::Eval(*fault)
    }
}
