use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
use keyward_svid::bundle::Bundle;
use keyward_svid::x509::authority::{Authority, AuthorityRequest, LeafRequest, Subject};
use time::{Duration, OffsetDateTime};

#[test]
fn only_what_the_bundle_verifies_is_accepted() {
    let (mut rng, now) = (rand::rng(), OffsetDateTime::now_utc());
    let mut authority = || {
        let signer = KeySigner::new(PrivateKey::generate(KeyType::EcdsaP256).unwrap(), Algorithm::Es256, None).unwrap();
        let key = signer.public_key().clone();
        let request =
            AuthorityRequest::new("example.org".parse().unwrap(), Subject::default(), now + Duration::days(30));
        Authority::self_signed(signer, &key, &request, &mut rng, now).unwrap()
    };
    let (ours, theirs) = (authority(), authority());
    let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let request = LeafRequest::new("spiffe://example.org/web".parse().unwrap(), key.public_key(), Duration::HOUR);
    let chain = ours.issue(&request.unwrap(), &mut rng, now).unwrap().chain_pem();
    let bundle = |authorities: Vec<_>| {
        Bundle::new("example.org".parse().unwrap(), authorities, []).unwrap().to_json().into_bytes()
    };
    let (good, other) = (bundle(vec![ours.certificate().clone()]), bundle(vec![theirs.certificate().clone()]));

    let svid = super::verify(&chain, "example.org", &good, now).unwrap();
    assert_eq!(svid.id().as_str(), "spiffe://example.org/web");
    let refused = |domain: &str, bundle: &[u8], now| super::verify(&chain, domain, bundle, now).is_err();
    assert!(refused("example.org", &other, now), "of another authority");
    assert!(refused("example.org", &bundle(Vec::new()), now), "revoked");
    assert!(refused("example.com", &good, now), "of another trust domain");
    assert!(refused("example.org", &good, now + Duration::hours(2)), "expired");
}
