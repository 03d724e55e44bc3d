//! What is read as a JWK is written and read again as the same; a key keeps its identity through JWK and SPKI.
#![no_main]

use keyward_keys::{Jwk, PublicKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    let Ok(jwk) = serde_json::from_slice::<Jwk>(json) else { return };
    let written = serde_json::to_string(&jwk).unwrap();
    assert_eq!(serde_json::from_str::<Jwk>(&written).unwrap(), jwk);
    let Ok(key) = PublicKey::from_jwk(&jwk) else { return };
    assert_eq!(PublicKey::from_jwk(&key.to_jwk()).as_ref(), Ok(&key));
    assert_eq!(PublicKey::from_spki_der(&key.to_spki_der()).as_ref(), Ok(&key));
});
