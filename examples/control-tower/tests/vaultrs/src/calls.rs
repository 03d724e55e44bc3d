//! What was called, and whether the answer was the one that it is to be.

use std::collections::BTreeSet;

use vaultrs::error::ClientError;

use crate::{NOT_SERVED, Outcome};

/// The calls that were made.
#[derive(Default)]
pub struct Calls(BTreeSet<String>);

impl Calls {
    /// Answers what a call that is served answered.
    pub fn served<T>(&mut self, name: &str, result: Result<T, ClientError>) -> Outcome<T> {
        let name = self.note(name);
        let answer = result.map_err(|error| format!("{name}: {error}: {error:?}"))?;
        println!("{name}: served");
        Ok(answer)
    }

    /// A call that is served, but refused with this status.
    pub fn refused<T>(&mut self, name: &str, status: u16, result: Result<T, ClientError>) -> Outcome {
        let name = self.note(name);
        match result {
            Err(ClientError::APIError { code, .. }) if code == status => println!("{name}: refused with {status}"),
            Err(error) => return Err(format!("{name}: not refused with {status}: {error:?}").into()),
            Ok(_) => return Err(format!("{name}: not refused with {status}, but served").into()),
        }
        Ok(())
    }

    /// A call that the tower does not know.
    pub fn unknown<T>(&mut self, name: &str, result: Result<T, ClientError>) -> Outcome {
        let name = self.note(name);
        let reason = NOT_SERVED.iter().find(|(unserved, _)| *unserved == name);
        let (_, reason) = reason.ok_or_else(|| format!("{name}: no reason why it is not served"))?;
        match result {
            Err(ClientError::APIError { code: 404, errors }) if errors.iter().any(|text| is_of_a_path(text)) => {
                println!("{name}: not served: {reason}");
                Ok(())
            }
            Err(error) => Err(format!("{name}: {error:?}").into()),
            Ok(_) => Err(format!("{name}: served meanwhile").into()),
        }
    }

    /// Whether these were called, and nothing else.
    pub fn every(&self, names: &[&str]) -> Outcome {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let differences: Vec<_> = self.0.symmetric_difference(&names).collect();
        same("calls left out, or not in the list", differences, vec![])
    }

    /// The name as it is written.
    fn note(&mut self, tokens: &str) -> String {
        let name = tokens.replace(' ', "");
        self.0.insert(name.clone());
        name
    }
}

/// The tower's words for a path that it has not, which are others than those for what could be at a path.
fn is_of_a_path(text: &str) -> bool {
    text.starts_with("`/v1/") && text.ends_with("does not exist")
}

/// Makes a call that is served; answers its answer.
#[macro_export]
macro_rules! served {
    ($calls:expr, $($path:ident)::+ ($($argument:expr),* $(,)?)) => {
        $calls.served(stringify!($($path)::+), $($path)::+($($argument),*).await)?
    };
}

/// Makes a call that is refused with a status.
#[macro_export]
macro_rules! refused {
    ($calls:expr, $status:expr, $($path:ident)::+ ($($argument:expr),* $(,)?)) => {
        $calls.refused(stringify!($($path)::+), $status, $($path)::+($($argument),*).await)?
    };
}

/// Makes a call that the tower does not know.
#[macro_export]
macro_rules! unknown {
    ($calls:expr, $($path:ident)::+ ($($argument:expr),* $(,)?)) => {
        $calls.unknown(stringify!($($path)::+), $($path)::+($($argument),*).await)?
    };
}

/// Whether what was answered is what is expected.
pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, answered: T, expected: T) -> Outcome {
    if answered == expected { Ok(()) } else { Err(format!("{what}: {answered:?}, not {expected:?}").into()) }
}
