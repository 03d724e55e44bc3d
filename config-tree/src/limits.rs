//! How much is read at once, so that hostile text costs little.

use crate::error::{Error, Place, Reason};

/// The most bytes of YAML or JSON that are read at once: 4 MiB.
pub const MAX_BYTES: usize = 4 << 20;
/// The most documents in one bulk.
pub const MAX_DOCUMENTS: usize = 1_000;
/// The deepest nesting of fields and lists in a document.
pub const MAX_DEPTH: usize = 64;
/// The most names and values in one text, counting what YAML aliases repeat.
pub const MAX_VALUES: usize = 100_000;
/// The most bytes of names and texts in one text, counting what YAML aliases repeat: 16 MiB.
pub const MAX_TEXT: usize = 16 << 20;

/// What was read so far of one text.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    size: Size,
}

/// How large a value is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    pub(crate) values: usize,
    pub(crate) bytes: usize,
}

impl Size {
    /// One value with so many bytes of text.
    pub(crate) fn of(bytes: usize) -> Self {
        Self { values: 1, bytes }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.values = self.values.saturating_add(other.values);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl Budget {
    /// Takes so much, or says what there is too much of.
    pub(crate) fn take(&mut self, size: Size) -> Result<(), Reason> {
        self.size.add(size);
        if self.size.values > MAX_VALUES {
            Err(Reason::TooLarge { what: "values", limit: MAX_VALUES })
        } else if self.size.bytes > MAX_TEXT {
            Err(Reason::TooLarge { what: "bytes of text", limit: MAX_TEXT })
        } else {
            Ok(())
        }
    }
}

/// Refuses text that is too long before anything looks at it.
pub(crate) fn check_length(bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::new(Place::default(), Reason::TooLarge { what: "bytes", limit: MAX_BYTES }));
    }
    Ok(())
}

/// Whether so many levels may be open.
pub(crate) fn check_depth(depth: usize) -> Result<(), Reason> {
    if depth > MAX_DEPTH { Err(Reason::TooLarge { what: "levels of nesting", limit: MAX_DEPTH }) } else { Ok(()) }
}
