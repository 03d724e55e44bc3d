//! One bundle: what is read, what is skipped, what is refused, what is written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_keys::{KeyType, PrivateKey};
use keyward_svid::bundle::{Change, DEFAULT_REFRESH_HINT, Error};
use keyward_svid::jwks::{MAX_JWKS_BYTES, MAX_KEYS, SkipReason};
use keyward_svid::x509::authority::LeafRequest;
use keyward_svid::{Bundle, ErrorKind};
use rand_core::UnwrapErr;
use serde_json::{Value, json};
use time::Duration;

use crate::support::*;

/// Reads the entry between good ones, and answers why it was skipped.
#[track_caller]
fn skipped(entry: &Value) -> SkipReason {
    let read = read(&json!({"keys": [x509_entry(0), entry, jwt_entry("k")]}));
    assert_eq!(read, bundle(&[0], &["k"]), "{entry}");
    assert_eq!((read.skipped().len(), read.skipped()[0].index), (1, 1));
    read.skipped()[0].reason.clone()
}

#[test]
fn a_bundle_with_everything() {
    let read = read(&json!({
        "spiffe_sequence": u64::MAX,
        "spiffe_refresh_hint": 2_419_200,
        "keys": [x509_entry(0), jwt_entry("a"), x509_entry(1), jwt_entry("b"), x509_entry(2)],
        "more": {"of": ["this", 1.5]}
    }));
    assert_eq!(read.trust_domain().as_str(), "td.example");
    assert_eq!(read.x509().authorities(), [authority(0), authority(1), authority(2)]);
    assert_eq!(read.jwt().keys().keys(), [jwt_key("a"), jwt_key("b")]);
    assert_eq!((read.sequence(), read.refresh_hint()), (Some(u64::MAX), Some(2_419_200)));
    assert_eq!(read.jwt().trust_domain(), read.x509().trust_domain());
    assert!(read.skipped().is_empty() && !read.is_empty());
}

#[test]
fn an_empty_bundle_is_one_and_one_without_keys_is_none() {
    let empty = read(&json!({"keys": []}));
    assert!(empty.is_empty() && empty.skipped().is_empty());
    assert_eq!((empty.sequence(), empty.refresh_hint()), (None, None));
    assert_eq!(DEFAULT_REFRESH_HINT, 300);
    // "Clients may also encounter bundles which after processing yield no usable keys" (§4.1.3).
    let unusable =
        read(&json!({"keys": [{"kty": "AKP", "use": "jwt-svid", "kid": "pq", "alg": "ML-DSA-65", "pub": "AA"}]}));
    assert!(unusable.is_empty());
    assert_eq!(unusable, empty);
}

#[test]
fn what_is_published() {
    let bundle = bundle(&[1], &["k"]).with_sequence(12_035_488).with_refresh_hint(600);
    let text = bundle.to_json();
    assert!(text.starts_with(r#"{"spiffe_sequence":12035488,"spiffe_refresh_hint":600,"keys":["#), "{text}");
    let entries = value(&bundle);
    let x509 = &entries["keys"][0];
    assert_eq!(x509["use"], "x509-svid");
    assert_eq!(x509["x5c"], json!([STANDARD.encode(authority(1))]));
    let mut members: Vec<_> = x509.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["crv", "kty", "use", "x", "x5c", "y"], "no `kid`, no `alg`");
    assert_eq!(entries["keys"][1], jwt_entry("k"));
    assert_eq!((&entries["keys"][1]["use"], &entries["keys"][1]["kid"]), (&json!("jwt-svid"), &json!("k")));
    // Without number and hint.
    assert_eq!(super::support::bundle(&[], &[]).to_json(), r#"{"keys":[]}"#);
}

#[test]
fn what_is_unknown_is_skipped() {
    for (entry, text) in [
        (with(x509_entry(1), "use", "sig"), "its use `sig` is unknown"),
        (with(x509_entry(1), "use", "X509-SVID"), "its use `X509-SVID` is unknown"),
        (without(x509_entry(1), "use"), "it has no use"),
        (without(jwt_entry("a"), "use"), "it has no use"),
        (with(jwt_entry("a"), "use", json!(["jwt-svid"])), "it is not a well-formed key"),
        #[cfg(not(feature = "wit"))]
        (with(jwt_entry("a"), "use", "wit-svid"), "its use `wit-svid` is unknown"),
        (json!({"use": "x509-svid"}), "it is not a well-formed key"),
        (json!("x509-svid"), "it is not a well-formed key"),
        // Post-quantum keys, as entries of either kind.
        (
            json!({"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA", "use": "x509-svid", "x5c": ["AAAA"]}),
            "its key type `AKP` is unknown",
        ),
        (
            json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "use": "jwt-svid", "kid": "pq"}),
            "its key type `AKP` is unknown",
        ),
        (json!({"kty": "oct", "k": "AAAA", "use": "jwt-svid", "kid": "k"}), "its key type `oct` is unknown"),
    ] {
        assert_eq!(skipped(&entry).to_string(), text, "{entry}");
    }
}

