//! The bundles of many trust domains.

use std::collections::BTreeMap;
use std::fmt;

use keyward_spiffe_id::{TrustDomain, TrustDomainRef};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::{Bundle, Error, read};
use crate::json::{Fault, Skip, Text, all_different, duplicate, excerpt};
use crate::jwks::{Document, DocumentSeed, explain};

/// The longest bundle map that is read: 8 MiB.
pub const MAX_MAP_BYTES: usize = 8 * 1024 * 1024;

/// The largest number of trust domains in a bundle map that is read.
pub const MAX_BUNDLES: usize = 1024;

/// Bundles by trust domain, never merged: each verifies the identities of its own (SPIFFE Federation §4.2).
///
/// It is written and read as a bundle map (SPIFFE Trust Domain and Bundle §5), which has no refresh hints: how often the
/// map is fetched is not for a bundle in it to say.
///
/// ```
/// use keyward_svid::bundle::BundleSet;
///
/// let map = br#"{"trust_domains": {"a.example": {"keys": []}, "b.example": {"spiffe_sequence": 4, "keys": []}}}"#;
/// let bundles = BundleSet::from_json(map)?;
/// assert_eq!(bundles.len(), 2);
///
/// let twice = br#"{"trust_domains": {"a.example": {"keys": []}, "a.example": {"keys": []}}}"#;
/// let error = BundleSet::from_json(twice).unwrap_err();
/// assert_eq!(error.to_string(), "`a.example` stands twice in the bundle map");
/// # Ok::<(), keyward_svid::bundle::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BundleSet(BTreeMap<TrustDomain, Bundle>);

impl BundleSet {
    /// Reads a bundle map: all of it or nothing.
    ///
    /// # Errors
    /// When the document is longer than [`MAX_MAP_BYTES`], not a JSON object, without an object `trust_domains`, has a
    /// member or trust domain twice, a name that is no trust domain, more than [`MAX_BUNDLES`], or a bundle that
    /// [`Bundle::from_json`] would refuse.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        if json.len() > MAX_MAP_BYTES {
            return Err(Error::MapTooLong { length: json.len(), limit: MAX_MAP_BYTES });
        }
        let mut notes = Notes::default();
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let documents = MapSeed(&mut notes)
            .deserialize(&mut deserializer)
            .and_then(|documents| deserializer.end().map(|()| documents))
            .map_err(|error| notes.explain(&error))?;
        let mut set = Self::default();
        for (trust_domain, document) in documents {
            let bundle = read::from_document(trust_domain.clone(), document)
                .map_err(|error| Error::MapBundle { trust_domain, source: Box::new(error) })?;
            set.insert(Bundle { refresh_hint: None, ..bundle });
        }
        Ok(set)
    }

    /// Writes the bundle map.
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists of them always become JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The bundle of this trust domain.
    pub fn get<'t>(&self, trust_domain: impl Into<TrustDomainRef<'t>>) -> Option<&Bundle> {
        self.0.get(trust_domain.into().as_str())
    }

    /// Puts a bundle in and answers the one that was there before. Which of the two is newer is not looked at, see
    /// [`Bundle::accept_newer`].
    pub fn insert(&mut self, bundle: Bundle) -> Option<Bundle> {
        self.0.insert(bundle.trust_domain().clone(), bundle)
    }

    /// Takes the bundle of this trust domain out: nothing of it is verified any more.
    pub fn remove<'t>(&mut self, trust_domain: impl Into<TrustDomainRef<'t>>) -> Option<Bundle> {
        self.0.remove(trust_domain.into().as_str())
    }

    /// Puts a newer set in the place of this one. Trust domains that it lacks are gone.
    ///
    /// # Errors
    /// [`Error::Rollback`] when a bundle in it is older than the one here; then nothing changes.
    pub fn replace(&mut self, newer: Self) -> Result<(), Error> {
        for (trust_domain, bundle) in &newer.0 {
            if let Some(held) = self.0.get(trust_domain) {
                held.change_to(bundle)?;
            }
        }
        *self = newer;
        Ok(())
    }

    /// All bundles, in the order of their trust domains.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Bundle> + DoubleEndedIterator {
        self.0.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Bundle> for BundleSet {
    /// Of two bundles for one trust domain the later is kept.
    fn from_iter<I: IntoIterator<Item = Bundle>>(bundles: I) -> Self {
        Self(bundles.into_iter().map(|bundle| (bundle.trust_domain().clone(), bundle)).collect())
    }
}

