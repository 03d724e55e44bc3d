//! X.509-SVIDs of workloads.

use keyward_keys::{PrivateKey, PublicKey, Zeroizing};
use keyward_spiffe_id::SpiffeId;
use rand_core::CryptoRng;
use rustls_pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

use super::issuer::Issuer;
use super::subject::Subject;
use super::tbs::{self, Content, Serial};
use super::unsigned::UnsignedCertificate;
use super::validity::{Validity, check_ttl};
use super::{Error, dns_name};
use crate::x509::certificate::hex;
use crate::x509::encoding::chain_to_pem;

/// The longest life of a leaf, unless an authority is told otherwise: a day.
pub const DEFAULT_LONGEST_TTL: Duration = Duration::DAY;

/// What an X.509-SVID shall say.
///
/// The certificate is exactly what the standard asks for (X509-SVID §2 to §4): one URI, which is the ID, DNS names if given, a critical KeyUsage
/// with digitalSignature alone, cA=false, serverAuth and clientAuth, both key identifiers, and names that are critical
/// where the subject is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafRequest {
    id: SpiffeId,
    public_key: PublicKey,
    ttl: Duration,
    dns_names: Vec<String>,
    subject: Subject,
}

impl LeafRequest {
    /// An SVID for the workload with this ID and key that lives for `ttl`, in whole seconds, or less, when its
    /// authority ends before.
    ///
    /// # Errors
    /// [`Error::NoPath`] for the ID of a trust domain, which no leaf bears (X509-SVID §5.2).
    pub fn new(id: SpiffeId, public_key: &PublicKey, ttl: Duration) -> Result<Self, Error> {
        if id.workload_path().is_err() {
            return Err(Error::NoPath { id });
        }
        Ok(Self { id, public_key: public_key.clone(), ttl, dns_names: Vec::new(), subject: Subject::default() })
    }

    /// Sets DNS names, for TLS clients that know nothing of SPIFFE. They are written in lower case, each once.
    ///
    /// # Errors
    /// [`Error::DnsName`] for what is no host name, a wildcard or an address included; [`Error::Count`] for more than
    /// [`MAX_DNS_NAMES`](super::MAX_DNS_NAMES).
    pub fn with_dns_names(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, Error> {
        self.dns_names = dns_name::check_all(names)?;
        Ok(self)
    }

    /// Sets the subject, which is empty by default. It identifies nobody: for programs that want a name to show.
    #[must_use]
    pub fn with_subject(mut self, subject: Subject) -> Self {
        self.subject = subject;
        self
    }

    /// Whom it shall identify.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The key that it shall bind to the ID.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// How long it shall live.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Its DNS names.
    pub fn dns_names(&self) -> &[String] {
        &self.dns_names
    }
}

impl Issuer {
    /// The first of two steps: the certificate to sign, for a key that only a KMS or an HSM can use. The second is
    /// [`UnsignedSvid::attach`].
    ///
    /// # Errors
    /// Those of [`Authority::issue`](super::Authority::issue), save what a signer may do.
    pub fn prepare(
        &self,
        request: &LeafRequest,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<UnsignedSvid, Error> {
        self.prepare_within(request, self.validity(), DEFAULT_LONGEST_TTL, rng, now)
    }

    pub(super) fn prepare_within(
        &self,
        request: &LeafRequest,
        life: Validity,
        longest: Duration,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<UnsignedSvid, Error> {
        self.check_id(&request.id)?;
        let ttl = check_ttl(request.ttl, longest)?;
        let validity = Validity::within(life, ttl, now)?;
        let key_identifier = tbs::key_identifier(&request.public_key).map_err(|_| Error::KeyMismatch)?;
        let serial = tbs::random_serial(rng);
        let content = Content { head: self.head(), serial: &serial, validity, public_key: &request.public_key };
        let tbs = content.encode(
            |der| request.subject.encode(der, None),
            |der| {
                der.raw(self.leaf_extensions());
                tbs::subject_key(der, &key_identifier);
                let critical = request.subject.is_empty();
                tbs::alternative_names(der, Some(request.id.borrowed()), &request.dns_names, critical);
            },
        )?;
        Ok(UnsignedSvid {
            certificate: UnsignedCertificate::new(tbs, self.algorithm()),
            svid: IssuedSvid {
                id: request.id.clone(),
                public_key: request.public_key.clone(),
                chain: self.presented().to_vec(),
                serial,
                validity,
            },
        })
    }
}

/// An X.509-SVID that waits for its signature.
#[derive(Debug)]
#[must_use = "an unsigned certificate is of no use without its signature"]
pub struct UnsignedSvid {
    pub(super) certificate: UnsignedCertificate,
    /// All but the leaf.
    svid: IssuedSvid,
}

impl UnsignedSvid {
    /// What is to be signed, and with which algorithm.
    pub fn certificate(&self) -> &UnsignedCertificate {
        &self.certificate
    }

    /// Completes it with a signature in the form of JWS: see [`UnsignedCertificate::attach`].
    ///
    /// # Errors
    /// As there.
    pub fn attach(self, signature: &[u8]) -> Result<IssuedSvid, Error> {
        Ok(self.svid.with_leaf(self.certificate.attach(signature)?))
    }

    /// Completes it with a signature in the form of X.509: see [`UnsignedCertificate::attach_der`].
    ///
    /// # Errors
    /// As there.
    pub fn attach_der(self, signature: &[u8]) -> Result<IssuedSvid, Error> {
        Ok(self.svid.with_leaf(self.certificate.attach_der(signature)?))
    }

    pub(super) fn sign(self, signer: &impl keyward_keys::Signer) -> Result<IssuedSvid, Error> {
        Ok(self.svid.with_leaf(self.certificate.sign(signer)?))
    }
}

/// An X.509-SVID, just issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedSvid {
    id: SpiffeId,
    public_key: PublicKey,
    chain: Vec<CertificateDer<'static>>,
    serial: Serial,
    validity: Validity,
}

impl IssuedSvid {
    fn with_leaf(mut self, leaf: CertificateDer<'static>) -> Self {
        self.chain.insert(0, leaf);
        self
    }

