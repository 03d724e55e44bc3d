//! A body of a client of Vault reads the same from its bytes and from what they say; whatever is read strictly is read leniently, to the
//! same values; and what was read leniently is read again from its own writing.
#![no_main]

#[path = "../../examples/control-tower/src/http/vault/body/lenient.rs"]
mod lenient;

use std::collections::BTreeMap;

use lenient::Lenient;
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Body {
    flag: bool,
    maybe: Option<bool>,
    small: u8,
    number: Option<u32>,
    signed: i64,
    text: Option<String>,
    one_of: OneOf,
    named: BTreeMap<String, bool>,
    pair: (u16, bool),
    batch_input: Vec<Body>,
    inner: Option<Box<Body>>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OneOf {
    #[default]
    None,
    Some(u16),
    Fields {
        flag: bool,
    },
}

fn read(text: &str) -> Result<Body, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let body = Body::deserialize(Lenient(&mut json))?;
    json.end().map(|()| body)
}

fuzz_target!(|text: &str| {
    let body = read(text);
    if let Ok(strict) = serde_json::from_str::<Body>(text) {
        assert_eq!(body.as_ref().ok(), Some(&strict));
    }
    // What stands twice is one in a value, and a number that no field wants may be one that none can hold.
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    let from_value = Body::deserialize(Lenient(&value));
    if let Ok(body) = body {
        assert_eq!(from_value.unwrap(), body);
        let written = serde_json::to_string(&body).unwrap();
        assert_eq!(read(&written).unwrap(), body);
        assert_eq!(serde_json::from_str::<Body>(&written).unwrap(), body);
    }
});
