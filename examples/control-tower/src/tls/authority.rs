//! The certificate authority that signs the API's certificates and nothing else. It is kept in the store, sealed, so that
//! towers on one store share it.

use std::collections::BTreeMap;

use keyward_svid::x509::authority::{Subject, SubjectField};
use rand_core::CryptoRng;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber, string::PrintableString,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use zeroize::{Zeroize, Zeroizing};

use super::{SKEW, TlsError};
use crate::{
    random,
    store::{Guard, Outcome, Store, Write},
};

/// The name of the document with the fields of its subject.
pub const NAME: &str = "api";

/// Where it stands in the store.
const KEY: &str = "api-ca";
const FORMAT: u32 = 1;
const LIFETIME: Duration = Duration::days(3650);
/// When so much is left, the certificate is made anew for the same key: whoever trusts the old one trusts what it signs until
/// the old one ends.
const RENEW_BEFORE: Duration = Duration::days(730);

/// The authority, with its key.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// As it is sealed.
#[derive(Serialize, Deserialize)]
struct Record {
    format: u32,
    certificate: Vec<u8>,
    /// PKCS #8.
    key: Vec<u8>,
    not_after: i64,
    /// The fields that were configured; a certificate for the same key has them, too.
    #[serde(default)]
    subject: BTreeMap<String, String>,
}

impl Record {
    fn subject(&self) -> Subject {
        SubjectField::ALL.into_iter().fold(Subject::default(), |subject, field| {
            match self.subject.get(field.as_str()) {
                Some(value) => subject.clone().with(field, value).unwrap_or(subject),
                None => subject,
            }
        })
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl Authority {
    /// The authority from the store, or a new one (ECDSA P-256, ten years) that is stored before this returns.
    ///
    /// # Errors
    /// The store, or the seal.
    pub async fn load_or_create(
        store: &dyn Store,
        keks: &keyward_transit::KekSet,
        now: OffsetDateTime,
    ) -> Result<Self, TlsError> {
        loop {
            let entry = store.get(KEY).await?;
            let stored = match &entry {
                Some(entry) => Some(read(&keyward_transit::open(keks, KEY, &entry.value)?)?),
                None => None,
            };
            let (key, subject) = match &stored {
                Some(record) => (key_pair(&record.key)?, record.subject()),
                None => (KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?, Subject::default()),
            };
            if let Some(record) = &stored
                && record.not_after - now.unix_timestamp() > RENEW_BEFORE.whole_seconds()
            {
                return Self::new(record.certificate.clone().into(), key);
            }
            let Made { authority, write } = make(keks, key, &subject, now)?;
            let guard = Guard::seen(KEY, entry.as_ref());
            match store.commit(vec![guard], vec![write]).await? {
                Outcome::Committed(_) => return Ok(authority),
                // Another tower was faster, or perhaps we were: what is stored counts.
                Outcome::Conflict { .. } | Outcome::Unknown => {}
            }
        }
    }

    /// Another one, with a key of its own and this subject, and what puts it in the place of the present one: whoever trusts that
    /// does not trust this.
    ///
    /// # Errors
    /// The seal.
    pub async fn successor(
        store: &dyn Store,
        keks: &keyward_transit::KekSet,
        subject: &Subject,
        now: OffsetDateTime,
    ) -> Result<(Self, Guard, Write), TlsError> {
        let guard = Guard::seen(KEY, store.get(KEY).await?.as_ref());
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let Made { authority, write } = make(keks, key, subject, now)?;
        Ok((authority, guard, write))
    }

    fn new(certificate: CertificateDer<'static>, key: KeyPair) -> Result<Self, TlsError> {
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { certificate, issuer })
    }

    /// The certificate that clients are to trust.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The same in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        pem(&self.certificate)
    }

    /// A server certificate for DNS names and addresses, with a fresh key (ECDSA P-256).
    ///
    /// # Errors
    /// A name is none.
    pub fn issue(
        &self,
        names: Vec<String>,
        not_before: OffsetDateTime,
        not_after: OffsetDateTime,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        // The last name is the external host, if there is one.
        let common_name = names.last().cloned().unwrap_or_default();
        let mut params = CertificateParams::new(names)?;
        // A common name has at most 64 characters (RFC 5280, appendix A.1); nobody matches by it any more.
        params.distinguished_name.push(DnType::CommonName, common_name.chars().take(64).collect::<String>());
        params.serial_number = Some(serial(&mut random::rng()));
        (params.not_before, params.not_after) = (not_before, not_after);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok((vec![certificate.der().clone()], private))
    }
}

