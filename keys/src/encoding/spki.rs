//! `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7), in and out.

use ::pkcs8::der::asn1::{AnyRef, BitStringRef, UintRef};
use ::pkcs8::der::{self, Decode, Encode, Reader, SliceReader};
use ::pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::{EC, ED25519, RSA, curve_of, curve_oid};
use crate::Error;
use crate::parts::Parts;

const SPKI: Error = Error::Encoding { what: "DER `SubjectPublicKeyInfo`" };
const RSA_PUBLIC_KEY: Error = Error::Encoding { what: "DER `RSAPublicKey`" };

/// Reads one; trailing bytes, unused bits and parameters other than the standards' are refused.
pub(crate) fn decode(spki: &[u8]) -> Result<Parts, Error> {
    let spki = SubjectPublicKeyInfoRef::from_der(spki).map_err(|_| SPKI)?;
    let key = spki.subject_public_key.as_bytes().ok_or(SPKI)?;
    match spki.algorithm.oid {
        RSA => {
            // RFC 3279 §2.3.1: the parameters are NULL, present.
            if !spki.algorithm.parameters.is_some_and(AnyRef::is_null) {
                return Err(SPKI);
            }
            decode_rsa(key)
        }
        EC => {
            // RFC 5480 §2.1.1: a named curve; explicit parameters are not for use in PKIX.
            let curve = spki.algorithm.parameters_oid().map_err(|_| SPKI)?;
            let curve = curve_of(curve)?;
            // RFC 5480 §2.2 lets a reader refuse compressed points.
            Parts::ec_point(curve, key).ok_or(Error::Encoding { what: "uncompressed point of the curve's width" })
        }
        ED25519 => {
            // RFC 8410 §3: the parameters are absent.
            if spki.algorithm.parameters.is_some() {
                return Err(SPKI);
            }
            Parts::ed25519(key.try_into().map_err(|_| SPKI)?)
        }
        other => Err(Error::Unsupported { what: "public key algorithm", found: other.to_string() }),
    }
}

/// Writes one.
pub(crate) fn encode(parts: &Parts) -> der::Result<Vec<u8>> {
    let curve;
    let rsa;
    let (oid, parameters, key) = match parts {
        Parts::Rsa { modulus, exponent } => {
            rsa = encode_rsa(modulus, exponent)?;
            (RSA, Some(AnyRef::NULL), rsa.as_slice())
        }
        Parts::Ec { curve: named, point } => {
            curve = curve_oid(*named);
            (EC, Some(AnyRef::from(&curve)), point.as_slice())
        }
        Parts::Ed25519(key) => (ED25519, None, key.as_slice()),
    };
    SubjectPublicKeyInfoRef {
        algorithm: AlgorithmIdentifierRef { oid, parameters },
        subject_public_key: BitStringRef::from_bytes(key)?,
    }
    .to_der()
}

/// Reads an `RSAPublicKey` (RFC 8017 appendix A.1.1).
pub(crate) fn decode_rsa(der: &[u8]) -> Result<Parts, Error> {
    let mut reader = SliceReader::new(der).map_err(|_| RSA_PUBLIC_KEY)?;
    let (modulus, exponent) = reader
        .sequence::<_, _, der::Error>(|numbers| Ok((UintRef::decode(numbers)?, UintRef::decode(numbers)?)))
        .map_err(|_| RSA_PUBLIC_KEY)?;
    reader.finish().map_err(|_| RSA_PUBLIC_KEY)?;
    Parts::rsa(modulus.as_bytes(), exponent.as_bytes())
}

/// Writes an `RSAPublicKey` (RFC 8017 appendix A.1.1).
pub(crate) fn encode_rsa(modulus: &[u8], exponent: &[u8]) -> der::Result<Vec<u8>> {
    let (modulus, exponent) = (UintRef::new(modulus)?, UintRef::new(exponent)?);
    let length = (modulus.encoded_len()? + exponent.encoded_len()?)?;
    let mut der = Vec::new();
    der::Header::new(der::Tag::Sequence, length).encode_to_vec(&mut der)?;
    modulus.encode_to_vec(&mut der)?;
    exponent.encode_to_vec(&mut der)?;
    Ok(der)
}
