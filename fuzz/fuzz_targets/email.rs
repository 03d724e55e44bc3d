//! An address that parses is canonical.
#![no_main]

use keyward_webauthn_login::Email;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(email) = text.parse::<Email>() {
        assert!(email.as_str().is_ascii() && email.as_str().len() <= Email::MAX_LEN);
        assert_eq!(email.as_str().parse::<Email>().unwrap(), email);
    }
});
