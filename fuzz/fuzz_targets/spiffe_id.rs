#![no_main]
//! A SPIFFE ID that reads is its own text, is put together from its parts, and survives leniency.

use keyward_spiffe_id::{SpiffeId, SpiffeIdRef};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let lenient = SpiffeId::parse_lenient(text);
    let Ok(id) = SpiffeIdRef::parse(text) else {
        assert!(lenient.is_err() || text != text.to_ascii_lowercase());
        return;
    };
    assert_eq!(lenient.as_ref(), Ok(&id.to_owned()));
    assert_eq!(id.to_string(), text);
    assert_eq!(SpiffeId::from_segments(id.trust_domain(), id.segments()), Ok(id.to_owned()));
    assert!(id.segments().all(|s| !s.is_empty() && s != "." && s != ".."));
    assert!(text.len() <= SpiffeId::MAX_LEN && text.is_ascii());
});
