//! What a public key consists of, in the one form that encodings and backends share.

mod roca;

use crate::{Error, KeyType};

/// Largest and smallest RSA modulus accepted for verification, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
const RSA_ACCEPTED: &str = "2048 to 8192";

/// 2²⁵⁵ − 19, little-endian.
const PRIME_25519: [u8; 32] = {
    let mut prime = [0xff; 32];
    prime[0] = 0xed;
    prime[31] = 0x7f;
    prime
};

/// The y of the eight points of small order, little-endian: orders 4, 1, 2, 8 and 8.
pub(crate) const SMALL_ORDER: [[u8; 32]; 5] = {
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = PRIME_25519;
    minus_one[0] = 0xec;
    [
        [0; 32],
        one,
        minus_one,
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
            0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
            0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ]
};

/// A NIST curve of RFC 7518 §6.2.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub(crate) const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The JOSE name (RFC 7518 §7.6.2).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Bytes of one coordinate, and of each half of a fixed-width signature.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    pub(crate) fn key_type(self) -> KeyType {
        match self {
            Self::P256 => KeyType::EcdsaP256,
            Self::P384 => KeyType::EcdsaP384,
            Self::P521 => KeyType::EcdsaP521,
        }
    }
}

/// The values of a public key. The constructors check everything but whether a point lies on its curve, which
/// the backend does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Parts {
    /// Big-endian, without leading zeros.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    /// Uncompressed SEC 1 point: `04`, x, y.
    Ec { curve: Curve, point: Vec<u8> },
    /// RFC 8032 §5.1.2. Whether the bytes encode a point shows at the first verification, in both backends.
    Ed25519([u8; 32]),
}

impl Parts {
    /// Modulus: odd, 2048 to 8192 bits, not of a kind that can be factored. Exponent: odd, at least 3, at most 33 bits (both backends' limit). Neither
    /// with leading zeros.
    pub(crate) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, Error> {
        let bits = bit_length(modulus);
        if !RSA_BITS.contains(&bits) {
            return Err(Error::RsaSize { bits, accepted: RSA_ACCEPTED });
        }
        if is_even(modulus) {
            return Err(Error::Unusable { key: "RSA", reason: "the modulus is even" });
        }
        if is_even(exponent) {
            return Err(Error::Unusable { key: "RSA", reason: "the exponent is even" });
        }
        if bit_length(exponent) > 33 {
            return Err(Error::Unusable { key: "RSA", reason: "the exponent is longer than 33 bits" });
        }
        if exponent == [1] {
            return Err(Error::Unusable { key: "RSA", reason: "the exponent is 1" });
        }
        if roca::is_fingerprint(modulus) {
            return Err(Error::Unusable { key: "RSA", reason: "the modulus can be factored (CVE-2017-15361)" });
        }
        Ok(Self::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
    }

    /// Coordinates of exactly the curve's width (RFC 7518 §6.2.1.2); `None` otherwise.
    pub(crate) fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Option<Self> {
        if x.len() != curve.width() || y.len() != curve.width() {
            return None;
        }
        Some(Self::Ec { curve, point: [&[4], x, y].concat() })
    }

    /// An uncompressed point of exactly the curve's width; `None` otherwise.
    pub(crate) fn ec_point(curve: Curve, point: &[u8]) -> Option<Self> {
        let well_formed = point.first() == Some(&4) && point.len() == 1 + 2 * curve.width();
        well_formed.then(|| Self::Ec { curve, point: point.to_vec() })
    }

    /// Canonical (RFC 8032 §5.1.3: y below 2²⁵⁵ − 19) and not of small order.
    pub(crate) fn ed25519(key: [u8; 32]) -> Result<Self, Error> {
        let [low @ .., top] = key;
        // Without the sign of x.
        let y = [low.as_slice(), &[top & 0x7f]].concat();
        let reason = if y.iter().rev().ge(PRIME_25519.iter().rev()) {
            "the encoding is not canonical"
        } else if SMALL_ORDER.iter().any(|small| small.as_slice() == y) {
            "the point has a small order"
        } else {
            return Ok(Self::Ed25519(key));
        };
        Err(Error::Unusable { key: "Ed25519", reason })
    }

    /// Number of bits of an RSA modulus.
    pub(crate) fn rsa_bits(&self) -> Option<usize> {
        match self {
            Self::Rsa { modulus, .. } => Some(bit_length(modulus)),
            _ => None,
        }
    }

    pub(crate) fn key_type(&self) -> Option<KeyType> {
        match self {
            Self::Rsa { modulus, .. } => KeyType::rsa(bit_length(modulus)),
            Self::Ec { curve, .. } => Some(curve.key_type()),
            Self::Ed25519(_) => Some(KeyType::Ed25519),
        }
    }

    /// The type of the key pair that this is the public half of.
    pub(crate) fn key_pair_type(&self) -> Result<KeyType, Error> {
        let bits = self.rsa_bits().unwrap_or_default();
        self.key_type().ok_or(Error::RsaSize { bits, accepted: "2048, 3072 or 4096 for a private key" })
    }

    /// The JWK `kty` (RFC 7518 §6.1, RFC 8037 §2).
    pub(crate) fn kty(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RSA",
            Self::Ec { .. } => "EC",
            Self::Ed25519(_) => "OKP",
        }
    }

