//! Stored records: JSON with a `format` number that only grows.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Error;

/// The format number of a record, for its `format` field: written as `KNOWN`, newer ones refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Format<const KNOWN: u32>;

impl<const KNOWN: u32> Serialize for Format<KNOWN> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(KNOWN)
    }
}

impl<'de, const KNOWN: u32> Deserialize<'de> for Format<KNOWN> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            format if (1..=KNOWN).contains(&format) => Ok(Self),
            _ => Err(de::Error::custom("unknown record format")),
        }
    }
}

#[derive(Deserialize)]
struct Probe {
    format: u64,
}

pub(crate) fn encode(record: &'static str, value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|_| Error::Damaged { record })
}

pub(crate) fn decode<T: DeserializeOwned>(record: &'static str, known: u32, bytes: &[u8]) -> Result<T, Error> {
    // Read once. A newer record is refused by its number, whatever shape it has; then the number says why.
    serde_json::from_slice(bytes).map_err(|_| match serde_json::from_slice(bytes) {
        Ok(Probe { format }) if format > u64::from(known) => Error::NewerFormat { record, found: format, known },
        _ => Error::Damaged { record },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        format: Format<2>,
        value: u8,
    }

    #[test]
    fn older_and_known_formats_are_read_newer_ones_are_a_typed_error() {
        let sample = Sample { format: Format, value: 7 };
        let bytes = encode("sample", &sample).unwrap();
        assert_eq!(bytes, br#"{"format":2,"value":7}"#);
        assert_eq!(decode::<Sample>("sample", 2, &bytes).unwrap(), sample);
        assert_eq!(decode::<Sample>("sample", 2, br#"{"format":1,"value":7}"#).unwrap(), sample);

        let newer = decode::<Sample>("sample", 2, br#"{"format":3,"shape":"unknown"}"#).unwrap_err();
        assert_eq!(newer, Error::NewerFormat { record: "sample", found: 3, known: 2 });
        assert_eq!(newer.to_string(), "the stored sample has format 3, this release knows formats up to 2");
        assert_eq!(newer.kind(), keyward_config_values::ErrorKind::Misconfigured);

        for damaged in [&b"{}"[..], b"", br#"{"format":0,"value":7}"#, br#"{"format":2}"#] {
            let error = decode::<Sample>("sample", 2, damaged).unwrap_err();
            assert_eq!(error, Error::Damaged { record: "sample" });
            assert_eq!(error.to_string(), "the stored sample is damaged");
        }
    }
}
