//! What can go wrong in this stage.

use thiserror::Error;

use crate::model::verdict::Reason;

/// Why parameters could not be bound.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BindError {
    /// Two bindings of a trigger give the same parameter.
    #[error("duplicate param name: {param}")]
    DuplicateParam {
        /// The name that stands twice.
        param: String,
    },
    /// A value is longer than `BINDING_SOURCE_BYTES`.
    #[error("the value of param {param} has {bytes} bytes, more than {limit}")]
    TooLong {
        /// Whose value it is.
        param: String,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// The body is not JSON, so that no expression has anything to look at.
    #[error("the body is not JSON: {message}")]
    Body {
        /// What the parser said.
        message: String,
    },
    /// An expression has no value in this event, and the parameter no default.
    #[error("no value for param {param}: $({expression}): {cause}")]
    Expression {
        /// The parameter.
        param: String,
        /// The expression, without `$(` and `)`.
        expression: String,
        /// What was wrong with it.
        #[source]
        cause: PathError,
    },
    /// An expression took more work, or made a larger value, than is allowed.
    #[error("param {param}: $({expression}) takes more work than is allowed")]
    Exhausted {
        /// The parameter.
        param: String,
        /// The expression, without `$(` and `)`.
        expression: String,
    },
    /// The values together are larger than is allowed.
    #[error("with param {param} the values of all params exceed {limit} bytes")]
    TooLarge {
        /// The parameter that was one too many.
        param: String,
        /// How many bytes they may have.
        limit: usize,
    },
}

impl BindError {
    /// The parameter that it is about; empty where it is about the body.
    pub fn param(&self) -> &str {
        match self {
            Self::DuplicateParam { param }
            | Self::TooLong { param, .. }
            | Self::Expression { param, .. }
            | Self::Exhausted { param, .. }
            | Self::TooLarge { param, .. } => param,
            Self::Body { .. } => "",
        }
    }

    /// The stable code of the failure.
    pub fn reason(&self) -> Reason {
        match self {
            Self::DuplicateParam { .. } => Reason::DuplicateParam,
            Self::TooLong { .. } => Reason::BadConfig,
            Self::Body { .. } => Reason::BodyNotJson,
            Self::Expression { .. } => Reason::BindFailed,
            Self::Exhausted { .. } | Self::TooLarge { .. } => Reason::BindExhausted,
        }
    }
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// It cannot be read, or asks for what cannot be.
    #[error("{0}")]
    Syntax(String),
    /// No value that was looked at has this field.
    #[error("{0} is not found")]
    Missing(String),
    /// A step meets a value of a type that it does not work on.
    #[error("{0}")]
    Type(String),
    /// A list is too short.
    #[error("array index out of bounds: index {index}, length {length}")]
    Index {
        /// The index asked for, counted from the start.
        index: i64,
        /// How many elements there are.
        length: usize,
    },
    /// More nodes were visited, or bytes written, than is allowed.
    #[error("takes more work than is allowed")]
    Exhausted,
}

impl PathError {
    /// A `Syntax` error.
    pub(super) fn syntax(message: impl Into<String>) -> Self {
        Self::Syntax(message.into())
    }
}
