//! Every vector of Wycheproof for AES-GCM, ChaCha20-Poly1305, HMAC, HKDF, AES-KWP and RSA-OAEP, and ECDSA over digests of
//! any hash function, on whichever backend serves. Counts stand beside each file, so that none is passed over in silence:
//! what we do not do (other nonces, tags, hash functions, labels) is counted as such.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use keyward_keys::{
    AeadAlgorithm, AeadKey, Algorithm, Error, HashFunction, HmacKey, PrivateKey, PublicKey, hkdf_sha256, unwrap_key,
    wrap_key,
};
use wycheproof::{TestResult, aead, ecdsa, hkdf, keywrap, mac, rsa_oaep};

/// The cases of one file: those tried, of which some were accepted, and those that we have no function for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    tried: usize,
    accepted: usize,
    other: usize,
}

impl Tally {
    fn case(&mut self, expected: TestResult, accepted: bool, what: impl std::fmt::Debug) {
        assert_eq!(accepted, expected == TestResult::Valid, "{what:?}");
        self.tried += 1;
        self.accepted += usize::from(accepted);
    }

    fn counts(&self) -> (usize, usize, usize) {
        (self.tried, self.accepted, self.other)
    }
}

#[test]
fn ciphers_with_associated_data() {
    use aead::TestName as Name;
    for (name, counts) in [(Name::AesGcm, (197, 116, 119)), (Name::ChaCha20Poly1305, (316, 256, 9))] {
        let mut tally = Tally::default();
        for group in aead::TestSet::load(name).unwrap().test_groups {
            let algorithm = match (name, group.key_size) {
                (Name::AesGcm, 128) => AeadAlgorithm::Aes128Gcm,
                (Name::AesGcm, 192) => AeadAlgorithm::Aes192Gcm,
                (Name::AesGcm, _) => AeadAlgorithm::Aes256Gcm,
                _ => AeadAlgorithm::ChaCha20Poly1305,
            };
            for test in group.tests {
                let Ok(nonce) = <&[u8; 12]>::try_from(test.nonce.as_slice()) else {
                    tally.other += 1;
                    continue;
                };
                let key = AeadKey::new(algorithm, &test.key).unwrap();
                let sealed = [test.ct.as_slice(), &test.tag].concat();
                let opened = key.open(nonce, &test.aad, &sealed);
                tally.case(test.result, opened.is_ok(), (name, test.tc_id));
                if let Ok(opened) = opened {
                    assert_eq!(opened.as_slice(), test.pt.as_slice());
                    assert_eq!(key.seal(nonce, &test.aad, &test.pt).unwrap(), sealed);
                }
            }
        }
        assert_eq!(tally.counts(), counts, "{name:?}");
    }
}

#[test]
fn hmacs() {
    use mac::TestName as Name;
    for (name, hash, counts) in [
        (Name::HmacSha224, HashFunction::Sha2_224, (87, 33, 85)),
        (Name::HmacSha256, HashFunction::Sha2_256, (87, 33, 87)),
        (Name::HmacSha384, HashFunction::Sha2_384, (87, 33, 87)),
        (Name::HmacSha512, HashFunction::Sha2_512, (87, 33, 87)),
        (Name::HmacSha3_256, HashFunction::Sha3_256, (87, 33, 87)),
        (Name::HmacSha3_384, HashFunction::Sha3_384, (87, 33, 87)),
        (Name::HmacSha3_512, HashFunction::Sha3_512, (87, 33, 87)),
    ] {
        let mut tally = Tally::default();
        for group in mac::TestSet::load(name).unwrap().test_groups {
            // A tag that was cut is refused, whatever the vector says of it.
            let whole = group.tag_size == hash.length() * 8;
            for test in group.tests {
                let key = HmacKey::from_bytes(&test.key);
                let found = key.verify(hash, &test.msg, &test.tag);
                if whole {
                    tally.case(test.result, found.is_ok(), (name, test.tc_id));
                } else {
                    assert_eq!(found, Err(Error::BadSignature));
                    let expected = key.sign(hash, &test.msg).starts_with(&test.tag);
                    assert_eq!(expected, test.result == TestResult::Valid, "{name:?} {}", test.tc_id);
                    tally.other += 1;
                }
            }
        }
        assert_eq!(tally.counts(), counts, "{name:?}");
    }
}

