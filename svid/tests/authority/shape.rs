//! The bytes of what is issued.

use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey, PublicKey, Signer as _, sha256};
use keyward_svid::x509::authority::{Authority, AuthorityRequest, Issuer, LeafRequest, Subject, SubjectField};
use proptest::prelude::*;
use time::Duration;

use crate::support::{ID, NOW, TRUST_DOMAIN, leaf_request, private_key, public_key, rng, root, signer, site, webpki};

fn holds(der: &[u8], part: &[u8]) -> bool {
    der.windows(part.len()).any(|window| window == part)
}

/// An extension: object identifier, `critical` or not, value.
fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    [&[6, oid.len() as u8], oid, critical, &[4, value.len() as u8], value].concat()
}

#[test]
fn a_leaf_is_exactly_what_the_standard_asks_for() {
    let chain = root().issue(&leaf_request(KeyType::EcdsaP256), &mut rng(), NOW).unwrap().into_chain();
    let uri = [&[0x86, ID.len() as u8], ID.as_bytes()].concat();
    let names = [&[0x30, uri.len() as u8][..], &uri].concat();
    for part in [
        extension(&[0x55, 0x1d, 15], true, &[3, 2, 7, 0x80]),
        extension(&[0x55, 0x1d, 19], true, &[0x30, 0]),
        extension(&[0x55, 0x1d, 17], true, &names),
        extension(&[0x55, 0x1d, 37], false, &[0x30, 20, 6, 8, 43, 6, 1, 5, 5, 7, 3, 1, 6, 8, 43, 6, 1, 5, 5, 7, 3, 2]),
        // notBefore and notAfter
        [&[0x30, 30, 0x17, 13][..], b"260228235950Z", &[0x17, 13], b"260301010000Z"].concat(),
        // The empty subject, then the key.
        [&[0x30, 0][..], &public_key(KeyType::EcdsaP256).to_spki_der()].concat(),
    ] {
        assert!(holds(&chain[0], &part), "{part:x?} is not in {:x?}", chain[0]);
    }

    let named = leaf_request(KeyType::EcdsaP256)
        .with_subject(Subject::default().with(SubjectField::Organization, "O").unwrap());
    let chain = root().issue(&named, &mut rng(), NOW).unwrap().into_chain();
    assert!(holds(&chain[0], &extension(&[0x55, 0x1d, 17], false, &names)));
    assert!(webpki(&chain, &[root().certificate().clone()], NOW).is_err(), "another root, though of the same key");
}

/// RFC 7093 §2, method 1: of the bit string, which ends the document.
fn key_identifier(key: &PublicKey, bits: usize) -> [u8; 20] {
    let spki = key.as_spki_der();
    sha256(&spki[spki.len() - bits..])[..20].try_into().unwrap()
}

#[test]
fn key_identifiers_lead_from_leaf_to_root() {
    let root = root();
    let site = site(&root, KeyType::EcdsaP384);
    let chain = site.issue(&leaf_request(KeyType::Ed25519), &mut rng(), NOW).unwrap().into_chain();
    let leaf = key_identifier(&public_key(KeyType::Ed25519), 32);
    let middle = key_identifier(&public_key(KeyType::EcdsaP384), 97);
    let top = key_identifier(&public_key(KeyType::EcdsaP256), 65);
    let subject = |id: [u8; 20]| extension(&[0x55, 0x1d, 14], false, &[&[4, 20][..], &id].concat());
    let issuer = |id: [u8; 20]| extension(&[0x55, 0x1d, 35], false, &[&[0x30, 22, 0x80, 20][..], &id].concat());
    assert!(holds(&chain[0], &subject(leaf)) && holds(&chain[0], &issuer(middle)));
    assert!(holds(&chain[1], &subject(middle)) && holds(&chain[1], &issuer(top)));
    assert!(holds(root.certificate(), &subject(top)) && !holds(root.certificate(), &[0x55, 0x1d, 35]));
}

#[test]
fn an_authority_says_that_it_is_one() {
    let root = root();
    let usage = extension(&[0x55, 0x1d, 15], true, &[3, 2, 1, 6]);
    assert!(holds(root.certificate(), &usage));
    assert!(holds(root.certificate(), &extension(&[0x55, 0x1d, 19], true, &[0x30, 6, 1, 1, 0xff, 2, 1, 1])));
    assert!(holds(root.certificate(), b"spiffe://td.example"));
    let site = site(&root, KeyType::EcdsaP384);
    assert!(holds(site.certificate(), &usage));
    assert!(holds(site.certificate(), &extension(&[0x55, 0x1d, 19], true, &[0x30, 6, 1, 1, 0xff, 2, 1, 0])));
    assert!(holds(site.certificate(), b"spiffe://td.example/site-7/**"));
    assert_eq!(site.not_after(), NOW + Duration::days(3));
    assert_eq!(site.issuer().permitted()[0][0].as_str(), "spiffe://td.example/site-7/**");
}

