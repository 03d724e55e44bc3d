//! Text with variables.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::excerpt;
use crate::{Error, VariableName};

/// The most variables in one text. It bounds what binding can cost.
const MAX_VARIABLES: usize = 32;
/// The longest text in bytes.
const MAX_LENGTH: usize = 4096;

/// Text in which `${name}` stands for the value of a variable.
///
/// A value is bound as literal text: whatever it holds, it is never read as a variable, a separator or a wildcard. A
/// variable without a value, and one whose value is empty, is an error. `$` without `{` behind it is itself.
///
/// ```
/// use keyward_config_values::Template;
///
/// let template: Template = "${site}-gateway".parse()?;
/// assert_eq!(template.variables().map(|name| name.as_str()).collect::<Vec<_>>(), ["site"]);
/// assert_eq!(template.bind(|name| (name.as_str() == "site").then_some("north")).unwrap(), "north-gateway");
///
/// // Without a value it is an error, never empty text.
/// assert_eq!(template.bind(|_| None).unwrap_err().to_string(), "the variable `site` has no value here");
/// assert!(template.bind(|_| Some("")).is_err());
///
/// // A value is not read again.
/// assert_eq!(template.bind(|_| Some("${site}")).unwrap(), "${site}-gateway");
/// # Ok::<(), keyward_config_values::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    Literal(String),
    /// With the place of its `$`, in bytes.
    Variable(VariableName, usize),
}

/// One part of a [`Template`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplatePart<'a> {
    /// Text that stands for itself.
    Literal(&'a str),
    /// A variable.
    Variable {
        /// Its name.
        name: &'a VariableName,
        /// Where its `$` stands in the text, in bytes from 0.
        offset: usize,
    },
}

/// One piece of a text in which something stands between `${` and `}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text outside; it is not empty.
    Literal {
        /// The text.
        text: &'a str,
        /// Where it begins, in bytes from 0.
        offset: usize,
    },
    /// What stands between `${` and the next `}`, or the end.
    Braces {
        /// The text between the braces.
        inner: &'a str,
        /// Whether there is a `}`.
        closed: bool,
        /// Where the `$` stands, in bytes from 0.
        offset: usize,
    },
}

/// A variable that has no value where one is needed, or an empty one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the variable `{name}` has no value here")]
pub struct Undefined {
    /// The variable.
    pub name: VariableName,
}

impl Template {
    /// Cuts a text where a template would be cut, whatever stands between the braces: for texts in which more than the name
    /// of a variable may stand there.
    ///
    /// ```
    /// use keyward_config_values::{Piece, Template};
    ///
    /// let pieces: Vec<_> = Template::pieces("10.${n + 1}").collect();
    /// assert_eq!(pieces[1], Piece::Braces { inner: "n + 1", closed: true, offset: 3 });
    /// ```
    pub fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
            let offset = at;
            let Some(behind) = rest.strip_prefix("${") else {
                let text = rest.split_once("${").map_or(rest, |(literal, _)| literal);
                at += text.len();
                return Some(Piece::Literal { text, offset });
            };
            let (inner, closed) = behind.split_once('}').map_or((behind, false), |(inner, _)| (inner, true));
            at += "${".len() + inner.len() + usize::from(closed);
            Some(Piece::Braces { inner, closed, offset })
        })
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether there is a variable in it.
    pub fn has_variables(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Variable(..)))
    }

    /// The parts in order; literal ones are not empty, and no two of them are neighbours.
    pub fn parts(&self) -> impl Iterator<Item = TemplatePart<'_>> {
        self.parts.iter().map(|part| match part {
            Part::Literal(text) => TemplatePart::Literal(text),
            Part::Variable(name, offset) => TemplatePart::Variable { name, offset: *offset },
        })
    }

    /// The variables in the order of the text, one that is used twice twice.
    pub fn variables(&self) -> impl Iterator<Item = &VariableName> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Variable(name, _) => Some(name),
        })
    }

    /// The text with the values in the places of the variables.
    ///
    /// # Errors
    /// The first variable without a value.
    pub fn bind<'v>(&self, mut value: impl FnMut(&VariableName) -> Option<&'v str>) -> Result<String, Undefined> {
        let mut bound = String::with_capacity(self.text.len());
        for part in &self.parts {
            bound.push_str(part.text(&mut value)?);
        }
        Ok(bound)
    }

    /// Whether [`bind`](Self::bind) would give this text; allocates nothing.
    ///
    /// # Errors
    /// The first variable without a value, even where the text before it does not match already: an answer does not
    /// depend on what is compared.
    pub fn matches<'v>(
        &self,
        text: &str,
        mut value: impl FnMut(&VariableName) -> Option<&'v str>,
    ) -> Result<bool, Undefined> {
        let mut rest = Some(text);
        for part in &self.parts {
            let part = part.text(&mut value)?;
            rest = rest.and_then(|rest| rest.strip_prefix(part));
        }
        Ok(rest.is_some_and(str::is_empty))
    }
}

