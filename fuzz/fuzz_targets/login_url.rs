//! A login URL that parses is the one that it displays.
#![no_main]

use keyward_webauthn_login::LoginUrl;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(url) = text.parse::<LoginUrl>() {
        let canonical = url.to_string();
        assert_eq!(canonical.parse::<LoginUrl>().unwrap(), url);
        assert!(canonical.is_ascii() && !canonical.contains(['?', '#', '\\']) && !canonical.contains("//"));
    }
});
