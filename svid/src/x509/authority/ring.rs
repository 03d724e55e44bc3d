//! The life of an authority: a key ring, and a certificate for each of its versions.

mod issuing;
mod record;
mod view;

use std::sync::Arc;

use keyward_config_values::{Duration, Name};
use keyward_keys::{Algorithm, KeyType, PrivateKey};
use keyward_spiffe_id::{TrustDomain, TrustDomainRef};
use keyward_transit::{
    AutoRotate, CLOCK_SKEW, Cipher, Command, Compromised, FirstActivation, Material, Overlap, Replaced, Ring,
    RingConfig, RingSigner, Schedule,
};
use rand_core::CryptoRng;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use time::OffsetDateTime;

use super::Error;
use super::config::CaConfig;
use super::issuer::Issuer;
use super::revocation_list::RevocationList;
use super::root::AuthorityRequest;
use super::signing::Authority;
use super::subject::Subject;
use crate::x509::purpose::Purpose;

pub use issuing::IssuingAuthorities;
pub use view::AuthorityVersion;

/// The longest life of a leaf below an authority for clients.
pub const LONGEST_CLIENT_TTL: Duration = Duration::DAY.saturating_mul(30);

/// The shortest `ttl` of an authority for clients: its versions overlap for longer than a leaf lives.
pub const MIN_CLIENT_AUTHORITY_TTL: Duration = Duration::DAY.saturating_mul(90);

/// An authority that renews itself: a [`Ring`] of keys, which is nowhere reachable as one, and a self-signed certificate for
/// each version.
///
/// A version is prepared (published for a day, so that every verifier has it), then active (it signs), then retired:
/// it stays published until nothing that it signed is valid any more. The next one is made six days before the
/// certificate ends. As with a ring, the caller does what [`advance`](Self::advance) asks for, stores the state guarded
/// by a revision of its own, uses a change only once it is stored, and asks again at
/// [`next_deadline`](Self::next_deadline). Everything said of a [`Ring`] about time is true here.
///
/// ```
/// use keyward_keys::PrivateKey;
/// use keyward_svid::x509::authority::{AuthorityRing, CaConfig, LeafRequest};
/// use keyward_transit::{Command, FirstActivation};
/// use time::{Duration, macros::datetime};
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
///
/// let config: CaConfig = serde_json::from_str(r#"{"name": "edge", "ttl": "90d"}"#)?;
/// let now = datetime!(2026-03-01 00:00 UTC);
/// let mut ring = AuthorityRing::new(config, "example.org".parse()?, FirstActivation::AtOnce, now)?;
/// for command in ring.advance(now) {
///     if let Command::Generate { version, .. } = command {
///         ring.install(version, PrivateKey::generate(ring.config().key_type)?, &mut rng, now)?;
///         // … store the ring here …
///     }
/// }
/// assert_eq!(ring.published(now).len(), 1);
///
/// let key = PrivateKey::generate(ring.config().key_type)?;
/// let request = LeafRequest::new("spiffe://example.org/db".parse()?, key.public_key(), Duration::HOUR)?;
/// let svid = ring.authority(now)?.issue(&request, &mut rng, now)?;
/// assert_eq!(svid.not_after(), now + Duration::HOUR);
/// assert_eq!(ring.next_deadline(now), Some(now + Duration::days(84)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct AuthorityRing {
    config: CaConfig,
    /// `config.subject-…`, checked.
    subject: Subject,
    trust_domain: TrustDomain,
    purpose: Purpose,
    ring: Ring,
    /// One for each version, in their order.
    issuers: Vec<Arc<Issuer>>,
}

impl AuthorityRing {
    /// An authority without versions. [`advance`](Self::advance) asks for the first one, which signs at once only where
    /// no verifier holds a bundle of the trust domain yet.
    ///
    /// # Errors
    /// Those of [`CaConfig::validate`].
    pub fn new(
        config: CaConfig,
        trust_domain: TrustDomain,
        first: FirstActivation,
        now: OffsetDateTime,
    ) -> Result<Self, Error> {
        Self::with_purpose(config, trust_domain, Purpose::Svid, first, now)
    }