fn read(bytes: &[u8]) -> Result<Record, TlsError> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let Format { format: found } = serde_json::from_slice(bytes).map_err(|_| TlsError::Damaged)?;
    if found > FORMAT {
        return Err(TlsError::NewerFormat { found, known: FORMAT });
    }
    serde_json::from_slice(bytes).map_err(|_| TlsError::Damaged)
}

fn key_pair(pkcs8: &[u8]) -> Result<KeyPair, TlsError> {
    Ok(KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8), &PKCS_ECDSA_P256_SHA256)?)
}

struct Made {
    authority: Authority,
    write: Write,
}

/// An authority of a key, and what stores it.
fn make(
    keks: &keyward_transit::KekSet,
    key: KeyPair,
    subject: &Subject,
    now: OffsetDateTime,
) -> Result<Made, TlsError> {
    let (certificate, not_after) = certify(&key, distinguished(subject), &mut random::rng(), now)?;
    let fields = SubjectField::ALL.into_iter();
    let fields = fields.filter_map(|field| Some((field.as_str().to_owned(), subject.get(field)?.to_owned())));
    let mut private = Zeroizing::new(key.serialize_der());
    let record = Record {
        format: FORMAT,
        certificate: certificate.to_vec(),
        key: std::mem::take(&mut private),
        not_after: not_after.unix_timestamp(),
        subject: fields.collect(),
    };
    let bytes = Zeroizing::new(serde_json::to_vec(&record).map_err(|_| TlsError::Damaged)?);
    let sealed = keyward_transit::seal(keks.current(), KEY, &bytes, &mut random::rng())?;
    Ok(Made { authority: Authority::new(certificate, key)?, write: Write::Put(KEY.to_owned(), sealed) })
}

/// A name from the widest field to the narrowest. Without any it says what it is.
fn distinguished(subject: &Subject) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if subject.is_empty() {
        name.push(DnType::OrganizationName, "Keyward");
    }
    for field in SubjectField::ALL {
        let kind = match field {
            SubjectField::Country => DnType::CountryName,
            SubjectField::Province => DnType::StateOrProvinceName,
            SubjectField::Locality => DnType::LocalityName,
            SubjectField::Organization => DnType::OrganizationName,
            SubjectField::OrganizationalUnit => DnType::OrganizationalUnitName,
            SubjectField::CommonName => DnType::CommonName,
            _ => continue,
        };
        let own = (field == SubjectField::CommonName).then_some("Keyward control tower API");
        match (field, subject.get(field).or(own)) {
            // RFC 5280, appendix A.1: a PrintableString, as two letters always are.
            (SubjectField::Country, Some(value)) => {
                if let Ok(value) = PrintableString::try_from(value) {
                    name.push(kind, DnValue::PrintableString(value));
                }
            }
            (_, Some(value)) => name.push(kind, value),
            (_, None) => {}
        }
    }
    name
}

/// A self-signed certificate for the authority's key.
fn certify(
    key: &KeyPair,
    name: DistinguishedName,
    rng: &mut impl CryptoRng,
    now: OffsetDateTime,
) -> Result<(CertificateDer<'static>, OffsetDateTime), TlsError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.serial_number = Some(serial(rng));
    params.not_before = now - SKEW;
    params.not_after = now + LIFETIME;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let not_after = params.not_after;
    Ok((params.self_signed(key)?.der().clone(), not_after))
}

/// A positive number of 127 random bits (RFC 5280, section 4.1.2.2).
fn serial(rng: &mut impl CryptoRng) -> SerialNumber {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    let [first, ..] = &mut bytes;
    *first = *first & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

/// A chain in PEM.
pub(super) fn chain_pem(chain: &[CertificateDer<'_>]) -> String {
    chain.iter().map(pem).collect()
}

/// A private key in PEM.
pub(super) fn key_pem(key: &PrivateKeyDer<'_>) -> Zeroizing<Vec<u8>> {
    // As large as it gets: a buffer that grows leaves copies behind.
    let mut pem = Zeroizing::new(Vec::with_capacity(key.secret_der().len() * 2 + 100));
    armoured(&mut pem, "PRIVATE KEY", key.secret_der());
    pem
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let mut pem = Vec::new();
    armoured(&mut pem, "CERTIFICATE", certificate);
    String::from_utf8(pem).unwrap_or_default()
}

/// Lines of 64 characters (RFC 7468, section 2).
fn armoured(pem: &mut Vec<u8>, label: &str, der: &[u8]) {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let text = Zeroizing::new(STANDARD.encode(der));
    pem.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in text.as_bytes().chunks(64) {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    pem.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
}