impl Part {
    fn text<'a, 'v: 'a>(
        &'a self,
        value: &mut impl FnMut(&VariableName) -> Option<&'v str>,
    ) -> Result<&'a str, Undefined> {
        match self {
            Self::Literal(text) => Ok(text),
            Self::Variable(name, _) => {
                value(name).filter(|value| !value.is_empty()).ok_or_else(|| Undefined { name: name.clone() })
            }
        }
    }
}

impl FromStr for Template {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_LENGTH {
            return Err(Error::TemplateTooLong { input: excerpt(text), length: text.len() });
        }
        let mut parts = Vec::new();
        for piece in Self::pieces(text) {
            parts.push(match piece {
                Piece::Literal { text, .. } => Part::Literal(text.to_owned()),
                Piece::Braces { inner, closed, offset } => {
                    let name = inner.parse::<VariableName>().ok().filter(|_| closed);
                    let name = name.ok_or_else(|| Error::TemplateVariable {
                        input: excerpt(text),
                        found: excerpt(inner),
                        position: text.get(..offset).map_or(0, |before| before.chars().count()) + 1,
                    })?;
                    Part::Variable(name, offset)
                }
            });
        }
        let template = Self { text: text.to_owned(), parts };
        if template.variables().count() > MAX_VARIABLES {
            return Err(Error::TemplateTooMany { input: excerpt(text) });
        }
        Ok(template)
    }
}

impl TryFrom<String> for Template {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn template(text: &str) -> Template {
        text.parse().unwrap()
    }

    #[test]
    fn parts_are_where_they_stand() {
        let text = template("é${site}-${spiffe-id.path[1]}$x$");
        let parts: Vec<_> = text.parts().collect();
        let (site, path) = ("site".parse().unwrap(), "spiffe-id.path[1]".parse().unwrap());
        assert_eq!(
            parts,
            [
                TemplatePart::Literal("é"),
                TemplatePart::Variable { name: &site, offset: 2 },
                TemplatePart::Literal("-"),
                TemplatePart::Variable { name: &path, offset: 10 },
                TemplatePart::Literal("$x$"),
            ]
        );
        assert!(!template("a $ b }{").has_variables());
        assert_eq!(template("").parts().count(), 0);
    }

    #[test]
    fn what_is_refused_says_where() {
        for (bad, text) in [
            ("${", "`${`: at position 1, `` is not the name of a variable; write for example `${site}`"),
            ("é ${a b}", "`é ${a b}`: at position 3, `a b` is not the name of a variable; write for example `${site}`"),
            ("${a}${b", "`${a}${b`: at position 5, `b` is not the name of a variable; write for example `${site}`"),
            ("${${a}}", "`${${a}}`: at position 1, `${a` is not the name of a variable; write for example `${site}`"),
        ] {
            assert_eq!(bad.parse::<Template>().unwrap_err().to_string(), text);
        }
        let many = "${a}".repeat(33).parse::<Template>().unwrap_err().to_string();
        assert!(many.ends_with(": more than 32 variables"), "{many}");
        let long = "x".repeat(4097).parse::<Template>().unwrap_err().to_string();
        assert!(long.ends_with(": 4097 bytes; write at most 4096"), "{long}");
    }

    #[test]
    fn a_missing_value_is_found_behind_text_that_differs() {
        let text = template("a${b}");
        assert!(text.matches("zz", |_| None).is_err());
        assert_eq!(text.matches("zz", |_| Some("z")), Ok(false));
        assert_eq!(text.matches("az", |_| Some("z")), Ok(true));
        assert_eq!(text.matches("azz", |_| Some("z")), Ok(false));
    }

    proptest! {
        #[test]
        fn what_parses_is_written_the_same(text in "([a-c]{0,3}|\\$|\\{|\\}|\\$\\{[a-c.]{0,3}\\}){0,6}") {
            if let Ok(read) = text.parse::<Template>() {
                prop_assert_eq!(read.to_string(), text.clone());
                prop_assert_eq!(serde_json::from_str::<Template>(&serde_json::to_string(&read).unwrap()).unwrap(), read);
            }
        }

        #[test]
        fn matching_is_binding_and_comparing(
            text in "([a*/]{0,2}|\\$\\{[xy]\\}){0,4}", x in "[a*/$]{1,3}", y in "[a*/$]{1,3}", other in "[a*/]{0,5}",
        ) {
            let read: Template = text.parse().unwrap();
            let value = |name: &VariableName| Some(if name.as_str() == "x" { x.as_str() } else { y.as_str() });
            let bound = read.bind(value).unwrap();
            prop_assert_eq!(&bound, &text.replace("${x}", "\u{1}").replace("${y}", &y).replace('\u{1}', &x));
            prop_assert!(read.matches(&bound, value).unwrap());
            prop_assert_eq!(read.matches(&other, value).unwrap(), other == bound);
        }
    }
}
