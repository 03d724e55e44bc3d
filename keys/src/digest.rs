//! SHA-256.

use crate::backend;

/// SHA-256 of the bytes (FIPS 180-4).
///
/// ```
/// assert_eq!(keyward_keys::sha256(b"")[..4], [0xe3, 0xb0, 0xc4, 0x42]);
/// ```
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    backend::sha256(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn fips_180_example() {
        let digest = super::sha256(b"abc");
        assert_eq!(digest[..8], [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea]);
        assert_eq!(digest[28..], [0xf2, 0x00, 0x15, 0xad]);
    }
}
