//! A duration that parses is shown in a form that parses to the same, and its error is short.
#![no_main]

use keyward_config_values::Duration;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| match text.parse::<Duration>() {
    Ok(duration) => {
        assert!(Duration::MIN <= duration && duration <= Duration::MAX);
        assert_eq!(duration.to_string().parse(), Ok(duration));
    }
    Err(error) => assert!(error.to_string().len() < 1_000),
});
