//! One public JSON Web Key (RFC 7517).

mod read;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Serialize;

use crate::error::excerpt;
use crate::parts::{Curve, Parts, coordinates};
use crate::{Algorithm, Error};

/// One public JSON Web Key (RFC 7517), as it stands in a key set: a key type, the key's values, and what the key is for.
///
/// Reading (through serde) is tolerant where the standard asks for it and strict otherwise: unknown members are skipped
/// and unknown key types kept (RFC 7517 §4, §5), so that one future key does not spoil a set; a known member of the wrong type, a
/// member that stands twice, and **any private or symmetric member** (`d`, `p`, `k`, …) are errors that name the member
/// and never show a value. Whether the values make a key is found out by [`PublicKey::from_jwk`](crate::PublicKey::from_jwk).
///
/// ```
/// use keyward_keys::{Jwk, PublicKey};
///
/// let jwk: Jwk = serde_json::from_str(r#"{
///     "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
/// }"#)?;
/// let key = PublicKey::from_jwk(&jwk)?;
/// assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
///
/// let published = key.to_jwk().with_kid(key.thumbprint()).with_use("sig");
/// assert!(serde_json::to_string(&published)?.starts_with(r#"{"kty":"OKP","use":"sig","#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Jwk {
    kty: String,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    use_: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_ops: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x5c: Option<Vec<String>>,
}

impl Jwk {
    fn empty(kty: String) -> Self {
        Self {
            kty,
            use_: None,
            key_ops: None,
            alg: None,
            kid: None,
            crv: None,
            x: None,
            y: None,
            n: None,
            e: None,
            x5c: None,
        }
    }

    pub(crate) fn from_parts(parts: &Parts) -> Self {
        let base64 = |bytes: &[u8]| Some(URL_SAFE_NO_PAD.encode(bytes));
        let mut jwk = Self::empty(parts.kty().to_owned());
        jwk.crv = parts.crv().map(str::to_owned);
        match parts {
            Parts::Rsa { modulus, exponent } => {
                jwk.n = base64(modulus);
                jwk.e = base64(exponent);
            }
            Parts::Ec { curve, point } => {
                let (x, y) = coordinates(*curve, point);
                jwk.x = base64(x);
                jwk.y = base64(y);
            }
            Parts::Ed25519(key) => jwk.x = base64(key),
        }
        jwk
    }

    pub(crate) fn parts(&self) -> Result<Parts, Error> {
        match self.kty.as_str() {
            "RSA" => Parts::rsa(&number("n", self.n.as_deref())?, &number("e", self.e.as_deref())?),
            "EC" => {
                let crv = required("crv", self.crv.as_deref())?;
                let curve = Curve::ALL.into_iter().find(|curve| curve.name() == crv);
                let curve = curve.ok_or_else(|| Error::Unsupported { what: "curve", found: excerpt(crv) })?;
                let coordinate = |member, value| fixed_width(member, value, curve.width());
                let (x, y) = (coordinate("x", self.x.as_deref())?, coordinate("y", self.y.as_deref())?);
                Parts::ec(curve, &x, &y).ok_or(Error::NotOnCurve { curve: curve.name() })
            }
            // RFC 8037 §2.
            "OKP" => {
                let crv = required("crv", self.crv.as_deref())?;
                if crv != "Ed25519" {
                    return Err(Error::Unsupported { what: "curve", found: excerpt(crv) });
                }
                let key = fixed_width("x", self.x.as_deref(), 32)?;
                Parts::ed25519(key.try_into().map_err(|_| wrong_width("x"))?)
            }
            other => Err(Error::Unsupported { what: "JWK key type", found: excerpt(other) }),
        }
    }

    /// Key type, `kty` (RFC 7517 §4.1): `RSA`, `EC`, `OKP`, or one that this crate does not know.
    pub fn kty(&self) -> &str {
        &self.kty
    }

    /// Intended use, `use` (RFC 7517 §4.2): `sig`, `enc`, and by other standards `jwt-svid`, `x509-svid`.
    pub fn use_(&self) -> Option<&str> {
        self.use_.as_deref()
    }

    /// Permitted operations, `key_ops` (RFC 7517 §4.3).
    pub fn key_ops(&self) -> Option<&[String]> {
        self.key_ops.as_deref()
    }

