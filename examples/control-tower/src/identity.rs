//! What a tenant issues identities with: its trust domain, its issuer, its rings.

use std::{collections::BTreeMap, sync::Arc};

use keyward_approle::JwtSvidGrant;
use keyward_config_values::Name;
use keyward_keys::{Algorithm, Signer as _};
use keyward_spiffe_id::{SpiffeId, TrustDomain};
use keyward_svid::{
    JwkSet, KeyUse, MintRequest, SpiffeSettings, VerificationKey, mint,
    oidc::{Discovery, Issuer},
};
use keyward_transit::{Issuing, Ring, RingSigner};
use time::OffsetDateTime;

use crate::{
    app::App,
    authorities::OWN,
    db::{Db, DbError, Stored},
    http::error::{Answer, ApiError},
    layout, rings,
    store::{Guard, Write},
};

/// The path of the one document that configures issuing.
pub const SETTINGS: &str = "strongbox/authentication/spiffe-settings";

/// What a tenant issues identities with.
pub struct Identity {
    tenant: Name,
    settings: Option<Arc<SpiffeSettings>>,
    issuing: Arc<Issuing>,
    rings: BTreeMap<Name, Arc<Ring>>,
    stored_trust_domain: Option<TrustDomain>,
}

/// A minted JWT-SVID.
pub struct Minted {
    /// The compact token.
    pub jwt_svid: String,
    /// The key that signed it.
    pub kid: String,
}

