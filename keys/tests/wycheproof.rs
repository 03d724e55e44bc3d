//! Every signature vector of Wycheproof for ECDSA, RSA and EdDSA, on whichever backend serves. What JOSE has is accepted
//! or refused as the vectors say; what it has not (other curves, hashes, salts, key parameters) is refused, always.
//! The number of cases and of accepted ones stands beside each file, so that none is passed over in silence.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_keys::{Algorithm, Error, PublicKey};
use wycheproof::{EllipticCurve, HashFunction, Mgf, TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

/// The cases of one file: all of them, and those that were accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    cases: usize,
    accepted: usize,
}

impl Tally {
    /// Compares what we found with what the vector says, without exception. What is merely `acceptable`, a legacy form,
    /// we refuse.
    fn case(&mut self, file: &str, id: usize, expected: TestResult, found: Result<(), Error>) {
        let accepted = expected == TestResult::Valid;
        assert_eq!(found, if accepted { Ok(()) } else { Err(Error::BadSignature) }, "{file} {id}");
        self.cases += 1;
        self.accepted += usize::from(accepted);
    }

    /// A signature under an algorithm that JOSE has no name for verifies under none of ours, in no form. A case that is
    /// invalid in its file may have been made with one of ours instead, such as another hash or salt, and is of that
    /// one only.
    fn never(
        &mut self,
        file: &str,
        id: usize,
        expected: TestResult,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) {
        let fitting = Algorithm::ALL.iter().filter(|algorithm| algorithm.fits(key));
        let takers: Vec<_> = fitting
            .filter(|algorithm| {
                key.verify(**algorithm, message, signature).is_ok()
                    || key.verify_asn1(**algorithm, message, signature).is_ok()
            })
            .collect();
        assert!(takers.len() <= usize::from(expected == TestResult::Invalid), "{file} {id}: {takers:?}");
        self.cases += 1;
        self.accepted += takers.len();
    }
}

/// A key that we read, and write as it came.
fn public(der: &[u8]) -> PublicKey {
    let key = PublicKey::from_spki_der(der).unwrap();
    assert_eq!(key.to_spki_der(), der);
    key
}

/// A key by its numbers, for the files whose DER form we do not read.
fn rsa(modulus: &[u8], exponent: &[u8]) -> PublicKey {
    let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(&bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]);
    let jwk = serde_json::json!({"kty": "RSA", "n": number(modulus), "e": number(exponent)});
    PublicKey::from_jwk(&serde_json::from_value(jwk).unwrap()).unwrap()
}

#[test]
fn ecdsa_with_the_hash_of_the_curve() {
    use ecdsa::TestName as Name;
    for (name, algorithm, cases, accepted) in [
        (Name::EcdsaSecp256r1Sha256, Algorithm::Es256, 484, 174),
        (Name::EcdsaSecp256r1Sha256P1363, Algorithm::Es256, 262, 173),
        (Name::EcdsaSecp384r1Sha384, Algorithm::Es384, 504, 194),
        (Name::EcdsaSecp384r1Sha384P1363, Algorithm::Es384, 280, 193),
        (Name::EcdsaSecp521r1Sha512, Algorithm::Es512, 542, 232),
        (Name::EcdsaSecp521r1Sha512P1363, Algorithm::Es512, 318, 231),
    ] {
        let mut tally = Tally::default();
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let key = public(&group.der);
            let fixed = group.test_type == ecdsa::TestGroupTypeId::EcdsaP1363;
            let (verify, other): (fn(&_, _, &_, &_) -> _, fn(&_, _, &_, &_) -> _) = if fixed {
                (PublicKey::verify, PublicKey::verify_asn1)
            } else {
                (PublicKey::verify_asn1, PublicKey::verify)
            };
            for test in group.tests {
                let file = format!("{name:?}");
                tally.case(&file, test.tc_id, test.result, verify(&key, algorithm, &test.msg, &test.sig));
                // The two forms are never taken for each other.
                assert_eq!(other(&key, algorithm, &test.msg, &test.sig), Err(Error::BadSignature), "{file}");
            }
        }
        assert_eq!(tally, Tally { cases, accepted }, "{name:?}");
    }
}

