//! What an authority refuses, with its texts.

use keyward_keys::{Algorithm, ErrorKind, KeyType, PublicKey, Signer};
use keyward_spiffe_id::Pattern;
use keyward_svid::x509::authority::{
    Authority, AuthorityRequest, Error, IntermediateRequest, Issuer, LeafRequest, Subject,
};
use time::Duration;

use crate::support::{ID, NOW, TRUST_DOMAIN, leaf_request, public_key, rng, root, signer, site};

fn told<T>(result: Result<T, Error>) -> (String, ErrorKind) {
    let Err(error) = result else { panic!("it was done") };
    (error.to_string(), error.kind())
}

fn request(id: &str, ttl: Duration) -> LeafRequest {
    LeafRequest::new(id.parse().unwrap(), &public_key(KeyType::EcdsaP256), ttl).unwrap()
}

#[test]
fn ids_that_are_not_its_to_give() {
    let root = root();
    let issue = |request: &LeafRequest| root.issue(request, &mut rng(), NOW);
    assert_eq!(
        told(LeafRequest::new("spiffe://td.example".parse().unwrap(), &public_key(KeyType::EcdsaP256), Duration::HOUR)),
        ("the ID of an X.509-SVID has a path, `spiffe://td.example` has none".into(), ErrorKind::Refused)
    );
    assert_eq!(
        told(issue(&request("spiffe://other.example/db", Duration::HOUR))),
        ("the authority is one of trust domain `td.example`, not of `other.example`".into(), ErrorKind::Refused)
    );
    let site = site(&root, KeyType::EcdsaP256);
    assert!(site.issue(&leaf_request(KeyType::EcdsaP256), &mut rng(), NOW).is_ok());
    for outside in ["spiffe://td.example/site-8/db", "spiffe://td.example/db"] {
        assert_eq!(
            told(site.issue(&request(outside, Duration::HOUR), &mut rng(), NOW)),
            (
                format!("the authority may not issue for `{outside}`: no pattern of its delegation matches"),
                ErrorKind::Refused
            )
        );
    }
}

#[test]
fn lives_that_are_too_long_or_over() {
    let root = root();
    let issue = |ttl, now| root.issue(&request(ID, ttl), &mut rng(), now);
    assert_eq!(
        told(issue(Duration::days(2), NOW)),
        ("a life of 172800 seconds was asked for, but 1 to 86400 are allowed".into(), ErrorKind::Refused)
    );
    assert!(root.clone_with_week().issue(&request(ID, Duration::days(2)), &mut rng(), NOW).is_ok());
    assert_eq!(told(issue(Duration::ZERO, NOW)).1, ErrorKind::Refused);
    assert_eq!(
        told(issue(Duration::HOUR, NOW - Duration::MINUTE)),
        (
            "the authority is not valid before 2026-02-28T23:59:50Z, now is 2026-02-28T23:59:00Z".into(),
            ErrorKind::Unavailable
        )
    );
    assert_eq!(
        told(issue(Duration::HOUR, NOW + Duration::days(90))),
        ("the authority ends at 2026-05-30T00:00:00Z, now is 2026-05-30T00:00:00Z".into(), ErrorKind::Unavailable)
    );
    let bounded = root.with_end(NOW + Duration::MINUTE);
    let svid = bounded.issue(&request(ID, Duration::HOUR), &mut rng(), NOW).unwrap();
    assert_eq!(svid.not_after(), NOW + Duration::MINUTE);
}

trait Week {
    fn clone_with_week(&self) -> Authority<keyward_keys::KeySigner>;
}

impl Week for Authority<keyward_keys::KeySigner> {
    fn clone_with_week(&self) -> Authority<keyward_keys::KeySigner> {
        let chain = [self.certificate().clone()];
        Authority::from_parts(signer(KeyType::EcdsaP256, Algorithm::Es256), chain)
            .unwrap()
            .with_longest_ttl(Duration::WEEK)
    }
}

#[test]
fn delegations_have_bounds() {
    let root = root();
    let key = public_key(KeyType::EcdsaP384);
    let new = |ttl, patterns: Vec<Pattern>| IntermediateRequest::new(&key, ttl, patterns);
    let pattern: Pattern = "spiffe://td.example/a/*".parse().unwrap();
    assert_eq!(
        told(new(Duration::DAY, vec![])),
        ("0 patterns of a delegation were given, but 1 to 64 are allowed".into(), ErrorKind::Refused)
    );
    assert_eq!(told(new(Duration::DAY, vec![pattern.clone(); 65])).1, ErrorKind::Refused);
    assert_eq!(
        told(new(Duration::days(8), vec![pattern.clone()])),
        ("a life of 691200 seconds was asked for, but 1 to 604800 are allowed".into(), ErrorKind::Refused)
    );
    let foreign = new(Duration::DAY, vec![pattern.clone(), "spiffe://other/**".parse().unwrap()]).unwrap();
    assert_eq!(
        told(root.delegate(&foreign, &mut rng(), NOW)).0,
        "the authority is one of trust domain `td.example`, not of `other`"
    );
    let below = new(Duration::DAY, vec![pattern]).unwrap();
    assert_eq!(
        told(site(&root, KeyType::EcdsaP256).delegate(&below, &mut rng(), NOW)),
        ("the authority may issue leaves only, its path length is 0".into(), ErrorKind::Misconfigured)
    );
    // A delegation ends with the authority above.
    let chain = root.with_end(NOW + Duration::HOUR).delegate(&below, &mut rng(), NOW).unwrap();
    let site = Authority::from_parts(signer(KeyType::EcdsaP384, Algorithm::Es384), chain).unwrap();
    assert_eq!(site.not_after(), NOW + Duration::HOUR);
}

