//! Keys, certificates and bundles for the tests.

use std::sync::LazyLock;

use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
use keyward_spiffe_id::TrustDomain;
use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::authority::{Authority, AuthorityRequest, Subject, SubjectField};
use keyward_svid::{Bundle, KeyUse, VerificationKey};
use rand_core::UnwrapErr;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

pub(crate) fn seconds(n: i64) -> Duration {
    Duration::seconds(n)
}

pub(crate) fn td(name: &str) -> TrustDomain {
    name.parse().unwrap()
}

pub(crate) type TestAuthority = Authority<KeySigner>;

pub(crate) fn authority_of(trust_domain: &str, key_type: KeyType) -> TestAuthority {
    let key = PrivateKey::generate(key_type).unwrap();
    let public = key.public_key().clone();
    let signer = KeySigner::new(key, Algorithm::default_for(key_type), None).unwrap();
    let subject = Subject::default().with(SubjectField::Organization, "Example").unwrap();
    let request = AuthorityRequest::new(td(trust_domain), subject, now() + Duration::days(90));
    Authority::self_signed(signer, &public, &request, &mut UnwrapErr(getrandom::SysRng), now()).unwrap()
}

/// Three authorities of `td.example`, the same in all tests of this run.
pub(crate) fn authority(n: usize) -> CertificateDer<'static> {
    static THREE: LazyLock<Vec<CertificateDer<'static>>> = LazyLock::new(|| {
        [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048]
            .map(|key_type| authority_of("td.example", key_type).certificate().clone())
            .to_vec()
    });
    THREE[n].clone()
}

/// A key for JWT-SVIDs; the same name has the same key.
pub(crate) fn jwt_key(kid: &str) -> VerificationKey {
    static FOUR: LazyLock<Vec<PrivateKey>> =
        LazyLock::new(|| (0..4).map(|_| PrivateKey::generate(KeyType::EcdsaP256).unwrap()).collect());
    let key = &FOUR[usize::from(kid.as_bytes()[0]) % 4];
    VerificationKey::new(key.public_key().clone(), Algorithm::Es256, kid).unwrap()
}

pub(crate) fn bundle(authorities: &[usize], kids: &[&str]) -> Bundle {
    let authorities = authorities.iter().map(|n| authority(*n));
    Bundle::new(td("td.example"), authorities, kids.iter().map(|kid| jwt_key(kid))).unwrap()
}

/// A bundle that differs from others of another number.
pub(crate) fn numbered(n: u64) -> Bundle {
    bundle(&[0], &[&format!("k{n}")]).with_sequence(n)
}

pub(crate) fn read(json: &Value) -> Bundle {
    Bundle::from_json(td("td.example"), json.to_string().as_bytes()).unwrap()
}

pub(crate) fn value(bundle: &Bundle) -> Value {
    serde_json::from_str(&bundle.to_json()).unwrap()
}

/// The entry of an authority, as it is published.
pub(crate) fn x509_entry(n: usize) -> Value {
    value(&bundle(&[n], &[]))["keys"][0].take()
}

/// The entry of a JWT key, as it is published.
pub(crate) fn jwt_entry(kid: &str) -> Value {
    serde_json::to_value(jwt_key(kid).to_jwk(KeyUse::JwtSvid)).unwrap()
}

pub(crate) fn with(mut entry: Value, member: &str, value: impl Into<Value>) -> Value {
    entry[member] = value.into();
    entry
}

pub(crate) fn without(mut entry: Value, member: &str) -> Value {
    entry.as_object_mut().unwrap().remove(member).unwrap();
    entry
}
