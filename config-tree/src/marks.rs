//! On which line each field of a document stands.

use crate::Field;
use crate::field::Step;

/// A place in a text: line and column, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// The places of a value and of what is inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Where the value begins; for a field, where its name does.
    pub(crate) at: Mark,
    pub(crate) inside: Inside,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Inside {
    Nothing,
    Fields(Vec<(String, Marks)>),
    Items(Vec<Marks>),
}

impl Marks {
    /// The place of a field; of what it is missing in, if it is not there.
    pub(crate) fn find(&self, field: &Field) -> Mark {
        let mut here = self;
        for step in field.steps() {
            let next = match (step, &here.inside) {
                (Step::Key(name), Inside::Fields(fields)) => {
                    fields.iter().find(|(field, _)| field == name).map(|(_, marks)| marks)
                }
                (Step::Index(index), Inside::Items(items)) => items.get(*index),
                _ => None,
            };
            match next {
                Some(marks) => here = marks,
                None => break,
            }
        }
        here.at
    }
}
