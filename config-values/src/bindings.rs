//! Values of variables.

use std::collections::BTreeMap;

use crate::VariableName;

/// Values of variables. Later ones take the place of earlier ones, so that what is narrower is put in last.
///
/// ```
/// use keyward_config_values::{Bindings, Template};
///
/// let mut bindings = Bindings::default();
/// bindings.set("region".parse()?, "eu");
/// bindings.set("region".parse()?, "eu-north"); // of the site, which is narrower than the tenant
///
/// let template: Template = "gateway.${region}".parse()?;
/// assert_eq!(template.bind(|name| bindings.get(name)).unwrap(), "gateway.eu-north");
/// # Ok::<(), keyward_config_values::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bindings(BTreeMap<VariableName, String>);

impl Bindings {
    /// Gives a variable a value and answers the one that it had.
    pub fn set(&mut self, name: VariableName, value: impl Into<String>) -> Option<String> {
        self.0.insert(name, value.into())
    }

    /// The value of a variable.
    pub fn get(&self, name: &VariableName) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The variables with their values, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&VariableName, &str)> {
        self.0.iter().map(|(name, value)| (name, value.as_str()))
    }
}
