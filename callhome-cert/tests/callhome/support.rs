//! An authority, hosts and certificates for the tests.

use keyward_callhome_cert::{CallHomeCertificate, CallHomeVerifier, Entry, HostHash, Order, Scope};
use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
use keyward_svid::X509Bundle;
use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::Purpose;
use keyward_svid::x509::authority::{Authority, AuthorityRequest, Subject};
use rand_core::UnwrapErr;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

pub(crate) const NOW: OffsetDateTime = datetime!(2026-03-01 00:00 UTC);
pub(crate) const TRUST_DOMAIN: &str = "td.example";

#[allow(clippy::disallowed_types, reason = "nothing in a test depends on what is drawn")]
pub(crate) fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

pub(crate) fn authority() -> Authority<KeySigner> {
    let mut request =
        AuthorityRequest::new(TRUST_DOMAIN.parse().unwrap(), Subject::default(), NOW + Duration::days(90));
    request.purpose = Purpose::Client;
    request.path_len = Some(0);
    let signer = KeySigner::new(PrivateKey::generate(KeyType::EcdsaP256).unwrap(), Algorithm::Es256, None).unwrap();
    let key = signer.public_key().clone();
    Authority::self_signed(signer, &key, &request, &mut rng(), NOW).unwrap()
}

pub(crate) fn bundle(authority: &Authority<KeySigner>) -> X509Bundle {
    X509Bundle::new(TRUST_DOMAIN.parse().unwrap(), [authority.certificate().clone()]).unwrap()
}

pub(crate) fn host(id: &str) -> HostHash {
    HostHash::of(&id.parse().unwrap())
}

pub(crate) fn any() -> Scope {
    Scope::Any
}

pub(crate) fn site(name: &str) -> Scope {
    Scope::Site(name.parse().unwrap())
}

pub(crate) fn one(id: &str) -> Scope {
    Scope::Host(host(id))
}

pub(crate) fn issue(authority: &Authority<KeySigner>, order: &Order) -> (Vec<CertificateDer<'static>>, Entry) {
    let (issued, entry) = order.issue_with_key(authority, &mut rng(), NOW).unwrap();
    (issued.svid().chain().to_vec(), entry)
}

pub(crate) fn verified(authority: &Authority<KeySigner>, scope: Scope) -> (CallHomeCertificate, Entry) {
    let (chain, entry) = issue(authority, &Order::new(scope));
    (CallHomeVerifier::new(bundle(authority)).verify(&chain, NOW).unwrap(), entry)
}
