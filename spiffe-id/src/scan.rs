//! The bytes of SPIFFE-ID.md §2.1 and §2.2, and the one pass over them.
//!
//! The trust domain goes byte by byte through a table of classes. The path goes sixteen bytes at a
//! time through comparisons that compilers turn into vector instructions; they settle the common
//! case, and whatever they do not settle is decided, and named, by the plain reading of the clause.

use crate::error::{Error, excerpt};

/// How every SPIFFE ID starts (SPIFFE-ID.md §2).
pub(crate) const SCHEME: &str = "spiffe://";
/// The longest SPIFFE ID in bytes (SPIFFE-ID.md §2.3).
pub(crate) const MAX_ID: usize = 2048;
/// The longest trust domain in bytes (SPIFFE-ID.md §2.3).
pub(crate) const MAX_TRUST_DOMAIN: usize = 255;

const IN_TRUST_DOMAIN: u8 = 1;
const IN_SEGMENT: u8 = 2;

/// The class of each byte.
static CLASSES: [u8; 256] = classes();

#[expect(clippy::indexing_slicing, reason = "a byte is always inside 256 entries")]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0u8;
    loop {
        let class = match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' => IN_TRUST_DOMAIN | IN_SEGMENT,
            b'A'..=b'Z' => IN_SEGMENT,
            _ => 0,
        };
        table[byte as usize] = class;
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

#[inline]
#[expect(clippy::indexing_slicing, reason = "a byte is always inside 256 entries")]
fn class(byte: u8) -> u8 {
    CLASSES[usize::from(byte)]
}

/// Checks a whole ID and answers where its trust domain ends.
#[inline]
pub(crate) fn id(text: &str) -> Result<usize, Error> {
    let (end, path) = authority(text)?;
    if is_plain(path.as_bytes()) {
        return Ok(end);
    }
    self::path(path)?;
    Ok(end)
}

/// Checks length, scheme and trust domain, and answers where the trust domain ends and the rest.
#[inline]
pub(crate) fn authority(text: &str) -> Result<(usize, &str), Error> {
    if text.len() > MAX_ID {
        return Err(Error::TooLong { len: text.len(), max: MAX_ID });
    }
    let Some(rest) = text.strip_prefix(SCHEME) else {
        return Err(wrong_scheme(text));
    };
    let bytes = rest.as_bytes();
    let len = bytes.iter().position(|&b| class(b) & IN_TRUST_DOMAIN == 0).unwrap_or(bytes.len());
    match rest.split_at_checked(len) {
        Some((_, path)) if (1..=MAX_TRUST_DOMAIN).contains(&len) && (path.is_empty() || path.starts_with('/')) => {
            Ok((SCHEME.len() + len, path))
        }
        _ => Err(bad_trust_domain(rest.split('/').next().unwrap_or_default())),
    }
}

/// Checks a trust domain that stands alone.
pub(crate) fn trust_domain(text: &str) -> Result<(), Error> {
    let plain = text.bytes().all(|b| class(b) & IN_TRUST_DOMAIN != 0);
    if plain && (1..=MAX_TRUST_DOMAIN).contains(&text.len()) {
        return Ok(());
    }
    Err(bad_trust_domain(text))
}

/// Checks a path: nothing, or `/` and a segment, once or more (SPIFFE-ID.md §2.2).
pub(crate) fn path(path: &str) -> Result<(), Error> {
    if path.is_empty() {
        return Ok(());
    }
    let Some(rest) = path.strip_prefix('/') else {
        return Err(Error::PathWithoutSlash { path: excerpt(path) });
    };
    let mut number = 0;
    let mut segments = rest.split('/').peekable();
    while let Some(text) = segments.next() {
        number += 1;
        if text.is_empty() && segments.peek().is_none() {
            return Err(Error::TrailingSlash);
        }
        segment(number, text)?;
    }
    Ok(())
}

/// Checks one segment, the `number`th from 1.
pub(crate) fn segment(number: usize, text: &str) -> Result<(), Error> {
    match text {
        "" => Err(Error::EmptySegment { segment: number }),
        "." => Err(Error::DotSegment { segment: number, text: "." }),
        ".." => Err(Error::DotSegment { segment: number, text: ".." }),
        _ => match text.bytes().enumerate().find(|(_, b)| class(*b) & IN_SEGMENT == 0) {
            Some((at, byte)) => Err(Error::SegmentByte { segment: number, text: excerpt(text), byte, at }),
            None => Ok(()),
        },
    }
}

/// How many bytes are compared at once.
const BLOCK: usize = 16;

