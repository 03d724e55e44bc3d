//! A text with variables is written as it was read, and is itself where each variable has its own spelling as value.
#![no_main]

use keyward_config_values::Template;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(template) = text.parse::<Template>() else { return };
    assert_eq!(template.to_string(), text);
    let spelt: Vec<(String, String)> =
        template.variables().map(|name| (name.to_string(), format!("${{{name}}}"))).collect();
    let value = |name: &keyward_config_values::VariableName| {
        spelt.iter().find(|(known, _)| known == name.as_str()).map(|(_, value)| value.as_str())
    };
    assert_eq!(template.bind(value).unwrap(), text);
    assert!(template.matches(text, value).unwrap());
    assert_eq!(template.bind(|_| None).is_ok(), !template.has_variables());
});
