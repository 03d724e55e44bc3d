//! A cookie that this deployment did not make is an empty list; one that it made is what was put in.
#![no_main]

use keyward_webauthn_login::{RememberedLogin, RememberedLogins, Secret};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let secret = Secret::from_bytes(&[7; 32]);
    assert_eq!(RememberedLogins::from_cookie(text, &secret), RememberedLogins::default());
    // The lines as entries.
    let mut logins = RememberedLogins::default();
    for line in text.lines().take(12) {
        if let Ok(login) = serde_json::from_str::<RememberedLogin>(line) {
            logins.remember(login);
        }
    }
    let read = RememberedLogins::from_cookie(&logins.to_cookie(&secret), &secret);
    assert!(logins.iter().zip(read.iter()).all(|(one, other)| one == other));
    assert_eq!(read.iter().next(), logins.iter().next());
});
