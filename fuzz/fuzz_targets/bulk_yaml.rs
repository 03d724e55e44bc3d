//! A document that was read is shown as JSON that reads to the same; a refusal is short and names a line of the text.
#![no_main]

use keyward_config_tree::{Bulk, Document};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| match Bulk::parse(bytes) {
    Ok(bulk) => {
        for item in bulk.items() {
            let shown = item.document().to_string();
            assert_eq!(&Document::from_json(shown.as_bytes()).expect("what was shown is read"), item.document());
            assert_eq!(item.path().to_string().parse().as_ref(), Ok(item.path()));
        }
    }
    Err(error) => {
        assert!(error.to_string().len() < 8_000, "{error}");
        assert!(error.line().is_none_or(|line| line <= 2 + bytes.iter().filter(|b| b.is_ascii_control()).count()));
    }
});
