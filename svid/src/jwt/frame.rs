//! The compact serialization of RFC 7515 §3.1, strictly: base64url without padding, without
//! whitespace, without stray trailing bits, so that a token has exactly one spelling.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::{MintError, Part, VerifyError};
use super::unverified::MAX_TOKEN_BYTES;

/// A token cut at its two dots; nothing is decoded yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// What the signature covers: header, dot, claims.
    pub(crate) signed: &'a str,
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
}

impl<'a> Frame<'a> {
    /// Cuts the token; refuses one that is longer than `limit` bytes before it looks at it.
    pub(crate) fn cut(token: &'a str, limit: usize) -> Result<Self, VerifyError> {
        if token.len() > limit {
            return Err(VerifyError::TooLong { length: token.len(), limit });
        }
        let not_compact = || VerifyError::NotCompact { parts: token.split('.').count() };
        let (signed, signature) = token.rsplit_once('.').ok_or_else(not_compact)?;
        let (header, claims) = signed.split_once('.').ok_or_else(not_compact)?;
        if claims.contains('.') {
            // Five parts are an encrypted token (JWE); JWT-SVID §2 supports only JWS.
            return Err(not_compact());
        }
        Ok(Self { signed, header, claims, signature })
    }

    pub(crate) fn header(&self) -> Result<Vec<u8>, VerifyError> {
        decode(self.header, Part::Header)
    }

    pub(crate) fn claims(&self) -> Result<Vec<u8>, VerifyError> {
        decode(self.claims, Part::Claims)
    }

    pub(crate) fn signature(&self) -> Result<Vec<u8>, VerifyError> {
        decode(self.signature, Part::Signature)
    }
}

/// Adds `bytes` to the token in base64url.
pub(crate) fn encode_into(bytes: &[u8], out: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, out);
}

/// What is to be signed: the encoded header with its dot, and the claims.
pub(crate) fn signing_text(header: &str, claims: &str) -> Result<String, MintError> {
    // The claims grow by a third in base64; the longest signature, RSA of 8192 bits, takes 1,366.
    let mut text = String::with_capacity(header.len() + claims.len().div_ceil(3) * 4 + 1 + 700);
    text.push_str(header);
    encode_into(claims.as_bytes(), &mut text);
    if text.len() > MAX_TOKEN_BYTES {
        return Err(MintError::TooLong { length: text.len(), limit: MAX_TOKEN_BYTES });
    }
    Ok(text)
}

fn decode(text: &str, part: Part) -> Result<Vec<u8>, VerifyError> {
    if text.is_empty() {
        return Err(VerifyError::Encoding { part });
    }
    // This engine refuses padding, foreign characters and non-zero trailing bits.
    URL_SAFE_NO_PAD.decode(text).map_err(|_| VerifyError::Encoding { part })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(token: &str) -> Result<Frame<'_>, VerifyError> {
        Frame::cut(token, 64)
    }

    #[test]
    fn three_parts_and_no_other_number() {
        let frame = cut("aGk.aG8.aHU").unwrap();
        assert_eq!(frame.signed, "aGk.aG8");
        assert_eq!(frame.header().unwrap(), b"hi");
        assert_eq!(frame.claims().unwrap(), b"ho");
        assert_eq!(frame.signature().unwrap(), b"hu");
        for (token, parts) in [("", 1), ("aGk", 1), ("aGk.aG8", 2), ("a.b.c.d", 4), ("a.b.c.d.e", 5)] {
            assert_eq!(cut(token), Err(VerifyError::NotCompact { parts }), "{token}");
        }
    }

    #[test]
    fn a_part_has_one_spelling() {
        // Padding, the standard alphabet, whitespace, stray bits, an impossible length, nothing.
        for header in ["aGk=", "a+/k", "aG k", "aGk\n", "aGl", "a", "", "äGk"] {
            let token = format!("{header}.aG8.aHU");
            assert_eq!(cut(&token).unwrap().header(), Err(VerifyError::Encoding { part: Part::Header }), "{header}");
        }
    }

    #[test]
    fn the_length_is_looked_at_first() {
        let token = ".".repeat(65);
        assert_eq!(cut(&token), Err(VerifyError::TooLong { length: 65, limit: 64 }));
        assert_eq!(cut(&token[1..]), Err(VerifyError::NotCompact { parts: 65 }));
    }
}
