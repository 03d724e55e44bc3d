//! No entry of a key set is lost: each is taken or reported; and what was taken is written and read as the same.
#![no_main]

use keyward_svid::jwt::JWT_SVID_ALGORITHMS;
use keyward_svid::{JwkSet, KeyUse};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|json: &[u8]| {
    for key_use in [KeyUse::Signature, KeyUse::JwtSvid] {
        let Ok(set) = JwkSet::from_json(json, key_use) else { continue };
        let document: Value = serde_json::from_slice(json).unwrap();
        assert_eq!(document["keys"].as_array().unwrap().len(), set.keys().len() + set.skipped().len());
        assert!(set.keys().iter().all(|key| JWT_SVID_ALGORITHMS.iter().any(|algorithm| key.fits(*algorithm))));
        let again = JwkSet::from_json(set.to_json().as_bytes(), key_use).unwrap();
        assert!(again == set && again.skipped().is_empty());
    }
});