    /// An authority for clients alone ([`Purpose::Client`]), whose leaves live for up to [`LONGEST_CLIENT_TTL`]: versions
    /// that were superseded stay published for so long.
    ///
    /// # Errors
    /// Those of [`CaConfig::validate`]; [`Error::AuthorityTtl`] for a `ttl` below [`MIN_CLIENT_AUTHORITY_TTL`].
    pub fn for_clients(
        config: CaConfig,
        trust_domain: TrustDomain,
        first: FirstActivation,
        now: OffsetDateTime,
    ) -> Result<Self, Error> {
        Self::with_purpose(config, trust_domain, Purpose::Client, first, now)
    }

    fn with_purpose(
        config: CaConfig,
        trust_domain: TrustDomain,
        purpose: Purpose,
        first: FirstActivation,
        now: OffsetDateTime,
    ) -> Result<Self, Error> {
        let subject = validate(&config, purpose)?;
        let ring = Ring::new(ring_config(&config, purpose), first, now)?;
        Ok(Self { config, subject, trust_domain, purpose, ring, issuers: Vec::new() })
    }

    /// What everything that it issues is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The configuration.
    pub fn config(&self) -> &CaConfig {
        &self.config
    }

    /// The name.
    pub fn name(&self) -> &Name {
        &self.config.name
    }