    /// The JWK `crv`, where the type has one.
    pub(crate) fn crv(&self) -> Option<&'static str> {
        match self {
            Self::Rsa { .. } => None,
            Self::Ec { curve, .. } => Some(curve.name()),
            Self::Ed25519(_) => Some("Ed25519"),
        }
    }
}

/// The two halves of an uncompressed point.
pub(crate) fn coordinates(curve: Curve, point: &[u8]) -> (&[u8], &[u8]) {
    point.get(1..).and_then(|xy| xy.split_at_checked(curve.width())).unwrap_or_default()
}

/// Bits of a big-endian number without leading zeros.
fn bit_length(bytes: &[u8]) -> usize {
    bytes.first().map_or(0, |first| bytes.len() * 8 - first.leading_zeros() as usize)
}

fn is_even(bytes: &[u8]) -> bool {
    bytes.last().is_none_or(|last| last % 2 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modulus(bits: usize) -> Vec<u8> {
        let mut bytes = vec![0xff; bits.div_ceil(8)];
        bytes[0] >>= bytes.len() * 8 - bits;
        bytes
    }

    #[test]
    fn rsa_sizes() {
        for bits in [2048, 2049, 3072, 8191, 8192] {
            let parts = Parts::rsa(&modulus(bits), &[1, 0, 1]).unwrap();
            assert_eq!(parts.rsa_bits(), Some(bits));
        }
        for bits in [1, 512, 1024, 2047, 8193, 16384] {
            let error = Parts::rsa(&modulus(bits), &[1, 0, 1]).unwrap_err();
            assert_eq!(error, Error::RsaSize { bits, accepted: "2048 to 8192" });
        }
        assert_eq!(Parts::rsa(&[], &[3]).unwrap_err(), Error::RsaSize { bits: 0, accepted: "2048 to 8192" });
    }

    #[test]
    fn rsa_exponents() {
        let n = modulus(2048);
        for good in [&[3][..], &[17], &[1, 0, 1], &[1, 0xff, 0xff, 0xff, 0xff]] {
            assert!(Parts::rsa(&n, good).is_ok(), "{good:?}");
        }
        let cases: [(&[u8], &str); 5] = [
            (&[], "the exponent is even"),
            (&[2], "the exponent is even"),
            (&[1, 0, 0], "the exponent is even"),
            (&[1], "the exponent is 1"),
            (&[2, 0, 0, 0, 1], "the exponent is longer than 33 bits"),
        ];
        for (exponent, reason) in cases {
            assert_eq!(Parts::rsa(&n, exponent), Err(Error::Unusable { key: "RSA", reason }));
        }
        let mut even = n;
        even[255] = 0xfe;
        let error = Parts::rsa(&even, &[3]).unwrap_err();
        assert_eq!(error.to_string(), "the RSA public key is not usable: the modulus is even");
    }

    #[test]
    fn an_rsa_modulus_that_can_be_factored() {
        let reason = "the modulus can be factored (CVE-2017-15361)";
        let error = Parts::rsa(&roca::tests::vulnerable(), &[1, 0, 1]).unwrap_err();
        assert_eq!(error, Error::Unusable { key: "RSA", reason });
    }

    #[test]
    fn points_have_the_curves_width() {
        for curve in Curve::ALL {
            let w = curve.width();
            let parts = Parts::ec(curve, &vec![1; w], &vec![2; w]).unwrap();
            let Parts::Ec { point, .. } = &parts else { unreachable!() };
            assert_eq!(coordinates(curve, point), (&vec![1; w][..], &vec![2; w][..]));
            assert_eq!(Parts::ec_point(curve, point), Some(parts.clone()));
            assert_eq!(Parts::ec_point(curve, &point[..2 * w]), None);
            assert_eq!(Parts::ec(curve, &vec![1; w - 1], &vec![2; w]), None);
            assert_eq!(Parts::ec(curve, &vec![1; w], &vec![2; w + 1]), None);
            let mut compressed = point.clone();
            compressed[0] = 2;
            assert_eq!(Parts::ec_point(curve, &compressed), None);
        }
    }
}
