//! Keys, authorities and leaves for the tests.

use std::sync::LazyLock;

use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey, PublicKey};
use keyward_svid::x509::authority::{Authority, AuthorityRequest, IntermediateRequest, LeafRequest, Subject};
use keyward_svid::x509::{X509Bundle, X509Svid, X509Verifier, X509VerifyOptions};
use rand_core::UnwrapErr;
use rustls_pki_types::CertificateDer;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

pub(crate) const NOW: OffsetDateTime = datetime!(2026-03-01 00:00 UTC);
pub(crate) const TRUST_DOMAIN: &str = "td.example";
pub(crate) const ID: &str = "spiffe://td.example/site-7/db";

#[allow(clippy::disallowed_types, reason = "nothing in a test depends on what is drawn")]
pub(crate) fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

/// Key types that are generated quickly, and one RSA type.
pub(crate) const KEY_TYPES: [KeyType; 5] =
    [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::EcdsaP521, KeyType::Ed25519, KeyType::Rsa2048];

/// Every algorithm, with a key type that it fits.
pub(crate) fn algorithms() -> Vec<(KeyType, Algorithm)> {
    let fits = |key_type: KeyType| Algorithm::ALL.iter().filter(move |a| a.fits(private_key(key_type).public_key()));
    KEY_TYPES.into_iter().flat_map(|key_type| fits(key_type).map(move |algorithm| (key_type, *algorithm))).collect()
}

/// The one key of a type that the tests of this run share.
pub(crate) fn private_key(key_type: KeyType) -> PrivateKey {
    static KEYS: LazyLock<Vec<(KeyType, Vec<u8>)>> = LazyLock::new(|| {
        let generate = |key_type| PrivateKey::generate(key_type).unwrap().to_pkcs8_der().unwrap().to_vec();
        KEY_TYPES.into_iter().map(|key_type| (key_type, generate(key_type))).collect()
    });
    let (_, document) = KEYS.iter().find(|(known, _)| *known == key_type).unwrap();
    PrivateKey::from_pkcs8_der(document).unwrap()
}

pub(crate) fn public_key(key_type: KeyType) -> PublicKey {
    private_key(key_type).public_key().clone()
}

pub(crate) fn signer(key_type: KeyType, algorithm: Algorithm) -> KeySigner {
    KeySigner::new(private_key(key_type), algorithm, None).unwrap()
}

pub(crate) fn root_with(key_type: KeyType, algorithm: Algorithm) -> Authority<KeySigner> {
    let request = AuthorityRequest::new(TRUST_DOMAIN.parse().unwrap(), Subject::default(), NOW + Duration::days(90));
    let signer = signer(key_type, algorithm);
    let public_key = signer.public_key().clone();
    Authority::self_signed(signer, &public_key, &request, &mut rng(), NOW).unwrap()
}

pub(crate) fn root() -> Authority<KeySigner> {
    root_with(KeyType::EcdsaP256, Algorithm::Es256)
}

/// An authority for `spiffe://td.example/site-7/**`, below `above`.
pub(crate) fn site(above: &Authority<KeySigner>, key_type: KeyType) -> Authority<KeySigner> {
    let permitted = ["spiffe://td.example/site-7/**".parse().unwrap()];
    let request = IntermediateRequest::new(&public_key(key_type), Duration::days(3), permitted).unwrap();
    let chain = above.delegate(&request, &mut rng(), NOW).unwrap();
    Authority::from_parts(signer(key_type, Algorithm::default_for(key_type)), chain).unwrap()
}

pub(crate) fn leaf_request(key_type: KeyType) -> LeafRequest {
    LeafRequest::new(ID.parse().unwrap(), &public_key(key_type), Duration::HOUR).unwrap()
}

pub(crate) fn leaf(authority: &Authority<KeySigner>, key_type: KeyType) -> Vec<CertificateDer<'static>> {
    let request = leaf_request(key_type).with_dns_names(["db.site-7.example"]).unwrap();
    authority.issue(&request, &mut rng(), NOW).unwrap().into_chain()
}

/// What our own verifier says, in its strict mode.
pub(crate) fn verify(
    chain: &[CertificateDer<'static>],
    roots: &[CertificateDer<'static>],
    now: OffsetDateTime,
) -> Result<X509Svid, keyward_svid::x509::Error> {
    let bundle = X509Bundle::new(TRUST_DOMAIN.parse().unwrap(), roots.iter().cloned())?;
    X509Verifier::new(X509VerifyOptions::default()).verify(chain, &bundle, now)
}

/// What webpki, with a crypto library of its own, says of a chain at a moment.
pub(crate) fn webpki(
    chain: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
    now: OffsetDateTime,
) -> Result<(), webpki::Error> {
    let anchors = roots.iter().map(|root| webpki::anchor_from_trusted_cert(root)).collect::<Result<Vec<_>, _>>()?;
    let leaf = webpki::EndEntityCert::try_from(&chain[0])?;
    let time = std::time::Duration::from_secs(now.unix_timestamp().try_into().unwrap());
    let time = rustls_pki_types::UnixTime::since_unix_epoch(time);
    for usage in [webpki::KeyUsage::client_auth(), webpki::KeyUsage::server_auth()] {
        leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &chain[1..], time, usage, None, None)?;
    }
    Ok(())
}