    /// The trust domain whose IDs it issues, which cannot change.
    pub fn trust_domain(&self) -> TrustDomainRef<'_> {
        self.trust_domain.borrowed()
    }

    /// Takes over an edited configuration and answers whether it differs. Subject and `ttl` are those of the versions made
    /// later.
    ///
    /// # Errors
    /// Those of [`CaConfig::validate`]; [`Error::Ring`] when the name or the key type would change.
    pub fn reconfigure(&mut self, config: CaConfig, now: OffsetDateTime) -> Result<bool, Error> {
        let subject = validate(&config, self.purpose)?;
        if config.key_type != self.config.key_type {
            return Err(Error::Ring(keyward_transit::Error::Immutable {
                field: "key-type",
                from: self.config.key_type.to_string(),
                to: config.key_type.to_string(),
            }));
        }
        self.ring.reconfigure(ring_config(&config, self.purpose), now)?;
        let changed = config != self.config;
        self.subject = subject;
        self.config = config;
        Ok(changed)
    }

    /// What is to be done now: see [`Ring::advance`]. [`Command::Generate`] is answered by [`install`](Self::install),
    /// [`Command::Destroy`] by [`destroy`](Self::destroy).
    pub fn advance(&self, now: OffsetDateTime) -> Vec<Command> {
        let mut commands = self.ring.advance(now);
        let asked = commands.iter().any(|command| matches!(command, Command::Generate { .. }));
        if !asked && self.renewal_due().is_some_and(|due| due <= self.ring.effective(now)) {
            // Not while the next one is there already.
            commands.extend(self.ring.rotate(now));
        }
        commands
    }

    /// When to call [`advance`](Self::advance) again: see [`Ring::next_deadline`].
    pub fn next_deadline(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        if !self.advance(now).is_empty() {
            return Some(now);
        }
        let renewal = self.renewal_due().filter(|due| *due > self.ring.effective(now));
        self.ring.next_deadline(now).into_iter().chain(renewal).min()
    }

    /// Asks for a new version before its time: see [`Ring::rotate`].
    ///
    /// # Errors
    /// [`Error::Ring`] while a version is pending.
    pub fn rotate(&self, now: OffsetDateTime) -> Result<Command, Error> {
        Ok(self.ring.rotate(now)?)
    }

    /// Takes in a key that was made for a new version, of the type that [`config`](Self::config) says, and makes its
    /// certificate, which lives for `ttl` from now. Once the state is stored, [`published`](Self::published) has it.
    ///
    /// # Errors
    /// [`Error::Ring`] as [`Ring::install`]; [`Error::Keys`] when the key does not sign.
    pub fn install(
        &mut self,
        version: u32,
        key: PrivateKey,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Command, Error> {
        let issuer = self.certify(&key, rng, now)?;
        let command = self.ring.install(version, Material::from_private_key(key), now)?;
        self.issuers.push(Arc::new(issuer));
        Ok(command)
    }

    /// Asks for the rotation that ends a compromised key: see [`Ring::rotate_compromised`].
    pub fn rotate_compromised(&self) -> Command {
        self.ring.rotate_compromised()
    }

    /// Takes in the key that [`rotate_compromised`](Self::rotate_compromised) asked for: once the state is stored, its version
    /// is published and signs, and the compromised ones are out of the published set, with everything that they signed.
    /// Nothing overlaps: see [`Ring::install_compromised`].
    ///
    /// # Errors
    /// As [`install`](Self::install), but for a pending version.
    pub fn install_compromised(
        &mut self,
        version: u32,
        key: PrivateKey,
        compromised: Compromised,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<Replaced, Error> {
        let issuer = self.certify(&key, rng, now)?;
        let material = Material::from_private_key(key);
        let replaced = self.ring.install_compromised(version, material, compromised, now)?;
        self.issuers.push(Arc::new(issuer));
        Ok(replaced)
    }

    /// Destroys the key of a version that is over, as [`Command::Destroy`] asked. Its certificate stays on record.
    ///
    /// # Errors
    /// [`Error::Ring`] unless it is over.
    pub fn destroy(&mut self, version: u32, now: OffsetDateTime) -> Result<(), Error> {
        Ok(self.ring.destroy(version, now)?)
    }

    /// Raises the highest time stored: see [`Ring::observe`].
    pub fn observe(&mut self, now: OffsetDateTime) -> bool {
        self.ring.observe(now)
    }

    /// The active version, ready to issue. What it issues ends before its certificate leaves the published set.
    ///
    /// Use it for what is issued now and ask again; it does not notice a rotation.
    ///
    /// # Errors
    /// [`Error::Ring`] while no version is active.
    pub fn authority(&self, now: OffsetDateTime) -> Result<Authority<RingSigner>, Error> {
        let signer = self.ring.signer(now)?;
        let issuer = self.issuer(signer.version()).ok_or(Error::NoAuthority)?;
        let end = self.published_until(&signer, now).saturating_sub(CLOCK_SKEW.to_time());
        let authority = Authority::with_issuer(Arc::clone(issuer), signer).with_end(end);
        Ok(match self.purpose {
            Purpose::Svid => authority,
            Purpose::Client => authority.with_longest_ttl(LONGEST_CLIENT_TTL.to_time()),
        })
    }

    /// The revocation list of each version that verifiers know: they look for the one of a certificate's issuer, and each version is an
    /// issuer of its own, with what `list` says of it.
    ///
    /// # Errors
    /// As [`RevocationList::to_der`], and those of `list`.
    pub fn revocation_lists<E: From<Error>>(
        &self,
        list: impl Fn(&Issuer) -> Result<RevocationList, E>,
        now: OffsetDateTime,
    ) -> Result<Vec<CertificateRevocationListDer<'static>>, E> {
        let signers = self.ring.published_signers(now).into_iter();
        let authorities = signers.filter_map(|signer| {
            let issuer = Arc::clone(self.issuer(signer.version())?);
            Some(Authority::with_issuer(issuer, signer))
        });
        authorities.map(|authority| Ok(list(authority.issuer())?.to_der(&authority, now)?)).collect()
    }

    /// The certificates that verifiers need, oldest first: of prepared, active and retired versions.
    pub fn published(&self, now: OffsetDateTime) -> Vec<CertificateDer<'static>> {
        let versions = self.ring.published(now);
        let issuers = versions.iter().filter_map(|published| self.issuer(published.version));
        issuers.map(|issuer| issuer.certificate().clone()).collect()
    }

    /// The latest time by `now` at which what [`published`](Self::published) answers changed; `None` while there is no
    /// version.
    pub fn published_changed_at(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        self.ring.published_changed_at(now)
    }

    /// The longest `max-age`, and the longest refresh hint, with which its certificates may be published: see
    /// [`Overlap::jwks_max_age`].
    pub fn max_age(&self) -> Duration {
        self.ring.max_age()
    }

    /// When the newest certificate needs a successor, whatever `ttl`, by which the ring reckons, is now.
    fn renewal_due(&self) -> Option<OffsetDateTime> {
        Some(self.issuers.last()?.not_after().saturating_sub(margin(self.purpose).to_time()))
    }

    /// The certificate of a version that is created now with this key.
    fn certify(&self, key: &PrivateKey, rng: &mut impl CryptoRng, now: OffsetDateTime) -> Result<Issuer, Error> {
        let at = self.ring.effective(now);
        let algorithm = Algorithm::default_for(key.key_type());
        let not_after = at.saturating_add(self.config.ttl.to_time());
        let mut request = AuthorityRequest::new(self.trust_domain.clone(), self.subject.clone(), not_after);
        request.purpose = self.purpose;
        if self.purpose == Purpose::Client {
            request.path_len = Some(0);
        }
        let unsigned = request.prepare(key.public_key(), algorithm, rng, at)?;
        let signature = key.sign_asn1(algorithm, unsigned.as_bytes())?;
        Issuer::new(algorithm, [unsigned.attach_der(&signature)?])
    }

    fn issuer(&self, version: u32) -> Option<&Arc<Issuer>> {
        self.issuers.get(usize::try_from(version).ok()?.checked_sub(1)?)
    }

    /// Until when the version is published at least: known once its successor is, and before that as if the successor were
    /// made now.
    fn published_until(&self, signer: &RingSigner, now: OffsetDateTime) -> OffsetDateTime {
        let total = self.ring.overlap().unwrap_or_default().total().to_time();
        signer.verifies_until().unwrap_or_else(|| self.ring.effective(now).saturating_add(total))
    }
}