#[test]
fn ecdsa_with_another_curve_or_hash() {
    use EllipticCurve::{Secp256r1, Secp384r1, Secp521r1};
    let (mut hashes, mut curves) = (Tally::default(), Tally::default());
    for name in ecdsa::TestName::all() {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            match (group.key.curve, group.hash) {
                (Secp256r1, HashFunction::Sha2_256)
                | (Secp384r1, HashFunction::Sha2_384)
                | (Secp521r1, HashFunction::Sha2_512) => {}
                (Secp256r1 | Secp384r1 | Secp521r1, _) => {
                    let key = public(&group.der);
                    for test in group.tests {
                        hashes.never(&format!("{name:?}"), test.tc_id, test.result, &key, &test.msg, &test.sig);
                    }
                }
                _ => {
                    let error = PublicKey::from_spki_der(&group.der).unwrap_err();
                    assert!(matches!(error, Error::Unsupported { what: "curve", .. }), "{name:?}: {error}");
                    curves.cases += group.tests.len();
                }
            }
        }
    }
    assert_eq!((hashes.cases, hashes.accepted, curves.cases), (7_262, 0, 20_251));
}

#[test]
fn rsa_pkcs1() {
    use rsa_pkcs1_verify::TestName as Name;
    for (name, algorithm, cases, accepted) in [
        (Name::Rsa2048Sha256, Algorithm::Rs256, 259, 9),
        (Name::Rsa2048Sha384, Algorithm::Rs384, 258, 7),
        (Name::Rsa2048Sha512, Algorithm::Rs512, 259, 8),
        (Name::Rsa3072Sha256, Algorithm::Rs256, 259, 8),
        (Name::Rsa3072Sha384, Algorithm::Rs384, 259, 7),
        (Name::Rsa3072Sha512, Algorithm::Rs512, 260, 8),
        (Name::Rsa4096Sha256, Algorithm::Rs256, 258, 7),
        (Name::Rsa4096Sha384, Algorithm::Rs384, 259, 7),
        (Name::Rsa4096Sha512, Algorithm::Rs512, 259, 7),
        (Name::Rsa8192Sha256, Algorithm::Rs256, 258, 7),
        (Name::Rsa8192Sha384, Algorithm::Rs384, 259, 7),
        (Name::Rsa8192Sha512, Algorithm::Rs512, 259, 7),
    ] {
        let mut tally = Tally::default();
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let key = public(&group.der);
            for test in group.tests {
                let found = key.verify(algorithm, &test.msg, &test.sig);
                tally.case(&format!("{name:?}"), test.tc_id, test.result, found);
            }
        }
        assert_eq!(tally, Tally { cases, accepted }, "{name:?}");
    }
}

#[test]
fn rsa_pkcs1_with_another_hash() {
    use HashFunction::{Sha2_256, Sha2_384, Sha2_512};
    let mut tally = Tally::default();
    for name in rsa_pkcs1_verify::TestName::all() {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            if matches!(group.hash, Sha2_256 | Sha2_384 | Sha2_512) {
                continue;
            }
            let key = public(&group.der);
            for test in group.tests {
                tally.never(&format!("{name:?}"), test.tc_id, test.result, &key, &test.msg, &test.sig);
            }
        }
    }
    assert_eq!(tally, Tally { cases: 3_096, accepted: 36 });
}