impl Identity {
    /// Reads it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn load(db: &Db, tenant: &Name) -> Result<Self, DbError> {
        let settings = db
            .load(&layout::document(tenant, SETTINGS), |bytes| serde_json::from_slice::<SpiffeSettings>(bytes))
            .await?;
        let issuing = issuing(db, tenant).await?.map_or_else(Arc::default, |stored| stored.value);
        let mut rings = BTreeMap::new();
        for name in issuing.rings() {
            if let Some(ring) = ring(db, tenant, name).await? {
                rings.insert(name.clone(), ring.value);
            }
        }
        let stored_trust_domain = db
            .load(&layout::trust_domain(tenant), |bytes| {
                std::str::from_utf8(bytes)
                    .map_err(|error| error.to_string())?
                    .parse::<TrustDomain>()
                    .map_err(|error| error.to_string())
            })
            .await?
            .map(|stored| (*stored.value).clone());
        Ok(Self {
            tenant: tenant.clone(),
            settings: settings.map(|stored| stored.value),
            issuing,
            rings,
            stored_trust_domain,
        })
    }

    /// The id of the tenant.
    pub fn tenant(&self) -> &Name {
        &self.tenant
    }

    /// The same with other settings, as they are to be.
    #[must_use]
    pub fn with_settings(self, settings: Option<SpiffeSettings>) -> Self {
        Self { settings: settings.map(Arc::new), ..self }
    }

    /// The authority that is to issue X.509-SVIDs.
    ///
    /// # Errors
    /// None: its name is one.
    pub fn issuing_authority(&self) -> Answer<Name> {
        match self.settings.as_ref().and_then(|settings| settings.issuing_ca.clone()) {
            Some(configured) => Ok(configured),
            None => OWN.parse().map_err(ApiError::internal),
        }
    }

    /// A ring that the issuing state names.
    pub fn ring(&self, name: &Name) -> Option<&Ring> {
        self.rings.get(name).map(|ring| &**ring)
    }

    /// Whether `spiffe-settings` names a signing key.
    pub fn is_configured(&self) -> bool {
        self.settings.is_some()
    }

    /// The trust domain: as configured, else as it was when the first identity was issued, else what the external URL gives.
    ///
    /// # Errors
    /// The external URL's host is an IPv6 address, which is no trust domain.
    pub fn trust_domain(&self, app: &App, tenant_name: &Name) -> Answer<TrustDomain> {
        if let Some(configured) = self.settings.as_ref().and_then(|settings| settings.trust_domain.clone()) {
            return Ok(configured);
        }
        match &self.stored_trust_domain {
            Some(stored) => Ok(stored.clone()),
            None => default_trust_domain(app, tenant_name),
        }
    }

    /// The trust domain that the first SVID fixed.
    pub fn stored_trust_domain(&self) -> Option<&TrustDomain> {
        self.stored_trust_domain.as_ref()
    }

    /// The issuer of the tenant's tokens.
    ///
    /// # Errors
    /// The external URL is no issuer.
    pub fn issuer(&self, app: &App) -> Answer<Issuer> {
        match self.settings.as_ref().and_then(|settings| settings.jwt_issuer.clone()) {
            Some(configured) => Ok(configured),
            None => own_issuer(app, &self.tenant),
        }
    }

    /// Whether the settings name the trust domain.
    pub fn names_trust_domain(&self) -> bool {
        self.settings.as_ref().is_some_and(|settings| settings.trust_domain.is_some())
    }

    /// The version that signs now.
    ///
    /// # Errors
    /// 422 with what is missing.
    pub fn signer(&self, now: OffsetDateTime) -> Answer<RingSigner> {
        self.issuing.select(|name| self.ring(name), now).map_err(|error| match error.kind() {
            keyward_keys::ErrorKind::Unavailable => ApiError::unavailable(error.to_string()),
            _ => ApiError::inapplicable(format!("no JWT-SVID can be issued: {error}")),
        })
    }

    /// Mints what a token grants.
    ///
    /// # Errors
    /// 422 when issuing is not configured, or the key cannot sign such a token.
    pub fn mint(&self, app: &App, subject: &SpiffeId, grant: JwtSvidGrant<'_>, now: OffsetDateTime) -> Answer<Minted> {
        if !self.is_configured() {
            return Err(ApiError::inapplicable(format!(
                "the AppRole asks for a JWT-SVID, but `{SETTINGS}` does not exist; create it with `jwt-signing-key`"
            )));
        }
        let signer = self.signer(now)?;
        let lifetime = time::Duration::seconds(grant.expires.unix_timestamp() - now.unix_timestamp());
        let mut request = MintRequest::new(subject.clone(), grant.audiences.iter().map(String::as_str), lifetime)
            .map_err(|error| ApiError::inapplicable(error.to_string()))?
            .with_issuer(self.issuer(app)?.to_string());
        if let Some(end) = signer.verifies_until() {
            request = request.with_not_after(end);
        }
        let token = mint(&signer, &request, now).map_err(|error| ApiError::inapplicable(error.to_string()))?;
        Ok(Minted { jwt_svid: token.as_str().to_owned(), kid: signer.kid().to_owned() })
    }

    /// Adds to a commit what stores the trust domain under which identities are issued, unless it is stored already. No two
    /// tenants have the same.
    ///
    /// # Errors
    /// 409 when another tenant has it.
    pub async fn claim_trust_domain(
        &self,
        app: &App,
        trust_domain: &TrustDomain,
        guards: &mut Vec<Guard>,
        writes: &mut Vec<Write>,
    ) -> Answer<()> {
        if self.stored_trust_domain.as_ref() == Some(trust_domain) {
            return Ok(());
        }
        if !claim(app, &self.tenant, trust_domain).await?.add_to(guards, writes) {
            return Err(ApiError::conflict(format!(
                "the trust domain `{trust_domain}` belongs to another tenant: set another `trust-domain` in `{SETTINGS}`"
            )));
        }
        writes.push(app.db.put(layout::trust_domain(&self.tenant), trust_domain.as_str().as_bytes())?);
        Ok(())
    }

    /// Whether a key that verifies JWT-SVIDs was ever published.
    pub fn ever_published(&self) -> bool {
        self.issuing.ever_published()
    }

    /// When the key set changed by time alone.
    pub fn published_changed_at(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        self.issuing.published_changed_at(|name| self.ring(name), now)
    }

    /// The key set that verifiers read, with the seconds for which they may keep it; `None` before the first key.
    ///
    /// # Errors
    /// A published key that is none.
    pub fn key_set(&self, now: OffsetDateTime) -> Answer<Option<(JwkSet, u64)>> {
        if !self.issuing.ever_published() {
            return Ok(None);
        }
        let mut keys = Vec::new();
        for published in self.issuing.published(|name| self.ring(name), now) {
            keys.push(VerificationKey::from_jwk(&published.jwk).map_err(ApiError::internal)?);
        }
        let max_age = self.issuing.max_age(|name| self.ring(name), now).map_or(0, |age| age.as_secs());
        Ok(Some((JwkSet::new(KeyUse::Signature, keys), max_age)))
    }

    /// The algorithms of the published keys.
    pub fn algorithms(set: &JwkSet) -> Vec<Algorithm> {
        set.keys().iter().filter_map(VerificationKey::algorithm).collect()
    }

    /// The OIDC discovery document, where keys are published.
    ///
    /// # Errors
    /// As [`key_set`](Self::key_set).
    pub fn discovery(&self, app: &App, now: OffsetDateTime) -> Answer<Option<Discovery>> {
        let Some((set, _)) = self.key_set(now)? else { return Ok(None) };
        let issuer = own_issuer(app, &self.tenant)?;
        Discovery::new(issuer, Self::algorithms(&set))
            .map(Some)
            .map_err(|error| ApiError::inapplicable(error.to_string()))
    }
}