#[test]
fn years_after_2049_are_written_in_full() {
    let request =
        AuthorityRequest::new(TRUST_DOMAIN.parse().unwrap(), Subject::default(), NOW + Duration::days(365 * 30));
    let signer = signer(KeyType::EcdsaP256, Algorithm::Es256);
    let public_key = signer.public_key().clone();
    let authority = Authority::self_signed(signer, &public_key, &request, &mut rng(), NOW).unwrap();
    assert!(holds(authority.certificate(), &[&[0x18, 15][..], b"20560222000000Z"].concat()));
    assert_eq!(authority.not_after(), NOW + Duration::days(365 * 30));
}

#[test]
fn two_steps_make_what_one_makes() {
    let root = root();
    for (key, algorithm) in crate::support::algorithms() {
        // The root's own certificate.
        let hsm = private_key(key);
        let request =
            AuthorityRequest::new(TRUST_DOMAIN.parse().unwrap(), Subject::default(), NOW + Duration::days(90));
        let unsigned = request.prepare(hsm.public_key(), algorithm, &mut rng(), NOW).unwrap();
        assert_eq!(unsigned.algorithm(), algorithm);
        let signature = hsm.sign_asn1(algorithm, unsigned.as_bytes()).unwrap();
        let issuer = Issuer::new(algorithm, [unsigned.attach_der(&signature).unwrap()]).unwrap();
        assert!(issuer.is_root());
        // A leaf, with either form of signature.
        for der in [false, true] {
            let unsigned = issuer.prepare(&leaf_request(KeyType::EcdsaP256), &mut rng(), NOW).unwrap();
            let message = unsigned.certificate().as_bytes();
            let svid = if der {
                let signature = hsm.sign_asn1(algorithm, message).unwrap();
                unsigned.attach_der(&signature)
            } else {
                let signature = signer(key, algorithm).sign(message).unwrap();
                unsigned.attach(&signature)
            };
            webpki(svid.unwrap().chain(), &[issuer.certificate().clone()], NOW).unwrap();
        }
    }
    let unsigned = root.issuer().prepare(&leaf_request(KeyType::EcdsaP256), &mut rng(), NOW).unwrap();
    assert_eq!(unsigned.attach(&[1; 70]).unwrap_err().to_string(), "not a valid signature in the form of JWS");
}

#[test]
fn a_key_is_joined_with_its_own_svid_alone() {
    let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let request = LeafRequest::new(ID.parse().unwrap(), key.public_key(), Duration::HOUR).unwrap();
    let svid = root().issue(&request, &mut rng(), NOW).unwrap();
    let error = svid.clone().with_key(private_key(KeyType::EcdsaP256)).unwrap_err();
    assert_eq!(error.to_string(), "the key is not that of the certificate");
    let keyed = svid.clone().with_key(key).unwrap();
    assert_eq!(keyed.svid(), &svid);
    let read = PrivateKey::from_pkcs8_pem(&keyed.key_pem().unwrap()).unwrap();
    assert_eq!(read.public_key(), svid.public_key());
    assert!(format!("{keyed:?}").contains("PrivateKey(..)"), "{keyed:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_leaf_stays_within_its_authority_and_its_request(
        ttl in 1_i64..86_400, authority_life in 1_i64..200_000, at in -5_i64..250_000, nanoseconds in 0_i64..1_000_000_000,
    ) {
        let request =
            AuthorityRequest::new(TRUST_DOMAIN.parse().unwrap(), Subject::default(), NOW + Duration::seconds(authority_life));
        let signer = signer(KeyType::Ed25519, Algorithm::EdDsa);
        let public_key = signer.public_key().clone();
        let authority: Authority<KeySigner> = Authority::self_signed(signer, &public_key, &request, &mut rng(), NOW).unwrap();
        let now = NOW + Duration::seconds(at) + Duration::nanoseconds(nanoseconds);
        let request = LeafRequest::new(ID.parse().unwrap(), &public_key, Duration::seconds(ttl)).unwrap();
        match authority.issue(&request, &mut rng(), now) {
            Ok(svid) => {
                prop_assert!(svid.not_before() >= authority.issuer().not_before() && svid.not_before() <= now);
                prop_assert!(now - svid.not_before() < Duration::seconds(11));
                prop_assert!(svid.not_after() <= authority.not_after() && svid.not_after() > now);
                prop_assert!(svid.not_after() - now <= Duration::seconds(ttl));
                prop_assert!(webpki(svid.chain(), &[authority.certificate().clone()], now).is_ok());
                prop_assert!(svid.serial().len() == 32 && ('4'..='7').contains(&svid.serial().chars().next().unwrap()));
            }
            // Less than a second was left.
            Err(error) => prop_assert!(now + Duration::SECOND > authority.not_after() || ttl == 1, "{error}"),
        }
    }
}