/// A successor is made six days before the end of a certificate and signs a day later; the old version has then nothing
/// to do for two more days, stays published for another two, and leaves a day before its end.
fn ring_config(config: &CaConfig, purpose: Purpose) -> RingConfig {
    let mut ring = RingConfig::new(config.name.clone());
    ring.cipher = cipher(config.key_type);
    let overlap = overlap(purpose);
    let rotate_after = Duration::from_secs(config.ttl.as_secs().saturating_sub(margin(purpose).as_secs()));
    let schedule = Schedule::new(
        rotate_after.unwrap_or(Duration::MIN),
        overlap.activate_after(),
        overlap.deprecate_after(),
        overlap.invalidate_after(),
    );
    // Every `ttl` that is allowed makes a schedule that is.
    ring.auto_rotate = schedule.ok().map(AutoRotate::from);
    ring.distribute = config.distribute.clone();
    ring
}

/// How long before the end of a certificate its successor is made.
fn margin(purpose: Purpose) -> Duration {
    overlap(purpose).total().saturating_add(Duration::DAY)
}

/// How long versions overlap: what signs last is still published when the last leaf ends.
fn overlap(purpose: Purpose) -> Overlap {
    let overlap = Overlap::default();
    match purpose {
        Purpose::Svid => overlap,
        Purpose::Client => overlap.with_invalidate_after(LONGEST_CLIENT_TTL.saturating_add(Duration::DAY)),
    }
}

fn validate(config: &CaConfig, purpose: Purpose) -> Result<Subject, Error> {
    let subject = config.validate()?;
    if purpose == Purpose::Client && config.ttl < MIN_CLIENT_AUTHORITY_TTL {
        let (least, most) = (MIN_CLIENT_AUTHORITY_TTL, CaConfig::MAX_TTL);
        return Err(Error::AuthorityTtl { found: config.ttl, least, most });
    }
    Ok(subject)
}

fn cipher(key_type: KeyType) -> Cipher {
    Cipher::ALL.into_iter().find(|cipher| cipher.key_type() == Some(key_type)).unwrap_or(Cipher::EcdsaP256)
}
