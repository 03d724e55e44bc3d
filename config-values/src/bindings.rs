//! Values of variables.

use std::collections::BTreeMap;
use std::sync::Arc;

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
pub struct Bindings {
    own: BTreeMap<VariableName, String>,
    /// What holds where `own` says nothing.
    base: Option<Arc<Bindings>>,
}

impl Bindings {
    /// None of its own, over others that it shares: what is set here takes their place.
    ///
    /// ```
    /// # use keyward_config_values::Bindings;
    /// let mut tenant = Bindings::default();
    /// tenant.set("region".parse()?, "eu");
    /// let mut caller = Bindings::over(tenant.into());
    /// caller.set("approle".parse()?, "payments");
    /// assert_eq!(caller.get(&"region".parse()?), Some("eu"));
    /// # Ok::<(), keyward_config_values::Error>(())
    /// ```
    #[must_use]
    pub fn over(base: Arc<Bindings>) -> Self {
        Self { own: BTreeMap::new(), base: Some(base) }
    }

    /// Gives a variable a value and answers the one that it had.
    pub fn set(&mut self, name: VariableName, value: impl Into<String>) -> Option<String> {
        let inherited = self.base.as_ref().and_then(|base| base.get(&name)).map(str::to_owned);
        self.own.insert(name, value.into()).or(inherited)
    }

    /// The value of a variable.
    pub fn get(&self, name: &VariableName) -> Option<&str> {
        match self.own.get(name) {
            Some(value) => Some(value),
            None => self.base.as_ref()?.get(name),
        }
    }

    /// The variables with their values, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&VariableName, &str)> {
        let mut all: BTreeMap<&VariableName, &str> = BTreeMap::new();
        let mut layer = Some(self);
        while let Some(bindings) = layer {
            for (name, value) in &bindings.own {
                all.entry(name).or_insert(value);
            }
            layer = bindings.base.as_deref();
        }
        all.into_iter()
    }
}

impl Extend<(VariableName, String)> for Bindings {
    fn extend<I: IntoIterator<Item = (VariableName, String)>>(&mut self, values: I) {
        self.own.extend(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_top_hides_what_is_below() {
        let name = |text: &str| text.parse::<VariableName>().unwrap();
        let mut below = Bindings::default();
        below.set(name("a"), "1");
        below.set(name("b"), "2");
        let mut top = Bindings::over(Arc::new(below));
        assert_eq!(top.set(name("b"), "3").as_deref(), Some("2"));
        assert_eq!(top.set(name("c"), "4"), None);
        let shown: Vec<_> = top.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["a=1", "b=3", "c=4"]);
        assert_eq!((top.get(&name("b")), top.get(&name("a")), top.get(&name("d"))), (Some("3"), Some("1"), None));
    }
}