/// RFC 7518 §3.5: the same hash for message and mask, and a salt as long as the hash.
#[test]
fn rsa_pss() {
    let (mut ours, mut others, mut bound) = (Tally::default(), Tally::default(), 0);
    for name in rsa_pss_verify::TestName::all() {
        let file = format!("{name:?}");
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let key = rsa(&group.key.n, &group.key.e);
            // A key bound to its parameters (RFC 4055 §1.2) has no JWK; only the plain form is read.
            match PublicKey::from_spki_der(&group.der) {
                Ok(read) => assert_eq!(read, key, "{file}"),
                Err(error) => {
                    let found = "1.2.840.113549.1.1.10".to_owned();
                    assert_eq!(error, Error::Unsupported { what: "public key algorithm", found }, "{file}");
                    bound += 1;
                }
            }
            let algorithm = match (group.hash, group.mgf, group.mgf_hash, group.salt_size) {
                (HashFunction::Sha2_256, Mgf::Mgf1, Some(HashFunction::Sha2_256), 32) => Some(Algorithm::Ps256),
                (HashFunction::Sha2_384, Mgf::Mgf1, Some(HashFunction::Sha2_384), 48) => Some(Algorithm::Ps384),
                (HashFunction::Sha2_512, Mgf::Mgf1, Some(HashFunction::Sha2_512), 64) => Some(Algorithm::Ps512),
                _ => None,
            };
            for test in group.tests {
                match algorithm {
                    Some(algorithm) => {
                        let found = key.verify(algorithm, &test.msg, &test.sig);
                        ours.case(&file, test.tc_id, test.result, found);
                    }
                    None => {
                        others.never(&file, test.tc_id, test.result, &key, &test.msg, &test.sig);
                    }
                }
            }
        }
    }
    assert_eq!(ours, Tally { cases: 1_186, accepted: 775 });
    assert_eq!((others, bound), (Tally { cases: 2_311, accepted: 20 }, 157));
}

/// Beyond JOSE: salts of any length, with the hash function of the message for the mask too.
#[test]
fn rsa_pss_with_salts_of_any_length() {
    use keyward_keys::HashFunction as Ours;
    let (mut tally, mut others) = (Tally::default(), 0);
    for name in rsa_pss_verify::TestName::all() {
        let file = format!("{name:?}");
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let hash = match (group.mgf, group.hash, group.mgf_hash) {
                (Mgf::Mgf1, HashFunction::Sha2_224, Some(HashFunction::Sha2_224)) => Ours::Sha2_224,
                (Mgf::Mgf1, HashFunction::Sha2_256, Some(HashFunction::Sha2_256)) => Ours::Sha2_256,
                (Mgf::Mgf1, HashFunction::Sha2_384, Some(HashFunction::Sha2_384)) => Ours::Sha2_384,
                (Mgf::Mgf1, HashFunction::Sha2_512, Some(HashFunction::Sha2_512)) => Ours::Sha2_512,
                _ => {
                    others += group.tests.len();
                    continue;
                }
            };
            let key = rsa(&group.key.n, &group.key.e);
            if let Some(test) = group.tests.iter().find(|test| test.result == TestResult::Valid) {
                let digest = hash.digest(&test.msg);
                assert_eq!(key.verify_pss(hash, None, &digest, &test.sig), Ok(()));
                let longer = Some(group.salt_size + 1);
                assert_eq!(key.verify_pss(hash, longer, &digest, &test.sig), Err(Error::BadSignature));
            }
            for test in group.tests {
                let found = key.verify_pss(hash, Some(group.salt_size), &hash.digest(&test.msg), &test.sig);
                tally.case(&file, test.tc_id, test.result, found);
            }
        }
    }
    assert_eq!((tally, others), (Tally { cases: 1_788, accepted: 1_203 }, 1_709));
}

#[test]
fn ed25519_and_not_ed448() {
    let mut tally = Tally::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = public(&group.der);
        for test in group.tests {
            tally.case("Ed25519", test.tc_id, test.result, key.verify(Algorithm::EdDsa, &test.msg, &test.sig));
        }
    }
    assert_eq!(tally, Tally { cases: 151, accepted: 88 });

    let mut refused = 0;
    for group in eddsa::TestSet::load(eddsa::TestName::Ed448).unwrap().test_groups {
        let found = "1.3.101.113".to_owned();
        let expected = Error::Unsupported { what: "public key algorithm", found };
        assert_eq!(PublicKey::from_spki_der(&group.der).unwrap_err(), expected);
        refused += group.tests.len();
    }
    assert_eq!(refused, 87);
}
