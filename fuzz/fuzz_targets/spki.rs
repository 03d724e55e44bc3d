//! What is read as a `SubjectPublicKeyInfo` is written as the same bytes.
#![no_main]

use keyward_keys::PublicKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|der: &[u8]| {
    if let Ok(key) = PublicKey::from_spki_der(der) {
        assert_eq!(key.to_spki_der(), der);
        assert_eq!(PublicKey::from_jwk(&key.to_jwk()).as_ref(), Ok(&key));
    }
});
