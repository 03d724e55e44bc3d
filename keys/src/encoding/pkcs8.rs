//! What a PKCS#8 document holds (RFC 5208, RFC 5958), looked at once for both backends.

use ::pkcs8::der::asn1::{AnyRef, BitStringRef, ContextSpecific, OctetStringRef, UintRef};
use ::pkcs8::der::{self, Decode, Encode, Header, Reader as _, SliceReader};
use ::pkcs8::{LineEnding, ObjectIdentifier, PrivateKeyInfoRef, SecretDocument};
use zeroize::Zeroizing;

use super::{EC, ED25519, RSA, curve_of};
use crate::Error;
use crate::parts::{Curve, Parts};

const PKCS8: Error = Error::Encoding { what: "PKCS#8 private key" };
const PEM: Error = Error::Encoding { what: "PEM `PRIVATE KEY`" };
const LABEL: &str = "PRIVATE KEY";

/// A private key's kind and what the backend needs besides the document itself.
pub(crate) enum Content<'a> {
    /// Two primes.
    Rsa,
    Ec(Curve),
    Ed25519 {
        seed: &'a [u8; 32],
        public: Option<&'a [u8]>,
    },
}

/// Looks inside; trailing bytes, encrypted keys, explicit curves and RSA keys of more than two primes are refused.
pub(crate) fn inspect(document: &[u8]) -> Result<Content<'_>, Error> {
    let info = PrivateKeyInfoRef::try_from(document).map_err(|_| PKCS8)?;
    let key = info.private_key.as_bytes();
    match info.algorithm.oid {
        RSA => {
            if !info.algorithm.parameters.is_some_and(AnyRef::is_null) {
                return Err(PKCS8);
            }
            let (version, modulus, exponent) = rsa_head(key).map_err(|_| PKCS8)?;
            // RFC 8017 appendix A.1.2: 0 = two primes.
            if version != 0 {
                return Err(PKCS8);
            }
            // Before the backend computes with them.
            Parts::rsa(modulus.as_bytes(), exponent.as_bytes())?.key_pair_type()?;
            Ok(Content::Rsa)
        }
        EC => {
            let curve = info.algorithm.parameters_oid().map_err(|_| PKCS8)?;
            curve_of(curve).map(Content::Ec)
        }
        ED25519 => {
            if info.algorithm.parameters.is_some() {
                return Err(PKCS8);
            }
            // RFC 8410 §7: an OCTET STRING within the OCTET STRING.
            let seed = <&OctetStringRef>::from_der(key).map_err(|_| PKCS8)?;
            let seed = seed.as_bytes().try_into().map_err(|_| PKCS8)?;
            let public = match info.public_key {
                Some(bits) => Some(bits.as_bytes().ok_or(PKCS8)?),
                None => None,
            };
            Ok(Content::Ed25519 { seed, public })
        }
        other => Err(Error::Unsupported { what: "private key algorithm", found: other.to_string() }),
    }
}

/// Version, modulus and exponent of an `RSAPrivateKey` (RFC 8017 appendix A.1.2).
fn rsa_head(key: &[u8]) -> der::Result<(u8, UintRef<'_>, UintRef<'_>)> {
    let mut reader = SliceReader::new(key)?;
    Header::decode(&mut reader)?;
    Ok((u8::decode(&mut reader)?, UintRef::decode(&mut reader)?, UintRef::decode(&mut reader)?))
}

/// The document of an Ed25519 key, version 1 (RFC 8410 §7).
#[cfg(all(feature = "rust-crypto", any(test, not(feature = "aws-lc-rs"))))]
pub(crate) fn encode_ed25519(seed: &[u8; 32]) -> ::pkcs8::der::Result<Zeroizing<Vec<u8>>> {
    use ::pkcs8::spki::AlgorithmIdentifierRef;
    let key = Zeroizing::new(OctetStringRef::new(seed)?.to_der()?);
    let algorithm = AlgorithmIdentifierRef { oid: ED25519, parameters: None };
    Ok(Zeroizing::new(PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&key)?).to_der()?))
}

/// The document inside a PEM text (RFC 7468 §10).
pub(crate) fn from_pem(pem: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (label, document) = SecretDocument::from_pem(pem).map_err(|_| PEM)?;
    if label != LABEL {
        return Err(PEM);
    }
    Ok(document.to_bytes())
}

/// What the document holds, by itself: an `RSAPrivateKey`, or an `ECPrivateKey` with the name of its curve.
pub(crate) fn to_traditional_pem(document: &[u8]) -> Result<Zeroizing<String>, Error> {
    let info = PrivateKeyInfoRef::try_from(document).map_err(|_| PKCS8)?;
    let key = info.private_key.as_bytes();
    let (label, der) = match info.algorithm.oid {
        RSA => ("RSA PRIVATE KEY", Zeroizing::new(key.to_vec())),
        EC => {
            let curve = info.algorithm.parameters_oid().map_err(|_| PKCS8)?;
            ("EC PRIVATE KEY", ec_with_curve(key, curve).map_err(|_| PKCS8)?)
        }
        _ => return Err(Error::CannotDo { key: "Ed25519", operation: "be written but as PKCS#8" }),
    };
    let document = SecretDocument::try_from(der.as_slice()).map_err(|_| PKCS8)?;
    document.to_pem(label, LineEnding::LF).map_err(|_| PKCS8)
}

/// RFC 5915 §3: version, key, `[0]` the curve and, where the document has it, `[1]` the public key. PKCS#8 names the curve
/// itself and may leave it out here.
fn ec_with_curve(key: &[u8], curve: ObjectIdentifier) -> der::Result<Zeroizing<Vec<u8>>> {
    let mut reader = SliceReader::new(key)?;
    Header::decode(&mut reader)?;
    let version = UintRef::decode(&mut reader)?;
    let secret = <&OctetStringRef>::decode(&mut reader)?;
    ContextSpecific::<ObjectIdentifier>::decode_explicit(&mut reader, der::TagNumber(0))?;
    let public = ContextSpecific::<BitStringRef<'_>>::decode_explicit(&mut reader, der::TagNumber(1))?;
    reader.finish()?;
    let curve = ContextSpecific { tag_number: der::TagNumber(0), tag_mode: der::TagMode::Explicit, value: curve };
    let length = (version.encoded_len()? + secret.encoded_len()? + curve.encoded_len()? + public.encoded_len()?)?;
    // More than it comes to, so that nothing is left behind by growing.
    let mut out = Zeroizing::new(Vec::with_capacity(key.len() + 32));
    Header::new(der::Tag::Sequence, length).encode_to_vec(&mut out)?;
    version.encode_to_vec(&mut out)?;
    secret.encode_to_vec(&mut out)?;
    curve.encode_to_vec(&mut out)?;
    public.encode_to_vec(&mut out)?;
    Ok(out)
}

/// The document as PEM, lines ending in a line feed.
pub(crate) fn to_pem(document: &[u8]) -> Result<Zeroizing<String>, Error> {
    let document = SecretDocument::try_from(document).map_err(|_| PKCS8)?;
    document.to_pem(LABEL, LineEnding::LF).map_err(|_| PKCS8)
}