/// Whether a path that is empty or starts with `/` is valid at first sight: only bytes of segments
/// and slashes, no slash followed by a slash or a dot, none at the end. When this says no the path
/// may still be valid (`/.well-known`).
#[inline]
fn is_plain(path: &[u8]) -> bool {
    // Each byte is looked at together with the one before it.
    let (Some((last, befores)), Some((_, bytes))) = (path.split_last(), path.split_first()) else {
        return true;
    };
    let (Some(last_befores), Some(last_bytes)) = (befores.last_chunk::<BLOCK>(), bytes.last_chunk::<BLOCK>()) else {
        return befores.iter().zip(bytes).all(|(&before, &byte)| !is_dubious(before, byte)) && *last != b'/';
    };
    // The last block may overlap the one before it.
    let mut dubious = [false; BLOCK];
    note_dubious(&mut dubious, last_befores, last_bytes);
    let (befores, _) = befores.as_chunks::<BLOCK>();
    let (bytes, _) = bytes.as_chunks::<BLOCK>();
    for (befores, bytes) in befores.iter().zip(bytes) {
        note_dubious(&mut dubious, befores, bytes);
    }
    dubious == [false; BLOCK] && *last != b'/'
}

#[inline]
fn note_dubious(dubious: &mut [bool; BLOCK], befores: &[u8; BLOCK], bytes: &[u8; BLOCK]) {
    for ((dubious, &before), &byte) in dubious.iter_mut().zip(befores).zip(bytes) {
        *dubious |= is_dubious(before, byte);
    }
}

/// Whether a byte has no place in a path, or is a slash or dot that follows a slash. Without
/// branches or tables, for the sake of vector instructions.
#[inline]
fn is_dubious(before: u8, byte: u8) -> bool {
    // `-`, `.`, `/` and the digits are neighbours.
    let sign_or_digit = byte.wrapping_sub(b'-') <= b'9' - b'-';
    let letter = (byte | 0x20).wrapping_sub(b'a') <= b'z' - b'a';
    let slash_or_dot = byte.wrapping_sub(b'.') <= b'/' - b'.';
    !(sign_or_digit | letter | (byte == b'_')) | ((before == b'/') & slash_or_dot)
}

#[cold]
fn wrong_scheme(text: &str) -> Error {
    Error::WrongScheme { input: excerpt(text) }
}

#[cold]
fn bad_trust_domain(text: &str) -> Error {
    if text.is_empty() {
        return Error::EmptyTrustDomain;
    }
    if let Some((at, byte)) = text.bytes().enumerate().find(|(_, b)| class(*b) & IN_TRUST_DOMAIN == 0) {
        return Error::TrustDomainByte { trust_domain: excerpt(text), byte, at };
    }
    Error::TrustDomainTooLong { len: text.len(), max: MAX_TRUST_DOMAIN }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_byte_has_the_class_of_the_clause() {
        for byte in 0..=u8::MAX {
            let digit_or_sign = byte.is_ascii_digit() || b".-_".contains(&byte);
            let in_trust_domain = byte.is_ascii_lowercase() || digit_or_sign;
            let in_segment = byte.is_ascii_alphabetic() || digit_or_sign;
            assert_eq!(class(byte) & IN_TRUST_DOMAIN != 0, in_trust_domain, "{byte:#x}");
            assert_eq!(class(byte) & IN_SEGMENT != 0, in_segment, "{byte:#x}");
        }
    }

    #[test]
    fn the_fast_pass_knows_every_byte_at_every_place() {
        let good = b"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        assert!(is_plain(good));
        for at in 1..good.len() {
            for byte in 0..=u8::MAX {
                let mut path = *good;
                path[at] = byte;
                let slash = byte == b'/' && at != 1 && at != good.len() - 1;
                let dot_after_slash = byte == b'.' && at == 1;
                let expected = (class(byte) & IN_SEGMENT != 0 && !dot_after_slash) || slash;
                assert_eq!(is_plain(&path), expected, "{byte:#x} at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_the_fast_pass_accepts_the_clause_accepts(tail in "[a/.*é-]{0,70}") {
            let text = format!("/{tail}");
            if is_plain(text.as_bytes()) {
                prop_assert_eq!(path(&text), Ok(()));
            }
        }

        #[test]
        fn the_fast_pass_takes_long_paths_without_dots(segments in prop::collection::vec("[A-Za-z0-9_-][A-Za-z0-9._-]{0,9}", 17..60)) {
            let text: String = segments.iter().flat_map(|s| ["/", s]).collect();
            prop_assert!(is_plain(text.as_bytes()));
        }
    }
}