impl Serialize for BundleSet {
    /// The document of SPIFFE Trust Domain and Bundle §5.1, without refresh hints.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_struct("BundleSet", 1)?;
        let bundles: BTreeMap<&str, Bundle> = self
            .0
            .iter()
            .map(|(trust_domain, bundle)| (trust_domain.as_str(), Bundle { refresh_hint: None, ..bundle.clone() }))
            .collect();
        document.serialize_field("trust_domains", &bundles)?;
        document.end()
    }
}

/// What went wrong, beside serde's error.
#[derive(Default)]
struct Notes {
    fault: Option<Fault>,
    error: Option<Error>,
    /// The trust domain whose bundle is being read.
    inside: Option<TrustDomain>,
}

impl Notes {
    fn explain(self, error: &serde_json::Error) -> Error {
        let Self { fault, error: noted, inside } = self;
        match (noted, inside, fault) {
            _ if !error.is_data() => Error::MapJson { line: error.line(), column: error.column() },
            (Some(noted), ..) => noted,
            (None, Some(trust_domain), fault) => {
                Error::MapBundle { trust_domain, source: Box::new(Error::Keys(explain(error, fault))) }
            }
            (None, None, Some(Fault::Duplicate(name))) => Error::MapDuplicate { name },
            (None, None, Some(_)) => Error::NoTrustDomains,
            (None, None, None) => Error::MapJson { line: error.line(), column: error.column() },
        }
    }
}

/// The outer object.
struct MapSeed<'n>(&'n mut Notes);

impl<'de> DeserializeSeed<'de> for MapSeed<'_> {
    type Value = BTreeMap<TrustDomain, Document>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MapSeed<'_> {
    type Value = BTreeMap<TrustDomain, Document>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bundle map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut bundles = None;
        let mut others = Vec::new();
        while let Some(name) = map.next_key::<Text<'de>>()? {
            if name.0 == "trust_domains" {
                if bundles.is_some() {
                    return Err(duplicate("trust_domains", &mut self.0.fault));
                }
                self.0.fault = Some(Fault::Type("trust_domains"));
                bundles = Some(map.next_value_seed(TrustDomains(&mut *self.0))?);
                self.0.fault = None;
            } else {
                map.next_value_seed(Skip(&mut self.0.fault))?;
                others.push(name);
            }
        }
        all_different(&others, &mut self.0.fault)?;
        bundles.ok_or_else(|| {
            self.0.fault = Some(Fault::Type("trust_domains"));
            A::Error::custom("no trust domains")
        })
    }
}

struct TrustDomains<'n>(&'n mut Notes);

impl<'de> DeserializeSeed<'de> for TrustDomains<'_> {
    type Value = BTreeMap<TrustDomain, Document>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TrustDomains<'_> {
    type Value = BTreeMap<TrustDomain, Document>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bundles by trust domain")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut bundles = BTreeMap::new();
        while let Some(name) = map.next_key::<Text<'de>>()? {
            let trust_domain = match name.0.parse::<TrustDomain>() {
                Ok(trust_domain) if bundles.contains_key(&trust_domain) => {
                    Err(Error::MapDuplicate { name: excerpt(&name.0) })
                }
                Ok(_) if bundles.len() == MAX_BUNDLES => Err(Error::MapTooMany { limit: MAX_BUNDLES }),
                Ok(trust_domain) => Ok(trust_domain),
                Err(error) => Err(Error::MapName(error)),
            };
            let trust_domain = trust_domain.map_err(|error| {
                self.0.error = Some(error);
                A::Error::custom("refused")
            })?;
            self.0.fault = None;
            self.0.inside = Some(trust_domain.clone());
            let document = map.next_value_seed(DocumentSeed(&mut self.0.fault))?;
            self.0.inside = None;
            bundles.insert(trust_domain, document);
        }
        Ok(bundles)
    }
}
