//! Stored records: JSON with a `format` number that only grows. Older ones are read, newer ones are refused by their number.
//!
//! ```
//! use keyward_config_values::record::{self, Format, RecordError};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Serialize, Deserialize)]
//! struct Stored {
//!     format: Format<2>,
//!     value: u8,
//! }
//!
//! let bytes = record::encode("sample", &Stored { format: Format, value: 7 })?;
//! assert_eq!(bytes, br#"{"format":2,"value":7}"#);
//!
//! let newer = record::decode::<Stored>("sample", 2, br#"{"format":3,"values":[7]}"#).unwrap_err();
//! assert_eq!(newer, RecordError::NewerFormat { record: "sample", found: 3, known: 2 });
//! # Ok::<(), RecordError>(())
//! ```

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, de::DeserializeOwned};

use crate::ErrorKind;

/// The format number of a record, for its field `format`: written as `KNOWN`, newer ones refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Format<const KNOWN: u32>;

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

/// Why a stored record is not read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A newer release wrote it.
    #[error("the stored {record} has format {found}, this release knows formats up to {known}")]
    NewerFormat {
        /// Which kind of record.
        record: &'static str,
        /// The number found.
        found: u64,
        /// The newest number that this release reads and writes.
        known: u32,
    },
    /// It is none.
    #[error("the stored {record} is damaged")]
    Damaged {
        /// Which kind of record.
        record: &'static str,
    },
}

impl RecordError {
    /// Always [`ErrorKind::Misconfigured`]: an operator has to act.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Misconfigured
    }
}

/// The record as it is stored.
///
/// # Errors
/// [`RecordError::Damaged`] when it holds what JSON cannot say, such as a time of no four-digit year.
pub fn encode(record: &'static str, value: &impl Serialize) -> Result<Vec<u8>, RecordError> {
    serde_json::to_vec(value).map_err(|_| RecordError::Damaged { record })
}

/// Reads a stored record, whose field `format` is a [`Format`] of the number `known`.
///
/// # Errors
/// [`RecordError`].
pub fn decode<T: DeserializeOwned>(record: &'static str, known: u32, bytes: &[u8]) -> Result<T, RecordError> {
    // Read once. A newer record is refused by its number, whatever shape it has; then the number says why.
    serde_json::from_slice(bytes).map_err(|_| match format(bytes) {
        Some(found) if found > u64::from(known) => RecordError::NewerFormat { record, found, known },
        _ => RecordError::Damaged { record },
    })
}

/// The format number of a record, whatever else is in it.
#[must_use]
pub fn format(bytes: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Head {
        format: u64,
    }
    serde_json::from_slice(bytes).ok().map(|Head { format }| format)
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

        for newer in [&br#"{"format":3,"shape":"unknown"}"#[..], br#"{"format":3,"value":7}"#] {
            let newer = decode::<Sample>("sample", 2, newer).unwrap_err();
            assert_eq!(newer, RecordError::NewerFormat { record: "sample", found: 3, known: 2 });
            assert_eq!(newer.to_string(), "the stored sample has format 3, this release knows formats up to 2");
            assert_eq!(newer.kind(), ErrorKind::Misconfigured);
        }

        for damaged in [&b"{}"[..], b"", br#"{"format":0,"value":7}"#, br#"{"format":2}"#] {
            let error = decode::<Sample>("sample", 2, damaged).unwrap_err();
            assert_eq!(error, RecordError::Damaged { record: "sample" });
            assert_eq!(error.to_string(), "the stored sample is damaged");
        }
    }
}