#[test]
fn derived_keys() {
    let mut tally = Tally::default();
    for group in hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap().test_groups {
        for test in group.tests {
            let mut key = vec![0; test.size];
            let made = hkdf_sha256(&test.salt, &test.ikm, &test.info, &mut key);
            tally.case(test.result, made.is_ok() && key == test.okm.as_slice(), test.tc_id);
        }
    }
    assert_eq!(tally.counts(), (86, 83, 0));
}

#[test]
fn wrapped_keys() {
    let mut tally = Tally::default();
    for group in keywrap::TestSet::load(keywrap::TestName::AesKeyWrapWithPadding).unwrap().test_groups {
        for test in group.tests {
            match unwrap_key(&test.key, &test.ct) {
                Ok(material) => {
                    tally.case(test.result, material.as_slice() == test.pt.as_slice(), test.tc_id);
                    assert_eq!(wrap_key(&test.key, &test.pt).unwrap(), test.ct.as_slice());
                }
                Err(Error::DecryptionFailed) => tally.case(test.result, false, test.tc_id),
                Err(error) => {
                    assert_eq!(error.to_string(), "a wrapping key of 24 bytes is not accepted, only 16 or 32");
                    tally.other += 1;
                }
            }
        }
    }
    assert_eq!(tally.counts(), (169, 50, 85));
}

#[test]
fn rsa_oaep_decryption() {
    let mut tally = Tally::default();
    for name in rsa_oaep::TestName::all() {
        for group in rsa_oaep::TestSet::load(name).unwrap().test_groups {
            let hash = match (group.hash, group.mgf_hash) {
                (wycheproof::HashFunction::Sha2_256, wycheproof::HashFunction::Sha2_256) => HashFunction::Sha2_256,
                (wycheproof::HashFunction::Sha2_384, wycheproof::HashFunction::Sha2_384) => HashFunction::Sha2_384,
                (wycheproof::HashFunction::Sha2_512, wycheproof::HashFunction::Sha2_512) => HashFunction::Sha2_512,
                _ => {
                    tally.other += group.tests.len();
                    continue;
                }
            };
            let Ok(key) = PrivateKey::from_pkcs8_der(&group.pkcs8) else {
                // Sizes that we have no keys of.
                assert!(!matches!(group.key_size, 2048 | 3072 | 4096), "{name:?}");
                tally.other += group.tests.len();
                continue;
            };
            for test in group.tests {
                let opened = key.decrypt_oaep(hash, &test.ct);
                if !test.label.is_empty() {
                    assert_eq!(opened, Err(Error::DecryptionFailed));
                    tally.other += 1;
                    continue;
                }
                let right = opened.is_ok_and(|opened| opened.as_slice() == test.pt.as_slice());
                tally.case(test.result, right, (name, test.tc_id));
            }
        }
    }
    assert_eq!(tally.counts(), (228, 97, 870));
}

/// Signatures over digests of any hash function, as ECDSA allows and JOSE does not.
#[test]
fn ecdsa_over_digests() {
    use wycheproof::{EllipticCurve, HashFunction as Theirs};
    let mut tally = Tally::default();
    for name in ecdsa::TestName::all() {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let algorithm = match group.key.curve {
                EllipticCurve::Secp256r1 => Algorithm::Es256,
                EllipticCurve::Secp384r1 => Algorithm::Es384,
                EllipticCurve::Secp521r1 => Algorithm::Es512,
                _ => continue,
            };
            let hash = match group.hash {
                Theirs::Sha2_224 => HashFunction::Sha2_224,
                Theirs::Sha2_256 => HashFunction::Sha2_256,
                Theirs::Sha2_384 => HashFunction::Sha2_384,
                Theirs::Sha2_512 => HashFunction::Sha2_512,
                Theirs::Sha3_256 => HashFunction::Sha3_256,
                Theirs::Sha3_384 => HashFunction::Sha3_384,
                Theirs::Sha3_512 => HashFunction::Sha3_512,
                _ => {
                    tally.other += group.tests.len();
                    continue;
                }
            };
            let key = PublicKey::from_spki_der(&group.der).unwrap();
            let fixed = group.test_type == ecdsa::TestGroupTypeId::EcdsaP1363;
            for test in group.tests {
                let digest = hash.digest(&test.msg);
                let found = if fixed {
                    key.verify_digest(algorithm, &digest, &test.sig)
                } else {
                    key.verify_digest_asn1(algorithm, &digest, &test.sig)
                };
                tally.case(test.result, found.is_ok(), (name, test.tc_id));
            }
        }
    }
    assert_eq!(tally.counts(), (7_212, 3_389, 2_440));
}
