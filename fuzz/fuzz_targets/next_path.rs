//! A place to go that is accepted is on this site for every browser.
#![no_main]

use keyward_webauthn_login::NextPath;
use libfuzzer_sys::fuzz_target;
use url::Url;

fuzz_target!(|text: &str| {
    if let Ok(next) = text.parse::<NextPath>() {
        let base = Url::parse("https://tower.example.com/login").unwrap();
        assert_eq!(base.join(next.as_str()).unwrap().origin(), base.origin());
        assert_eq!(next.to_string().parse::<NextPath>().unwrap(), next);
    }
});