#[test]
fn keys_and_certificates_that_do_not_belong_together() {
    let root = root();
    let mismatch = ("the key is not that of the certificate".to_owned(), ErrorKind::Misconfigured);
    let certificate = || [root.certificate().clone()];
    assert_eq!(told(Authority::from_parts(signer(KeyType::Ed25519, Algorithm::EdDsa), certificate())), mismatch);
    let other = keyward_keys::PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let other = keyward_keys::KeySigner::new(other, Algorithm::Es256, None).unwrap();
    assert_eq!(told(Authority::from_parts(&other, certificate())), mismatch);
    let request = AuthorityRequest::new(TRUST_DOMAIN.parse().unwrap(), Subject::default(), NOW + Duration::DAY);
    let key: PublicKey = public_key(KeyType::EcdsaP256);
    assert_eq!(told(Authority::self_signed(&other, &key, &request, &mut rng(), NOW)), mismatch);
    assert_eq!(told(request.prepare(&key, Algorithm::Rs256, &mut rng(), NOW)), mismatch);
    assert_eq!(
        told(request.prepare(&key, Algorithm::Es256, &mut rng(), NOW + Duration::DAY)).1,
        ErrorKind::Unavailable
    );
}

/// A device that was told to sign otherwise.
struct Changed<'a>(&'a keyward_keys::KeySigner, std::cell::Cell<Algorithm>);

impl Signer for Changed<'_> {
    fn algorithm(&self) -> Algorithm {
        self.1.get()
    }

    fn kid(&self) -> &str {
        self.0.kid()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, keyward_keys::Error> {
        self.0.private_key().sign(self.1.get(), message)
    }
}

#[test]
fn signers_that_change_or_fail() {
    let root = crate::support::root_with(KeyType::Rsa2048, Algorithm::Rs256);
    let device = Changed(root.signer(), Algorithm::Rs256.into());
    let authority = Authority::from_parts(&device, [root.certificate().clone()]).unwrap();
    let issue = || authority.issue(&leaf_request(KeyType::EcdsaP256), &mut rng(), NOW);
    assert!(issue().is_ok());
    device.1.set(Algorithm::Ps256);
    assert_eq!(
        told(issue()),
        (
            "the signer signs with `PS256`, but the authority's certificates say `RS256`".into(),
            ErrorKind::Misconfigured
        )
    );
    device.1.set(Algorithm::Es256);
    assert_eq!(told(Authority::from_parts(&device, [root.certificate().clone()])).1, ErrorKind::Misconfigured);

    struct Silent;
    impl Signer for Silent {
        fn algorithm(&self) -> Algorithm {
            Algorithm::Rs256
        }

        fn kid(&self) -> &str {
            "silent"
        }

        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, keyward_keys::Error> {
            Err(keyward_keys::Error::SignerFailed { reason: "timeout".to_owned() })
        }
    }
    assert_eq!(
        told(Authority::from_parts(Silent, [root.certificate().clone()])),
        ("the signer failed: timeout".into(), ErrorKind::Unavailable)
    );
}

#[test]
fn certificates_that_cannot_be_an_authoritys() {
    let root = root();
    let told = |chain: Vec<rustls_pki_types::CertificateDer<'static>>| told(Issuer::new(Algorithm::Es256, chain));
    let cannot =
        |problem: &str| (format!("the certificate cannot be an authority's: {problem}"), ErrorKind::Misconfigured);
    let svid = root.issue(&leaf_request(KeyType::EcdsaP256), &mut rng(), NOW).unwrap();
    assert_eq!(told(svid.into_chain()), cannot("its basic constraints do not make it one"));
    let malformed = |problem: &str| (format!("certificate 1 is malformed: {problem}"), ErrorKind::Malformed);
    assert_eq!(told(vec![vec![0x30, 0].into()]), malformed("it is not DER"));
    assert_eq!(told(vec![]).0, "0 certificates of an authority were given, but 1 to 15 are allowed");
    assert_eq!(
        told(vec![root.certificate().clone(); 16]).0,
        "16 certificates of an authority were given, but 1 to 15 are allowed"
    );
    let site = site(&root, KeyType::EcdsaP256);
    assert_eq!(
        told(vec![site.certificate().clone(), root.certificate().clone()]),
        cannot("its chain holds the root, which verifiers have already")
    );
    let other = crate::support::root();
    assert_eq!(
        told(vec![site.certificate().clone(), other.certificate().clone()]),
        cannot("the next certificate of the chain has not signed it")
    );
    let mut trailing = root.certificate().to_vec();
    trailing.push(0);
    assert_eq!(told(vec![trailing.into()]), malformed("bytes follow it"));
}