    /// The algorithm the key is for, `alg` (RFC 7517 §4.4). A string, because it need not be a signature algorithm.
    pub fn alg(&self) -> Option<&str> {
        self.alg.as_deref()
    }

    /// Key ID, `kid` (RFC 7517 §4.5).
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Curve, `crv` (RFC 7518 §6.2.1.1).
    pub fn crv(&self) -> Option<&str> {
        self.crv.as_deref()
    }

    /// First coordinate or Ed25519 key, `x`, base64url (RFC 7518 §6.2.1.2, RFC 8037 §2).
    pub fn x(&self) -> Option<&str> {
        self.x.as_deref()
    }

    /// Second coordinate, `y`, base64url (RFC 7518 §6.2.1.3).
    pub fn y(&self) -> Option<&str> {
        self.y.as_deref()
    }

    /// RSA modulus, `n`, base64url (RFC 7518 §6.3.1.1).
    pub fn n(&self) -> Option<&str> {
        self.n.as_deref()
    }

    /// RSA exponent, `e`, base64url (RFC 7518 §6.3.1.2).
    pub fn e(&self) -> Option<&str> {
        self.e.as_deref()
    }

    /// Certificate chain, `x5c` (RFC 7517 §4.7): base64 (not base64url) of DER, the key's own certificate first.
    pub fn x5c(&self) -> Option<&[String]> {
        self.x5c.as_deref()
    }

    /// The certificates of `x5c`, decoded to DER; none when the member is absent. They are not looked into.
    ///
    /// # Errors
    /// [`Error::JwkInvalid`] when one is not base64.
    pub fn x5c_der(&self) -> Result<Vec<Vec<u8>>, Error> {
        let invalid = |_| Error::JwkInvalid { member: "x5c", reason: "is not base64 of DER certificates" };
        self.x5c.iter().flatten().map(|certificate| STANDARD.decode(certificate).map_err(invalid)).collect()
    }

    /// The same with this `kid`.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// The same with this `alg`.
    #[must_use]
    pub fn with_alg(mut self, algorithm: Algorithm) -> Self {
        self.alg = Some(algorithm.as_str().to_owned());
        self
    }

    /// The same with this `use`.
    #[must_use]
    pub fn with_use(mut self, intended: impl Into<String>) -> Self {
        self.use_ = Some(intended.into());
        self
    }

    /// The same with these `key_ops`.
    #[must_use]
    pub fn with_key_ops(mut self, operations: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.key_ops = Some(operations.into_iter().map(Into::into).collect());
        self
    }

    /// The same with this certificate chain in DER, the key's own first.
    #[must_use]
    pub fn with_x5c_der(mut self, certificates: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        self.x5c = Some(certificates.into_iter().map(|der| STANDARD.encode(der)).collect());
        self
    }
}

fn wrong_width(member: &'static str) -> Error {
    Error::JwkInvalid { member, reason: "does not have the width of the curve" }
}

fn required<'a>(member: &'static str, value: Option<&'a str>) -> Result<&'a str, Error> {
    value.ok_or(Error::JwkMissing { member })
}

/// base64url without padding, the unused bits of its last character zero (RFC 7515 §2, RFC 4648 §3.5).
fn decoded(member: &'static str, value: Option<&str>) -> Result<Vec<u8>, Error> {
    let value = required(member, value)?;
    URL_SAFE_NO_PAD.decode(value).map_err(|_| Error::JwkInvalid { member, reason: "is not base64url without padding" })
}

/// A Base64urlUInt: the fewest bytes that hold the number (RFC 7518 §2).
fn number(member: &'static str, value: Option<&str>) -> Result<Vec<u8>, Error> {
    let bytes = decoded(member, value)?;
    if bytes.first() == Some(&0) {
        return Err(Error::JwkInvalid { member, reason: "has a leading zero byte" });
    }
    Ok(bytes)
}

/// A value of exactly so many bytes (RFC 7518 §6.2.1.2).
fn fixed_width(member: &'static str, value: Option<&str>, width: usize) -> Result<Vec<u8>, Error> {
    let bytes = decoded(member, value)?;
    if bytes.len() == width { Ok(bytes) } else { Err(wrong_width(member)) }
}
