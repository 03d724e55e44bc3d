//! A range with variables is written as it was read; with values it is nothing, or ranges that the set knows again.
#![no_main]

use keyward_config_values::Bindings;
use keyward_nft_marks::{Expansion, RangeExpression, RangeSet, RangeSpec};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (text, value) = input;
    let Ok(expression) = text.parse::<RangeExpression>() else { return };
    assert_eq!(expression.to_string(), text);
    let mut values = Bindings::default();
    for (place, name) in expression.variables().enumerate() {
        // A list in the first place.
        let list = (place == 0).then(|| format!("{name}[0]").parse().ok()).flatten();
        values.set(list.unwrap_or_else(|| name.clone()), value);
    }
    let spec = RangeSpec { ranges: vec![expression], ..RangeSpec::default() };
    let Ok(expansion) = Expansion::new("fuzzed", &spec, &values, 100) else { return };
    let ranges = expansion.ranges().to_vec();
    let Ok(set) = expansion.into_set() else { return };
    assert!(ranges.iter().all(|range| set.covers(range)));
    assert_eq!(RangeSet::new(set.iter().copied().collect()), Ok(set));
});