#[test]
fn jwt_entries_that_are_skipped() {
    for (entry, text) in [
        (without(jwt_entry("a"), "kid"), "it has no key ID"),
        (with(jwt_entry("a"), "kid", ""), "it has no key ID"),
        (with(jwt_entry("a"), "kid", 7), "it is not a well-formed key"),
        (with(jwt_entry("a"), "d", "AAAA"), "it is not a well-formed key"),
        (without(jwt_entry("a"), "x"), "the JWK has no member `x`"),
        (with(jwt_entry("a"), "alg", "ES384"), "its algorithm `ES384` is not one for JWT-SVIDs or not one for the key"),
        (with(jwt_entry("a"), "key_ops", json!(["sign"])), "its operations do not hold `verify`"),
    ] {
        assert_eq!(skipped(&entry).to_string(), text, "{entry}");
    }
}

#[test]
fn x509_entries_that_are_skipped() {
    let root = authority_of("td.example", KeyType::EcdsaP256);
    let workload = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
    let id = "spiffe://td.example/w".parse().unwrap();
    let request = LeafRequest::new(id, workload.public_key(), Duration::HOUR).unwrap();
    let leaf = root.issue(&request, &mut UnwrapErr(getrandom::SysRng), now()).unwrap();
    let leaf_entry = workload.public_key().to_jwk().with_use("x509-svid").with_x5c_der(leaf.chain());
    let mut trailing = authority(1).to_vec();
    trailing.push(0);
    for (entry, text) in [
        (without(x509_entry(1), "x5c"), "it has no certificate"),
        (with(x509_entry(1), "x5c", json!([])), "it has no certificate"),
        (with(x509_entry(1), "x5c", Value::Null), "it is not a well-formed key"),
        (with(x509_entry(1), "x5c", "AAAA"), "it is not a well-formed key"),
        (with(x509_entry(1), "x5c", json!(["-----BEGIN"])), "JWK member `x5c` is not base64 of DER certificates"),
        (with(x509_entry(1), "x5c", json!([""])), "certificate 1 is malformed: it is not DER"),
        (with(x509_entry(1), "x5c", json!(["AAAA"])), "certificate 1 is malformed: it is not DER"),
        (
            with(x509_entry(1), "x5c", json!([STANDARD.encode(&trailing)])),
            "certificate 1 is malformed: bytes follow it",
        ),
        // RFC 7517 §4.7: the key of the certificate is the key of the entry.
        (with(x509_entry(1), "x5c", x509_entry(2)["x5c"].take()), "its certificate is for another key"),
        (
            with(x509_entry(1), "x5c", json!([STANDARD.encode(root.certificate())])),
            "its certificate is for another key",
        ),
        (without(x509_entry(1), "y"), "the JWK has no member `y`"),
        (
            serde_json::to_value(&leaf_entry).unwrap(),
            "a certificate that signs is not one to sign SVIDs with: it is not a CA's",
        ),
    ] {
        assert_eq!(skipped(&entry).to_string(), text, "{entry}");
    }
}

#[test]
fn of_several_certificates_the_first_counts() {
    let first = x509_entry(0)["x5c"][0].take();
    let second = x509_entry(1)["x5c"][0].take();
    for others in [json!([first, second]), json!([first, first]), json!([first, "no base64"])] {
        let read = read(&json!({"keys": [with(x509_entry(0), "x5c", others)]}));
        assert_eq!(read.x509().authorities(), [authority(0)]);
        assert!(read.skipped().is_empty());
    }
}

