//! The rules of one configuration, ready to be asked, with what was made for it.

use keyward_config_values::Name;
use keyward_config_values::record::{self, Format};
use keyward_spiffe_id::{PatternSet, SpiffeId, TrustDomain};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::SpiffeRule;
use crate::{Accessor, Error, Invalid};

const RECORD: &str = "login by SVID";
const FORMAT: u32 = 1;

/// One configuration of logins by SVID: for the SVIDs of one trust domain, its rules, and an instance that
/// tells it from an earlier one of the same name, so that no token outlives the configuration that it was
/// issued by.
#[derive(Debug, Clone)]
pub struct SpiffeAuth {
    record: Record,
    rules: PatternSet<SpiffeRule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Record {
    format: Format<FORMAT>,
    tenant: Name,
    name: Name,
    instance: Accessor,
    trust_domain: TrustDomain,
    rules: Vec<SpiffeRule>,
}

impl SpiffeAuth {
    /// A new configuration of `tenant`.
    ///
    /// # Errors
    ///
    /// The problems of [`SpiffeRule::validate_all`].
    pub fn create(
        tenant: Name,
        name: Name,
        trust_domain: TrustDomain,
        rules: Vec<SpiffeRule>,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, Invalid> {
        SpiffeRule::validate_all(&rules, &trust_domain)?;
        let instance = Accessor::generate(rng);
        Ok(Self::of(Record { format: Format, tenant, name, instance, trust_domain, rules }))
    }

    /// The configuration after its document was replaced. Tokens stay, as far as a rule still admits
    /// whom they were issued to.
    ///
    /// # Errors
    ///
    /// The problems of [`SpiffeRule::validate_all`].
    pub fn reconfigure(&self, trust_domain: TrustDomain, rules: Vec<SpiffeRule>) -> Result<Self, Invalid> {
        SpiffeRule::validate_all(&rules, &trust_domain)?;
        Ok(Self::of(Record { trust_domain, rules, ..self.record.clone() }))
    }

    fn of(record: Record) -> Self {
        let rules = record.rules.iter().map(|rule| (rule.pattern.clone(), rule.clone())).collect();
        Self { record, rules }
    }

    /// The tenant that it belongs to.
    #[must_use]
    pub fn tenant(&self) -> &Name {
        &self.record.tenant
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.record.name
    }

    /// What tells it from an earlier one of the same name.
    #[must_use]
    pub fn instance(&self) -> Accessor {
        self.record.instance
    }

    /// Whose SVIDs it is for.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.record.trust_domain
    }

    /// The rule for a SPIFFE ID: of those that match, the one with the most specific pattern.
    #[must_use]
    pub fn rule(&self, id: &SpiffeId) -> Option<&SpiffeRule> {
        self.rules.get(id).map(|(_, rule)| rule)
    }

    /// The record to be stored.
    ///
    /// # Errors
    ///
    /// [`Error::Record`], which none here can be.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        Ok(record::encode(RECORD, &self.record)?)
    }

    /// Reads a stored record.
    ///
    /// # Errors
    ///
    /// [`Error::Record`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Ok(record::decode(RECORD, FORMAT, bytes).map(Self::of)?)
    }
}

impl PartialEq for SpiffeAuth {
    fn eq(&self, other: &Self) -> bool {
        self.record == other.record
    }
}

impl Eq for SpiffeAuth {}
