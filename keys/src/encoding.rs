//! Encodings shared by the backends.

pub(crate) mod ecdsa;
pub(crate) mod pkcs8;
pub(crate) mod spki;

use ::pkcs8::ObjectIdentifier;

use crate::parts::Curve;

/// rsaEncryption (RFC 8017 appendix A.1).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// id-ecPublicKey (RFC 5480 §2.1.1).
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// id-Ed25519 (RFC 8410 §3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// The curve's object identifier (RFC 5480 §2.1.1.1).
fn curve_oid(curve: Curve) -> ObjectIdentifier {
    match curve {
        Curve::P256 => ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
        Curve::P384 => ObjectIdentifier::new_unwrap("1.3.132.0.34"),
        Curve::P521 => ObjectIdentifier::new_unwrap("1.3.132.0.35"),
    }
}

/// The curve with this object identifier.
fn curve_of(oid: ObjectIdentifier) -> Result<Curve, crate::Error> {
    let found = Curve::ALL.into_iter().find(|curve| curve_oid(*curve) == oid);
    found.ok_or_else(|| crate::Error::Unsupported { what: "curve", found: oid.to_string() })
}
