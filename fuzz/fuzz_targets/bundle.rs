//! No entry of a bundle is lost: each is taken or reported; what was taken is written and read as the same; and a bundle
//! follows itself.
#![no_main]

use keyward_svid::bundle::{Bundle, BundleSet, Change};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    let trust_domain = || "td.example".parse().unwrap();
    if let Ok(bundle) = Bundle::from_json(trust_domain(), json) {
        let again = Bundle::from_json(trust_domain(), bundle.to_json().as_bytes()).unwrap();
        assert!(again == bundle && again.skipped().is_empty());
        assert_eq!(bundle.change_to(&again), Ok(Change::None));
        let written: serde_json::Value = serde_json::from_str(&bundle.to_json()).unwrap();
        assert_eq!(bundle.is_empty(), written["keys"].as_array().unwrap().is_empty());
        assert!(bundle.skipped().iter().all(|skipped| skipped.to_string().len() < 1000));
    }
    if let Ok(map) = BundleSet::from_json(json) {
        assert!(BundleSet::from_json(map.to_json().as_bytes()).unwrap() == map);
    }
});
