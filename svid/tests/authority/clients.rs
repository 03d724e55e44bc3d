//! Authorities for clients alone: what they issue authenticates no server, and what others issue is not accepted for it.

use keyward_keys::{KeySigner, KeyType};
use keyward_svid::x509::authority::{
    Authority, AuthorityRequest, AuthorityRing, CaConfig, Error, LONGEST_CLIENT_TTL, LeafRequest, Subject,
};
use keyward_svid::x509::{self, LeafProblem, Purpose, X509Bundle, X509Mode, X509Svid, X509Verifier, X509VerifyOptions};
use keyward_transit::{Command, FirstActivation, Kek, KekSet};
use rustls_pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

use crate::support::{ID, NOW, TRUST_DOMAIN, leaf_request, public_key, rng, root, signer, webpki};

pub(crate) fn root_for_clients() -> Authority<KeySigner> {
    let end = NOW + Duration::days(90);
    let mut request = AuthorityRequest::new(TRUST_DOMAIN.parse().unwrap(), Subject::default(), end);
    request.purpose = Purpose::Client;
    request.path_len = Some(0);
    let key = public_key(KeyType::EcdsaP256);
    let signer = signer(KeyType::EcdsaP256, keyward_keys::Algorithm::Es256);
    Authority::self_signed(signer, &key, &request, &mut rng(), NOW).unwrap()
}

fn verify(
    chain: &[CertificateDer<'static>],
    root: &CertificateDer<'static>,
    purpose: Purpose,
    mode: X509Mode,
    now: OffsetDateTime,
) -> Result<X509Svid, x509::Error> {
    let bundle = X509Bundle::new(TRUST_DOMAIN.parse().unwrap(), [root.clone()])?;
    let mut options = X509VerifyOptions::default();
    (options.purpose, options.mode) = (purpose, mode);
    X509Verifier::new(options).verify(chain, &bundle, now)
}

#[test]
fn purposes_do_not_mix() {
    let (clients, both) = (root_for_clients(), root());
    assert_eq!((clients.issuer().purpose(), both.issuer().purpose()), (Purpose::Client, Purpose::Svid));
    let issue = |authority: &Authority<KeySigner>| {
        let issued = authority.issue(&leaf_request(KeyType::EcdsaP256), &mut rng(), NOW).unwrap();
        (issued.into_chain(), authority.certificate().clone())
    };
    let (client, svid) = (issue(&clients), issue(&both));
    for mode in [X509Mode::Strict, X509Mode::Standard] {
        let accepted = verify(&client.0, &client.1, Purpose::Client, mode, NOW).unwrap();
        assert_eq!(accepted.id().to_string(), ID);
        let refused = verify(&svid.0, &svid.1, Purpose::Client, mode, NOW);
        assert_eq!(refused, Err(x509::Error::Leaf { problem: LeafProblem::Purpose }));
    }
    // A strict verifier of SVIDs wants both purposes.
    let refused = verify(&client.0, &client.1, Purpose::Svid, X509Mode::Strict, NOW);
    assert_eq!(refused, Err(x509::Error::Leaf { problem: LeafProblem::ExtendedKeyUsage }));
    // A stranger refuses it for servers.
    let error = webpki(&client.0, std::slice::from_ref(&client.1), NOW).unwrap_err();
    assert!(format!("{error:?}").starts_with("RequiredEkuNotFound"), "{error:?}");
}

#[test]
fn such_a_root_stands_directly_above_its_leaves() {
    let request = keyward_svid::x509::authority::IntermediateRequest::new(
        &public_key(KeyType::EcdsaP256),
        Duration::DAY,
        ["spiffe://td.example/**".parse().unwrap()],
    );
    let error = root_for_clients().delegate(&request.unwrap(), &mut rng(), NOW).unwrap_err();
    assert_eq!(error, Error::NoDelegation);
}

/// A leaf of the longest life is accepted to its last second, whenever it was issued.
#[test]
fn the_longest_leaf_outlives_no_rotation() {
    let keks = KekSet::new(Kek::from_bytes(1, &[7; 32]).unwrap());
    let mut config = CaConfig::new("call-home".parse().unwrap());
    config.ttl = "89d".parse().unwrap();
    let td = || TRUST_DOMAIN.parse().unwrap();
    let error = AuthorityRing::for_clients(config.clone(), td(), FirstActivation::AtOnce, NOW).unwrap_err();
    assert_eq!(error.to_string(), "`ttl` is 89d, but 90d to 3650d are allowed");

    config.ttl = "90d".parse().unwrap();
    let mut ring = AuthorityRing::for_clients(config, td(), FirstActivation::AtOnce, NOW).unwrap();
    let mut issued: Vec<Vec<CertificateDer<'static>>> = Vec::new();
    let mut lives = Vec::new();
    for day in 0..300 {
        let now = NOW + Duration::days(day);
        for command in ring.advance(now) {
            match command {
                Command::Generate { version, .. } => {
                    let key = keyward_keys::PrivateKey::generate(KeyType::EcdsaP256).unwrap();
                    ring.install(version, key, &mut rng(), now).unwrap();
                }
                Command::Destroy { version } => ring.destroy(version, now).unwrap(),
                other => panic!("{other:?}"),
            }
        }
        let record = ring.to_sealed(keks.current(), "p", &mut rng()).unwrap();
        ring = AuthorityRing::from_sealed(&keks, "p", &record).unwrap();
        let ttl = LONGEST_CLIENT_TTL.to_time();
        let request = LeafRequest::new(ID.parse().unwrap(), &public_key(KeyType::EcdsaP256), ttl).unwrap();
        let leaf = ring.authority(now).unwrap().issue(&request, &mut rng(), now).unwrap();
        assert_eq!(leaf.not_after(), now + ttl, "day {day}");
        lives.push((leaf.not_before(), leaf.not_after()));
        issued.push(leaf.into_chain());
        let bundle = X509Bundle::new(td(), ring.published(now)).unwrap();
        let mut options = X509VerifyOptions::default();
        options.purpose = Purpose::Client;
        let verifier = X509Verifier::new(options);
        for (chain, (_, end)) in issued.iter().zip(&lives) {
            if *end >= now {
                verifier.verify(chain, &bundle, now).unwrap_or_else(|error| panic!("day {day}: {error}"));
            }
        }
    }
    assert!(ring.versions(NOW + Duration::days(299)).len() > 3);
}