    /// Whom it identifies.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The key that it binds to the ID.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// What is presented: the leaf, then intermediates, without the root.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The chain itself.
    pub fn into_chain(self) -> Vec<CertificateDer<'static>> {
        self.chain
    }

    /// The chain as PEM (RFC 7468 §5), leaf first.
    pub fn chain_pem(&self) -> String {
        chain_to_pem(&self.chain)
    }

    /// Its serial number in lower-case hexadecimal.
    pub fn serial(&self) -> String {
        hex(&self.serial)
    }

    /// The first second of its life.
    pub fn not_before(&self) -> OffsetDateTime {
        self.validity.not_before
    }

    /// The last second of its life.
    pub fn not_after(&self) -> OffsetDateTime {
        self.validity.not_after
    }

    /// Joins it with the private key, where that was made for the caller.
    ///
    /// # Errors
    /// [`Error::KeyMismatch`] when the key is not its own.
    pub fn with_key(self, key: PrivateKey) -> Result<KeyedSvid, Error> {
        if *key.public_key() != self.public_key {
            return Err(Error::KeyMismatch);
        }
        Ok(KeyedSvid { svid: self, key })
    }
}

/// An X.509-SVID with its private key, made for a caller that brought none. `Debug` shows nothing of the key.
///
/// ```
/// # use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
/// # use keyward_svid::x509::authority::{Authority, AuthorityRequest, LeafRequest, Subject};
/// # use time::{Duration, OffsetDateTime};
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// # let now = OffsetDateTime::from_unix_timestamp(1_800_000_000)?;
/// # let signer = KeySigner::new(PrivateKey::generate(KeyType::EcdsaP256)?, Algorithm::Es256, None)?;
/// # let root = signer.public_key().clone();
/// # let request = AuthorityRequest::new("example.org".parse()?, Subject::default(), now + Duration::days(90));
/// # let authority = Authority::self_signed(signer, &root, &request, &mut rng, now)?;
/// let key = PrivateKey::generate(KeyType::EcdsaP256)?;
/// let request = LeafRequest::new("spiffe://example.org/db".parse()?, key.public_key(), Duration::HOUR)?;
/// let svid = authority.issue(&request, &mut rng, now)?.with_key(key)?;
/// assert!(svid.svid().chain_pem().starts_with("-----BEGIN CERTIFICATE-----\n"));
/// assert!(svid.key_pem()?.starts_with("-----BEGIN PRIVATE KEY-----\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct KeyedSvid {
    svid: IssuedSvid,
    key: PrivateKey,
}

impl KeyedSvid {
    /// The SVID.
    pub fn svid(&self) -> &IssuedSvid {
        &self.svid
    }

    /// The private key.
    pub fn private_key(&self) -> &PrivateKey {
        &self.key
    }

    /// The key as PKCS#8, in memory that is cleared when dropped.
    ///
    /// # Errors
    /// [`Error::Keys`] when the backend cannot encode it.
    pub fn key_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        Ok(self.key.to_pkcs8_der()?)
    }

    /// The key as PEM (`PRIVATE KEY`, RFC 7468 §10), in memory that is cleared when dropped.
    ///
    /// # Errors
    /// As [`key_der`](Self::key_der).
    pub fn key_pem(&self) -> Result<Zeroizing<String>, Error> {
        Ok(self.key.to_pkcs8_pem()?)
    }

    /// Both parts.
    pub fn into_parts(self) -> (IssuedSvid, PrivateKey) {
        (self.svid, self.key)
    }
}
