//! What is wrong with an expression, and where.

use keyward_config_values::{ErrorKind, Quoted, VariableName, excerpt};

/// An expression that cannot be read, or has no ranges with the values that its variables have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: at position {position}, {problem}", Quoted(.expression))]
pub struct ExpressionError {
    /// The expression.
    pub expression: String,
    /// Where, counted in characters from 1.
    pub position: usize,
    /// What.
    pub problem: Problem,
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// An expression of more than 512 bytes.
    #[error("the expression is longer than 512 bytes; divide it")]
    TooLong,
    /// A field too many.
    #[error("there is more than addresses, protocol and ports; write them once, such as `10.0.0.0/24 tcp 443`")]
    TooMuch,
    /// `${` without a variable and `}` behind it.
    #[error("{} is not a variable; write `${{name}}` or `${{name + 1}}`", Quoted(.found))]
    Variable {
        /// What stands between the braces.
        found: String,
    },
    /// A variable beside digits.
    #[error("a variable stands for a whole number; write it alone between the dots, colons or dashes")]
    Piece,
    /// Not addresses.
    #[error(
        "there are no addresses; write an address such as `192.0.2.7`, a network such as `192.0.2.0/24` or a range such as `192.0.2.1-192.0.2.9`"
    )]
    Addresses,
    /// Not a number, or one out of its bounds.
    #[error("{} is not a number from 0 to {most}", Quoted(.found))]
    Number {
        /// What was written.
        found: String,
        /// The highest that would do.
        most: u32,
    },
    /// A range or a network of which a part is not there: `80-`, `10.0.0.0/`.
    #[error("the {what} is missing; write it, such as `{such}`")]
    Missing {
        /// What there should be.
        what: &'static str,
        /// A text that has it.
        such: &'static str,
    },
    /// Not a protocol.
    #[error("{} is not a protocol; write `tcp`, `udp`, `sctp`, `icmp` or `any`", Quoted(.found))]
    Protocol {
        /// What was written.
        found: String,
    },
    /// Not a valid range.
    #[error(transparent)]
    Range(crate::Error),
    /// An address with bits beyond its prefix: it is either the one address or the network, and guessing the wider one
    /// would let strangers in.
    #[error("the address has bits beyond its prefix; write `{network}` for the network")]
    HostBits {
        /// The network of that prefix in which the address lies.
        network: String,
    },
    /// A variable without a value.
    #[error("the variable `{name}` has no value here")]
    Undefined {
        /// The variable.
        name: VariableName,
    },
    /// A value in which a variable is written: values are not read again, so that none can refer to itself.
    #[error("the value {} of `{name}` holds a variable; write its value out", Quoted(.value))]
    Recursive {
        /// The variable.
        name: VariableName,
        /// Its value.
        value: String,
    },
    /// A value that is not what is needed at this place.
    #[error("the value {} of `{name}` is not {needed}", Quoted(.value))]
    Value {
        /// The variable.
        name: VariableName,
        /// Its value.
        value: String,
        /// What would do.
        needed: &'static str,
    },
    /// A sum beyond what fits.
    #[error("with the value {} of `{name}` the sum is not {needed}", Quoted(.value))]
    Sum {
        /// The variable.
        name: VariableName,
        /// Its value.
        value: String,
        /// What would do.
        needed: &'static str,
    },
}

impl ExpressionError {
    /// [`ErrorKind::Malformed`] for what is written, [`ErrorKind::Misconfigured`] for what variables have as values.
    pub fn kind(&self) -> ErrorKind {
        match self.problem {
            Problem::Undefined { .. } | Problem::Recursive { .. } | Problem::Value { .. } | Problem::Sum { .. } => {
                ErrorKind::Misconfigured
            }
            _ => ErrorKind::Malformed,
        }
    }
}

/// A problem at a byte of the text.
#[derive(Debug)]
pub(super) struct At(usize, Problem);

impl At {
    pub(super) fn of(self, text: &str) -> ExpressionError {
        let Self(offset, problem) = self;
        let position = text.char_indices().take_while(|(at, _)| *at < offset).count() + 1;
        ExpressionError { expression: excerpt(text), position, problem }
    }
}

impl Problem {
    pub(super) fn at(self, offset: usize) -> At {
        At(offset, self)
    }
}
