//! Text from bytes.

use crate::error::{Error, Place, Reason};

/// The text, or where it stops being one.
pub(crate) fn check(bytes: &[u8]) -> Result<&str, Error> {
    crate::limits::check_length(bytes)?;
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let before = String::from_utf8_lossy(before);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Error::new(Place { line: Some(line), column: Some(column), ..Place::default() }, Reason::Encoding)
    })
}