#[test]
fn a_key_id_beside_a_certificate_does_not_count() {
    let read = read(&json!({"keys": [with(x509_entry(0), "kid", "k"), x509_entry(0)]}));
    assert_eq!(read.x509().authorities(), [authority(0)], "twice the same is once");
    assert_eq!(value(&read)["keys"], json!([x509_entry(0)]));
}

#[test]
fn an_entry_with_a_member_twice_is_skipped() {
    let entry = jwt_entry("a").to_string().replacen('{', r#"{"use":"x509-svid","#, 1);
    let json = format!(r#"{{"keys":[{entry},{}]}}"#, jwt_entry("k"));
    let read = Bundle::from_json(td("td.example"), json.as_bytes()).unwrap();
    assert_eq!(read, bundle(&[], &["k"]));
    assert_eq!(read.skipped()[0].to_string(), "entry 0 `a` skipped: member `use` occurs twice");
}

#[test]
fn documents_that_are_refused() {
    let number = |member| format!("member `{member}` of the bundle is not an integer from 0 to 18446744073709551615");
    let sequence = number("spiffe_sequence");
    let hint = number("spiffe_refresh_hint");
    for (json, text) in [
        ("", "the key set is not a JSON object, fault at line 1, column 0"),
        ("[]", "the key set is not a JSON object, fault at line 1, column 0"),
        ("{\"keys\":[]}x", "the key set is not a JSON object, fault at line 1, column 12"),
        (r#"{"spiffe_refresh_hint": 60, "spiffe_sequence": 1}"#, "the key set has no list `keys`"),
        (r#"{"keys": null}"#, "the key set has no list `keys`"),
        (r#"{"keys": {}}"#, "the key set has no list `keys`"),
        (r#"{"keys": [], "keys": []}"#, "member `keys` occurs twice in the key set"),
        (
            r#"{"spiffe_sequence": 2, "keys": [], "spiffe_sequence": 1}"#,
            "member `spiffe_sequence` occurs twice in the key set",
        ),
        (r#"{"keys": [], "x": {"y": 1, "y": 1}}"#, "member `y` occurs twice in the key set"),
        (r#"{"keys": [], "spiffe_sequence": {"y": 1, "y": 1}}"#, "member `y` occurs twice in the key set"),
        (r#"{"keys": [], "spiffe_sequence": -1}"#, &sequence),
        (r#"{"keys": [], "spiffe_sequence": 18446744073709551616}"#, &sequence),
        (r#"{"keys": [], "spiffe_sequence": 1.0}"#, &sequence),
        (r#"{"keys": [], "spiffe_sequence": "1"}"#, &sequence),
        (r#"{"keys": [], "spiffe_sequence": null}"#, &sequence),
        (r#"{"keys": [], "spiffe_sequence": [1]}"#, &sequence),
        (r#"{"keys": [], "spiffe_refresh_hint": true}"#, &hint),
        (r#"{"keys": [], "spiffe_refresh_hint": {}}"#, &hint),
        (r#"{"keys": [], "spiffe_refresh_hint": 1e3}"#, &hint),
    ] {
        let error = Bundle::from_json(td("td.example"), json.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), text, "{json}");
        assert_eq!(error.kind(), ErrorKind::Malformed);
    }
}

#[test]
fn bounds_hold_and_one_more_does_not() {
    let entries = |n: usize| format!(r#"{{"keys":[{}]}}"#, vec!["{}"; n].join(","));
    let read = |json: &str| Bundle::from_json(td("td.example"), json.as_bytes());
    assert_eq!(read(&entries(MAX_KEYS)).unwrap().skipped().len(), MAX_KEYS);
    assert_eq!(read(&entries(MAX_KEYS + 1)).unwrap_err().to_string(), "the key set has more than 1024 keys");
    let padded = |n: usize| format!("{}{}", r#"{"keys":[]}"#, " ".repeat(n - 11));
    assert!(read(&padded(MAX_JWKS_BYTES)).is_ok());
    let error = read(&padded(MAX_JWKS_BYTES + 1)).unwrap_err();
    assert_eq!(error.to_string(), "a key set of 1048577 bytes is longer than the limit of 1048576");
    let deep = format!(r#"{{"keys":[],"x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(read(&deep).unwrap_err().kind(), ErrorKind::Malformed);
}

#[test]
fn what_cannot_be_published() {
    let unnamed = json!({"keys": [without(with(jwt_entry("k"), "use", "sig"), "kid")]}).to_string();
    let unnamed = keyward_svid::JwkSet::from_json(unnamed.as_bytes(), keyward_svid::KeyUse::Signature).unwrap();
    let error = Bundle::new(td("td.example"), [], unnamed.keys().to_vec()).unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.kind()),
        ("a published key needs a key ID", ErrorKind::Misconfigured)
    );
    let error = Bundle::new(td("td.example"), [vec![0x30, 0].into()], []).unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.kind()),
        ("an authority cannot be published", ErrorKind::Misconfigured)
    );
}

#[test]
fn pem_in_and_out() {
    let whole = bundle(&[0, 1], &["k"]);
    let pem = whole.to_pem();
    assert_eq!(pem.matches("-----BEGIN CERTIFICATE-----").count(), 2);
    let read = Bundle::from_pem(td("td.example"), &pem).unwrap();
    assert_eq!(read, bundle(&[0, 1], &[]), "no JWT keys, no number");
    assert!(Bundle::from_pem(td("td.example"), "hello").is_err());
}

#[test]
fn equality_is_that_of_content() {
    let base = || bundle(&[0, 1], &["a", "b"]).with_sequence(7).with_refresh_hint(60);
    assert_eq!(base(), base().clone());
    let shuffled = bundle(&[1, 0], &["b", "a"]).with_sequence(7).with_refresh_hint(60);
    assert_eq!(base(), shuffled, "some implementations write them in any order");
    let elsewhere = Bundle::from_json(td("other.example"), base().to_json().as_bytes()).unwrap();
    for (other, why) in [
        (elsewhere, "trust domain"),
        (base().with_sequence(8), "sequence"),
        (bundle(&[0, 1], &["a", "b"]).with_refresh_hint(60), "no sequence"),
        (base().with_refresh_hint(61), "hint"),
        (bundle(&[0, 1], &["a", "b"]).with_sequence(7), "no hint"),
        (bundle(&[0], &["a", "b"]).with_sequence(7).with_refresh_hint(60), "fewer authorities"),
        (bundle(&[0, 2], &["a", "b"]).with_sequence(7).with_refresh_hint(60), "other authorities"),
        (bundle(&[0, 1], &["a"]).with_sequence(7).with_refresh_hint(60), "fewer keys"),
        // `a` and `e` name the same key.
        (bundle(&[0, 1], &["e", "b"]).with_sequence(7).with_refresh_hint(60), "other names"),
        (bundle(&[0, 1], &["a", "b", "b"]).with_sequence(7).with_refresh_hint(60), "a key twice"),
    ] {
        assert_ne!(base(), other, "{why}");
    }
}

#[test]
fn which_bundle_follows_which() {
    let numbered = |n| bundle(&[0], &["a"]).with_sequence(n);
    let other = || bundle(&[1], &["b"]);
    for (held, newer, change) in [
        (numbered(7), numbered(7), Change::None),
        (numbered(7), numbered(8), Change::Newer),
        (numbered(7), other().with_sequence(8), Change::Newer),
        (numbered(7), other().with_sequence(u64::MAX), Change::Newer),
        (numbered(7), other().with_sequence(7), Change::Unannounced),
        (numbered(7), numbered(7).with_refresh_hint(9), Change::Unannounced),
        // "If the trust bundle omits the sequence number, operators SHOULD consider the most recently retrieved bundle
        // to be up-to-date" (SPIFFE Federation §4.2).
        (numbered(7), other(), Change::Unnumbered),
        (other(), numbered(0), Change::Newer),
        (other(), other(), Change::None),
    ] {
        assert_eq!(held.change_to(&newer), Ok(change));
        assert_eq!(held.accept_newer(newer.clone()).unwrap(), newer);
    }
    let error = numbered(8).accept_newer(other().with_sequence(7)).unwrap_err();
    assert_eq!(error, Error::Rollback { trust_domain: td("td.example"), held: 8, offered: 7 });
    assert_eq!(error.to_string(), "bundle 7 of trust domain `td.example` is older than bundle 8, the latest known");
    assert_eq!(error.kind(), ErrorKind::Refused);
    let foreign = Bundle::new(td("other.example"), [], []).unwrap();
    let error = numbered(1).accept_newer(foreign).unwrap_err();
    assert_eq!(error.to_string(), "the bundle belongs to trust domain `other.example`, not to `td.example`");
}

#[test]
fn the_document_is_read_by_others() {
    let bundle = bundle(&[0, 1], &["a", "b"]).with_sequence(3);
    // Their JWT bundles are whole key sets: ours without the entries for X.509, which have no `kid`.
    let mut document = value(&bundle);
    document["keys"].as_array_mut().unwrap().retain(|entry| entry["use"] == "jwt-svid");
    let theirs = spiffe::JwtBundle::from_jwt_authorities(
        spiffe::TrustDomain::new("td.example").unwrap(),
        document.to_string().as_bytes(),
    );
    assert!(theirs.unwrap().find_jwt_authority("b").is_some());
    let der: Vec<u8> = bundle.x509().authorities().iter().flat_map(|authority| authority.to_vec()).collect();
    let theirs = spiffe::X509Bundle::from_x509_authorities(
        spiffe::TrustDomain::new("td.example").unwrap(),
        &[&bundle.x509().authorities()[0], &bundle.x509().authorities()[1]],
    );
    assert_eq!(theirs.unwrap().authorities().len(), 2);
    assert_eq!(keyward_svid::x509::chain_from_der_concat(&der).unwrap(), bundle.x509().authorities());
}

#[cfg(feature = "wit")]
#[test]
fn keys_for_wit_svids_are_a_third_kind() {
    let whole = bundle(&[0], &["a"]).with_wit_keys([jwt_key("b")]).unwrap();
    assert_eq!(value(&whole)["keys"][2]["use"], "wit-svid");
    let again = read(&value(&whole));
    assert_eq!(again, whole);
    assert_eq!(again.wit().keys().keys(), [jwt_key("b")]);
    assert_ne!(again, bundle(&[0], &["a"]));
    assert!(!read(&json!({"keys": [value(&whole)["keys"][2]]})).is_empty());
    let error = bundle(&[], &["a"]).with_wit_keys([jwt_key("b"), jwt_key("a")]).unwrap_err();
    assert_eq!(error.to_string(), "two keys of the bundle have the key ID `a`");
    assert_eq!(skipped(&without(with(jwt_entry("b"), "use", "wit-svid"), "kid")), SkipReason::NoKeyId);
}

/// What path validation could not use is one entry's fault.
#[test]
fn an_authority_that_path_validation_cannot_read_is_skipped() {
    use rcgen::PublicKeyData as _;
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    // cRLDistributionPoints that are no sequence.
    params.custom_extensions.push(rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 31], vec![4, 0]));
    let certificate = params.self_signed(&key).unwrap();
    let public = keyward_keys::PublicKey::from_spki_der(&key.subject_public_key_info()).unwrap();
    let jwk = public.to_jwk().with_use("x509-svid").with_x5c_der([certificate.der()]);
    let reason = skipped(&serde_json::to_value(jwk).unwrap());
    assert!(matches!(reason, SkipReason::Certificate(_)), "{reason:?}");
}

/// What no JWK holds is read and forgotten; its duplicates are found nevertheless.
#[test]
fn objects_inside_an_entry() {
    let mut entry = jwt_entry("n");
    entry["more"] = json!({"a": [{"b": [{}]}], "c": {"d": 1}});
    let found = read(&json!({"keys": [entry]}));
    assert_eq!(found, bundle(&[], &["n"]));
    let text = json!({"keys": [jwt_entry("k"), {"kty": "EC", "more": ["@"]}]}).to_string();
    let twice = text.replace(r#""@""#, r#"{"a": [{"b": 1, "b": 2}]}"#);
    let found = keyward_svid::Bundle::from_json(td("td.example"), twice.as_bytes()).unwrap();
    assert_eq!(found, bundle(&[], &["k"]));
    assert_eq!(found.skipped()[0].reason, SkipReason::Duplicate { name: "b".to_owned() });
}
