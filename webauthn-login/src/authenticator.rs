//! Who verifies a login: this system, or a provider elsewhere.

use core::fmt;
use core::str::FromStr;

use keyward_config_values::Name;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::Error;
use crate::error::excerpt;

/// Who verifies a login.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Authenticator {
    /// This system, with its own methods.
    Strongbox,
    /// The OpenID provider of that name.
    External(Name),
}

const STRONGBOX: &str = "strongbox";

impl FromStr for Authenticator {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == STRONGBOX {
            return Ok(Self::Strongbox);
        }
        text.parse().map(Self::External).map_err(|_| Error::Authenticator { input: excerpt(text) })
    }
}

impl TryFrom<String> for Authenticator {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Authenticator> for String {
    fn from(authenticator: Authenticator) -> Self {
        authenticator.to_string()
    }
}

impl fmt::Display for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Strongbox => f.write_str(STRONGBOX),
            Self::External(name) => name.fmt(f),
        }
    }
}

/// Whether there is a way to the providers elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connectivity {
    /// There is.
    Online,
    /// There is none: a site that is cut off.
    Offline,
}

/// Why an authenticator cannot be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Unavailable {
    /// There is no way to the provider.
    Offline,
    /// It did not answer lately.
    NotAnswering,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Offline => "this site is cut off from the provider; log in with Strongbox",
            Self::NotAnswering => "the provider does not answer at the moment",
        })
    }
}

/// An authenticator as the page of step 2 shows it. As JSON it has the words of the `reason` beside the code of what is `unavailable`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offered {
    /// Which one.
    pub authenticator: Authenticator,
    /// What it is called on the page.
    pub title: String,
    /// Why it cannot be chosen; `None` when it can.
    pub unavailable: Option<Unavailable>,
}

impl Serialize for Offered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Offered", 4)?;
        fields.serialize_field("authenticator", &self.authenticator)?;
        fields.serialize_field("title", &self.title)?;
        if let Some(why) = self.unavailable {
            fields.serialize_field("unavailable", &why)?;
            fields.serialize_field("reason", &why.to_string())?;
        }
        fields.end()
    }
}

/// A provider as far as the page needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderTitle {
    /// Its name.
    pub name: Name,
    /// What it is called on the page.
    pub title: String,
    /// Whether it answered when it was last asked.
    pub answering: bool,
}

/// What step 2 offers: this system first, then the providers in the order given.
///
/// The list depends on the tenant that was named and on nothing about the user, so that it tells a stranger nothing. For a
/// tenant that does not exist give the providers of the deployment, as for one that has none of its own.
///
/// ```
/// # use keyward_webauthn_login::{Connectivity, ProviderTitle, offered};
/// let entra = ProviderTitle { name: "entra".parse()?, title: "Azure Entra ID".into(), answering: true };
/// let offered = offered(&[entra], Connectivity::Offline);
/// assert_eq!(offered.len(), 2);
/// assert!(offered[0].unavailable.is_none()); // Strongbox always works
/// assert_eq!(
///     offered[1].unavailable.unwrap().to_string(),
///     "this site is cut off from the provider; log in with Strongbox"
/// );
/// # Ok::<(), keyward_config_values::Error>(())
/// ```
#[must_use]
pub fn offered(providers: &[ProviderTitle], connectivity: Connectivity) -> Vec<Offered> {
    let strongbox =
        Offered { authenticator: Authenticator::Strongbox, title: "Strongbox".to_owned(), unavailable: None };
    let external = providers.iter().map(|provider| Offered {
        authenticator: Authenticator::External(provider.name.clone()),
        title: provider.title.clone(),
        unavailable: match (connectivity, provider.answering) {
            (Connectivity::Offline, _) => Some(Unavailable::Offline),
            (Connectivity::Online, false) => Some(Unavailable::NotAnswering),
            (Connectivity::Online, true) => None,
        },
    });
    std::iter::once(strongbox).chain(external).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        for text in ["strongbox", "entra", "avassa-cloud"] {
            let authenticator: Authenticator = text.parse().unwrap();
            assert_eq!(authenticator.to_string(), text);
            assert_eq!(serde_json::to_string(&authenticator).unwrap(), format!("\"{text}\""));
        }
        assert_eq!("strongbox".parse::<Authenticator>().unwrap(), Authenticator::Strongbox);
        assert_eq!(
            "Entra".parse::<Authenticator>().unwrap_err().to_string(),
            "`Entra` is no authenticator; write `strongbox` or the name of a provider"
        );
    }

    #[test]
    fn what_does_not_answer_is_shown_with_the_reason() {
        let provider = |answering| ProviderTitle { name: "entra".parse().unwrap(), title: "Entra".into(), answering };
        assert_eq!(offered(&[provider(true)], Connectivity::Online)[1].unavailable, None);
        assert_eq!(offered(&[provider(false)], Connectivity::Online)[1].unavailable, Some(Unavailable::NotAnswering));
        assert_eq!(offered(&[provider(true)], Connectivity::Offline)[1].unavailable, Some(Unavailable::Offline));
        assert_eq!(offered(&[], Connectivity::Offline).len(), 1);
        let shown = serde_json::to_value(offered(&[provider(false)], Connectivity::Online)).unwrap();
        let (own, entra) = (&shown[0], &shown[1]);
        assert_eq!(*own, serde_json::json!({"authenticator": "strongbox", "title": "Strongbox"}));
        assert_eq!(
            (&entra["unavailable"], &entra["reason"]),
            (&"not-answering".into(), &"the provider does not answer at the moment".into())
        );
    }
}
