//! The only source of randomness outside the crypto backend.

use rand_core::CryptoRng;

/// This thread's generator: ChaCha12, seeded and reseeded by the operating system. Asking the system for each nonce would
/// cost more than the encryption it is for.
pub fn rng() -> impl CryptoRng {
    rand::rng()
}

/// A random identifier of 128 bits in the form of a UUID (RFC 9562 §5.4).
pub fn uuid() -> String {
    use rand_core::Rng as _;
    let mut bytes = [0; 16];
    rng().fill_bytes(&mut bytes);
    let bits = (u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

/// A password that is printed once: 120 bits in groups that a person can type.
pub fn password() -> zeroize::Zeroizing<String> {
    use rand_core::Rng as _;
    // Without the letters and digits that look alike; 32 of them, so that each byte gives five unbiased bits.
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = zeroize::Zeroizing::new([0_u8; 24]);
    rng().fill_bytes(&mut *bytes);
    let mut text = zeroize::Zeroizing::new(String::with_capacity(29));
    for (n, byte) in bytes.iter().enumerate() {
        if n > 0 && n % 6 == 0 {
            text.push('-');
        }
        text.push(ALPHABET.get(usize::from(byte & 31)).copied().map_or('x', char::from));
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_uuid_says_that_it_is_random() {
        let id = super::uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'4', "{id}");
        assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
        assert_ne!(id, super::uuid());
        assert!(id.parse::<keyward_config_values::Name>().is_ok());
    }

    #[test]
    fn a_password_has_four_groups() {
        let password = super::password();
        assert_eq!(password.split('-').map(str::len).collect::<Vec<_>>(), [6, 6, 6, 6]);
        assert_ne!(*password, *super::password());
    }
}
