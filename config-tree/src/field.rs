//! Where a value is inside a document.

use serde::{Serialize, Serializer};
use std::fmt;

/// The way from the top of a document to a value inside it: `auto-rotate.rotate-after`,
/// `distribute.deployments[0]`. The empty one is the document itself.
///
/// ```
/// use keyward_config_tree::Field;
/// let field = Field::from("distribute.deployments").index(0);
/// assert_eq!(field.to_string(), "distribute.deployments[0]");
/// assert_eq!(Field::root().key("labels").key("a.b").to_string(), r#"labels["a.b"]"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Field(Vec<Step>);

/// One step of the way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl Field {
    /// The document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// The field of that name inside this one; the name may have dots.
    #[must_use]
    pub fn key(mut self, name: impl Into<String>) -> Self {
        self.0.push(Step::Key(name.into()));
        self
    }

    /// The item of that number inside this one, counted from 0.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Step::Index(index));
        self
    }

    /// Whether this is the document itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// From steps that were gathered from the inside out.
    pub(crate) fn from_reversed(mut steps: Vec<Step>) -> Self {
        steps.reverse();
        Self(steps)
    }
}

/// Names separated by dots; no text at all is the document itself.
impl From<&str> for Field {
    fn from(names: &str) -> Self {
        if names.is_empty() {
            return Self::root();
        }
        Self(names.split('.').map(|name| Step::Key(name.to_owned())).collect())
    }
}

/// The most characters that are shown.
const SHOWN: usize = 400;

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => text += &format!("[{index}]"),
                Step::Key(name) if is_plain(name) => {
                    if at > 0 {
                        text += ".";
                    }
                    text += name;
                }
                Step::Key(name) => {
                    let shown: String = name.chars().take(64).collect();
                    text += &format!("[{shown:?}]");
                }
            }
        }
        // The end says more than the beginning.
        match text.char_indices().rev().nth(SHOWN) {
            Some((from, _)) => write!(f, "…{}", text.get(from..).unwrap_or_default()),
            None => f.write_str(&text),
        }
    }
}

/// Whether a name needs no quotes: a word such as people give to fields.
fn is_plain(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_@+$".contains(&b))
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_quoted_and_cut() {
        assert_eq!(Field::root().to_string(), "");
        assert_eq!(Field::from("a.b").index(3).key("c").to_string(), "a.b[3].c");
        assert_eq!(Field::root().key("").to_string(), "[\"\"]");
        assert_eq!(Field::root().key("a\n`b").to_string(), "[\"a\\n`b\"]");
        assert!(Field::root().key("x".repeat(10_000)).to_string().len() < 80);
        let deep = (0..64).fold(Field::root(), |field, _| field.key("\u{7f}".repeat(64)));
        assert!(deep.clone().key("end").to_string().chars().count() < 450);
        assert!(deep.key("end").to_string().ends_with(".end"));
        assert_eq!(Field::from(""), Field::root());
    }
}
