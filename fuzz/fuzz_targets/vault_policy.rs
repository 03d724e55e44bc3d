//! Rules that a policy of Vault comes to are such as a document may have, and the same each time; a name beside it changes nothing.
#![no_main]

use keyward_approle::{PolicyConfig, vault_rules};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(rules) = vault_rules(text) else { return };
    assert_eq!(vault_rules(text).as_ref(), Ok(&rules));
    let policy = PolicyConfig::from_vault("fuzzed".parse().unwrap(), text).unwrap();
    policy.validate().unwrap();
    let written = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<PolicyConfig>(&written).unwrap(), policy);
    if text.starts_with("path") && text.len() < 1000 {
        assert_eq!(vault_rules(&format!("name = \"n\"\n{text}")), Ok(rules));
    }
});