/// What it takes that a trust domain is a tenant's alone.
#[must_use]
pub enum Claim {
    /// These, as parts of a commit.
    Free(Guard, [Write; 2]),
    /// Another tenant has it.
    Taken,
}

impl Claim {
    /// Makes it part of a commit; answers whether the trust domain can be had.
    pub fn add_to(self, guards: &mut Vec<Guard>, writes: &mut Vec<Write>) -> bool {
        match self {
            Self::Free(guard, puts) => {
                guards.push(guard);
                writes.extend(puts);
                true
            }
            Self::Taken => false,
        }
    }
}

/// What gives a trust domain to a tenant, until that is removed. No two tenants ever have the same.
///
/// # Errors
/// Those of the store.
pub async fn claim(app: &App, tenant: &Name, trust_domain: &TrustDomain) -> Answer<Claim> {
    let key = layout::trust_domain_owner(trust_domain.as_str());
    let owner = app.db.get(&key).await?;
    if owner.as_ref().is_some_and(|owner| owner.value.as_slice() != tenant.as_str().as_bytes()) {
        return Ok(Claim::Taken);
    }
    let guard = owner.map_or_else(|| Guard::Absent(key.clone()), |owner| owner.guard());
    let index = Write::Put(layout::owns_trust_domain(tenant, trust_domain.as_str()), Vec::new());
    Ok(Claim::Free(guard, [app.db.put(key, tenant.as_str().as_bytes())?, index]))
}

/// Whether a trust domain is the tower's host or below it: the default of a tenant, or it could be.
pub fn is_of_tower(app: &App, trust_domain: &TrustDomain) -> bool {
    let rest = trust_domain.as_str().strip_suffix(app.external_url.host());
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// `<external-url>/<tenant-id>`.
///
/// # Errors
/// The external URL is no issuer.
pub fn own_issuer(app: &App, tenant: &Name) -> Answer<Issuer> {
    format!("{}/{tenant}", app.external_url.as_str().trim_end_matches('/'))
        .parse()
        .map_err(|error| ApiError::internal(format!("the external URL is no issuer: {error}")))
}

/// The host of the external URL for the tenant `default`, `<tenant>.<host>` for the others.
///
/// # Errors
/// 422 when that is no trust domain.
pub fn default_trust_domain(app: &App, tenant_name: &Name) -> Answer<TrustDomain> {
    let host = app.external_url.host();
    let text = match tenant_name.as_str() {
        crate::tenant::DEFAULT => host.to_owned(),
        name => format!("{name}.{host}"),
    };
    text.parse().map_err(|_| {
        ApiError::inapplicable(format!(
            "the host of the external URL, `{host}`, is no trust domain: set `trust-domain` in `{SETTINGS}`"
        ))
    })
}

/// The issuing state of a tenant.
///
/// # Errors
/// Those of the store.
pub async fn issuing(db: &Db, tenant: &Name) -> Result<Option<Stored<Arc<Issuing>>>, DbError> {
    db.load(&layout::issuing(tenant), Issuing::from_record).await
}

/// A ring, its keys parsed.
///
/// # Errors
/// Those of the store.
pub async fn ring(db: &Db, tenant: &Name, name: &Name) -> Result<Option<Stored<Arc<Ring>>>, DbError> {
    rings::load(db, tenant, name).await
}
