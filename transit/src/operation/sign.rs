//! Sign and verify: `vault:vN:` + the encoded signature.

use std::borrow::Cow;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyward_keys::{Algorithm, HashFunction, PrivateKey, PublicKey};
use rand_core::CryptoRng;
use time::OffsetDateTime;

use super::derived::ed25519;
use super::sealed::Sealed;
use super::{NOT_BASE64, Operation, bytes, prefixed, split, without_secret};
use crate::{Cipher, Error, Phase, Ring};

/// The form of a signature behind `vault:vN:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Marshaling {
    /// As X.509 has it, in base64: an ECDSA signature is a DER sequence (RFC 3279 §2.2.3).
    #[default]
    Asn1,
    /// As JWS has it, in base64url without padding: an ECDSA signature is r‖s of fixed width (RFC 7518 §3.4).
    Jws,
}

impl Marshaling {
    /// The bytes of a signature.
    fn bytes(self, body: &str) -> Option<Vec<u8>> {
        match self {
            Self::Asn1 => bytes(body, &STANDARD),
            Self::Jws => bytes(body, &URL_SAFE_NO_PAD),
        }
    }
}

impl FromStr for Marshaling {
    type Err = Error;

    /// `asn1` or `jws`.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "asn1" => Ok(Marshaling::Asn1),
            "jws" => Ok(Marshaling::Jws),
            _ => Err(Error::unknown("marshaling", text, "`asn1` and `jws`")),
        }
    }
}

/// The length of the salt of an RSASSA-PSS signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SaltLength {
    /// As long as the digest (RFC 7518 §3.5); what is signed has it always.
    #[default]
    Digest,
    /// Any, where a signature is verified.
    Any,
    /// So many bytes.
    Bytes(usize),
}

impl FromStr for SaltLength {
    type Err = Error;

    /// `hash`, `auto` for any, or a number of bytes.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "hash" => Ok(SaltLength::Digest),
            "auto" => Ok(SaltLength::Any),
            _ => {
                let bytes = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
                let unknown = || Error::unknown("length of a salt", text, "`auto`, `hash` and numbers of bytes");
                bytes.map(SaltLength::Bytes).ok_or_else(unknown)
            }
        }
    }
}

/// The padding of an RSA signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RsaPadding {
    /// RSASSA-PSS (RFC 8017 §8.1), with the same hash function for digest and mask.
    #[default]
    Pss,
    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2).
    Pkcs1v15,
}

impl FromStr for RsaPadding {
    type Err = Error;

    /// `pss` or `pkcs1v15`.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "pss" => Ok(RsaPadding::Pss),
            "pkcs1v15" => Ok(RsaPadding::Pkcs1v15),
            _ => Err(Error::unknown("padding of RSA", text, "`pss` and `pkcs1v15`")),
        }
    }
}

/// How to sign, or how a signature was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SignOptions {
    /// The algorithm; `None` is the default of the ring's cipher.
    pub algorithm: Option<Algorithm>,
    /// The hash function of an ECDSA signature where it is not that of the curve's algorithm. Ed25519 takes none, and
    /// RSA's is part of the algorithm.
    pub hash: Option<HashFunction>,
    /// The form of the signature.
    pub marshaling: Marshaling,
    /// The length of the salt, with PSS.
    pub salt: SaltLength,
}

impl SignOptions {
    /// These options.
    pub const fn new(algorithm: Option<Algorithm>, marshaling: Marshaling) -> Self {
        Self { algorithm, hash: None, marshaling, salt: SaltLength::Digest }
    }

    /// With this length of the salt, where a signature has one.
    #[must_use]
    pub const fn with_salt(self, salt: SaltLength) -> Self {
        Self { salt, ..self }
    }

    /// The salt's length where it is another than the digest's, and the hash function of digest and mask.
    fn other_salt(&self, algorithm: Algorithm) -> Option<(HashFunction, Option<usize>)> {
        let hash = match algorithm {
            Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 => algorithm.hash()?,
            _ => return None,
        };
        match self.salt {
            SaltLength::Bytes(bytes) if bytes != hash.length() => Some((hash, Some(bytes))),
            SaltLength::Any => Some((hash, None)),
            _ => None,
        }
    }

    /// The options for a hash function and, with RSA, a padding: the way in which Vault's clients say it. Ed25519 has
    /// neither and ignores both.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the cipher does not sign, [`Error::SignOptions`] when RSA does not sign with that hash
    /// function: it does with `sha2-256`, `sha2-384` and `sha2-512`.
    pub fn with_hash(
        cipher: Cipher,
        hash: HashFunction,
        padding: RsaPadding,
        marshaling: Marshaling,
    ) -> Result<Self, Error> {
        let Some(key_type) = cipher.key_type() else {
            return Err(Error::Unsupported { operation: "sign", cipher });
        };
        let default = Algorithm::default_for(key_type);
        match cipher {
            Cipher::Ed25519 => Ok(Self::new(Some(default), marshaling)),
            Cipher::Rsa2048 | Cipher::Rsa3072 | Cipher::Rsa4096 => {
                let fitting = match padding {
                    RsaPadding::Pss => [Algorithm::Ps256, Algorithm::Ps384, Algorithm::Ps512],
                    RsaPadding::Pkcs1v15 => [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512],
                };
                let algorithm = fitting.into_iter().find(|algorithm| algorithm.hash() == Some(hash));
                let algorithm = algorithm.ok_or(Error::SignOptions { cipher, hash })?;
                Ok(Self::new(Some(algorithm), marshaling))
            }
            _ => Ok(Self { hash: Some(hash), ..Self::new(Some(default), marshaling) }),
        }
    }
}

/// What is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input<'a> {
    /// A message, which is hashed here.
    Message(&'a [u8]),
    /// A digest of it, made elsewhere: RSA wants one of the algorithm's own hash function, ECDSA takes 28 to 64 bytes.
    /// Ed25519 hashes inside and signs these bytes as a message (RFC 8032 §5.1: pure Ed25519, not Ed25519ph).
    Digest(&'a [u8]),
}

/// Signs with the active version, or an older one that is asked for. The answer is a text that names the version.
///
/// # Errors
/// [`Error::Unsupported`] when the cipher does not sign, [`Error::SignsJwts`] when the ring signs tokens: a signature
/// over any text could be a token. [`Error::NotActive`] while no version is active, [`Error::Version`] for another that
/// cannot, [`Error::Context`] for a context that is missing or not taken, [`Error::SaltLength`] for a salt of another length
/// than the digest's, [`Error::Keys`] when algorithm or digest do not fit the cipher or the backend fails.
#[derive(Debug, Clone, Copy)]
pub struct Sign<'a> {
    input: Input<'a>,
    options: SignOptions,
    context: &'a [u8],
    version: Option<u32>,
}

impl<'a> Sign<'a> {
    /// Without context, by the active version.
    pub const fn new(input: Input<'a>, options: SignOptions) -> Self {
        Self { input, options, context: &[], version: None }
    }

    /// With the context that a `derived` ring needs.
    #[must_use]
    pub const fn with_context(self, context: &'a [u8]) -> Self {
        Self { context, ..self }
    }

    /// By this version.
    #[must_use]
    pub const fn with_version(self, version: u32) -> Self {
        Self { version: Some(version), ..self }
    }

    fn do_sign(&self, ring: &Ring, now: OffsetDateTime) -> Result<String, Error> {
        if !ring.cipher().signs() {
            return Err(ring.unsupported("sign"));
        }
        if ring.signs_jwts() {
            return Err(Error::SignsJwts);
        }
        ring.check_context(self.context)?;
        let version = ring.producing(self.version, now)?;
        let key = version.signing().ok_or_else(|| without_secret(ring, version))?;
        let algorithm = self.options.algorithm.unwrap_or(key.algorithm);
        if let Some((hash, Some(found))) = self.options.other_salt(algorithm) {
            return Err(Error::SaltLength { found, possible: hash.length() });
        }
        let derived = if ring.config().derived { Some(ed25519(&key.private, self.context)?) } else { None };
        let key = derived.as_ref().unwrap_or(&key.private);
        let mut text = prefixed(version.number, 700);
        match self.options.marshaling {
            Marshaling::Asn1 => STANDARD.encode_string(self.raw(key, algorithm)?, &mut text),
            Marshaling::Jws => URL_SAFE_NO_PAD.encode_string(self.raw(key, algorithm)?, &mut text),
        }
        Ok(text)
    }

    fn raw(&self, key: &PrivateKey, algorithm: Algorithm) -> Result<Vec<u8>, keyward_keys::Error> {
        let digest = digest(self.input, self.options.hash, algorithm);
        match (self.options.marshaling, digest) {
            (Marshaling::Asn1, Hashed::Here(message)) => key.sign_asn1(algorithm, message),
            (Marshaling::Jws, Hashed::Here(message)) => key.sign(algorithm, message),
            (Marshaling::Asn1, Hashed::Elsewhere(digest)) => key.sign_digest_asn1(algorithm, &digest),
            (Marshaling::Jws, Hashed::Elsewhere(digest)) => key.sign_digest(algorithm, &digest),
        }
    }
}

impl Sealed for Sign<'_> {}

impl Operation for Sign<'_> {
    type Output = String;

    fn perform(&self, ring: &Ring, _: &mut impl CryptoRng, now: OffsetDateTime) -> Result<String, Error> {
        self.do_sign(ring, now)
    }
}

/// Verifies what [`Sign`] made with the same options, by the version that it names, unless that is invalid, trimmed or
/// below `min-decryption-version`.
///
/// # Errors
/// [`Error::SignatureRefused`], whatever was wrong with the signature; [`Error::Unsupported`] when the cipher does not
/// sign, [`Error::Context`] for a context that is missing or not taken.
#[derive(Debug, Clone, Copy)]
pub struct Verify<'a> {
    input: Input<'a>,
    signature: &'a str,
    options: SignOptions,
    context: &'a [u8],
}

impl<'a> Verify<'a> {
    /// Without context.
    pub const fn new(input: Input<'a>, signature: &'a str, options: SignOptions) -> Self {
        Self { input, signature, options, context: &[] }
    }

    /// With the context that it was signed with.
    #[must_use]
    pub const fn with_context(self, context: &'a [u8]) -> Self {
        Self { context, ..self }
    }

    /// Whether the text can be a signature of this ring at all, of whatever message: for those who are to hear of a mistake
    /// otherwise than of a forgery.
    ///
    /// # Errors
    /// [`Error::SignatureForm`].
    pub fn check_form(&self, ring: &Ring) -> Result<(), Error> {
        let body = ring.legible(self.signature)?;
        let signature = self.options.marshaling.bytes(body).ok_or(Error::SignatureForm { problem: NOT_BASE64 })?;
        // The others have no form but their length, and one of another length is just not valid.
        let form = match (self.options.marshaling, ring.cipher()) {
            (Marshaling::Asn1, Cipher::EcdsaP256) => Algorithm::Es256,
            (Marshaling::Asn1, Cipher::EcdsaP384) => Algorithm::Es384,
            (Marshaling::Asn1, Cipher::EcdsaP521) => Algorithm::Es512,
            _ => return Ok(()),
        };
        let problem = "it is no ASN.1 sequence of the two numbers of an ECDSA signature";
        form.signature_from_asn1(&signature).map(drop).map_err(|_| Error::SignatureForm { problem })
    }

    fn do_verify(&self, ring: &Ring, now: OffsetDateTime) -> Result<(), Error> {
        if !ring.cipher().signs() {
            return Err(ring.unsupported("verify"));
        }
        ring.check_context(self.context)?;
        self.try_verify(ring, now).ok_or(Error::SignatureRefused)
    }

    fn try_verify(&self, ring: &Ring, now: OffsetDateTime) -> Option<()> {
        let (number, body) = split(self.signature)?;
        let version = ring.named(number)?;
        if version.times.phase(ring.effective(now)) == Phase::Invalid {
            return None;
        }
        let public = version.public.as_ref()?;
        let algorithm = self.options.algorithm.unwrap_or(public.algorithm);
        let signature = self.options.marshaling.bytes(body)?;
        if ring.config().derived {
            let key = ed25519(&version.signing()?.private, self.context).ok()?;
            return self.raw(key.public_key(), algorithm, &signature).ok();
        }
        self.raw(&public.key, algorithm, &signature).ok()
    }

    fn raw(&self, key: &PublicKey, algorithm: Algorithm, signature: &[u8]) -> Result<(), keyward_keys::Error> {
        let digest = digest(self.input, self.options.hash, algorithm);
        if let Some((hash, salt)) = self.options.other_salt(algorithm) {
            return match digest {
                Hashed::Here(message) => key.verify_pss(hash, salt, &hash.digest(message), signature),
                Hashed::Elsewhere(digest) => key.verify_pss(hash, salt, &digest, signature),
            };
        }
        match (self.options.marshaling, digest) {
            (Marshaling::Asn1, Hashed::Here(message)) => key.verify_asn1(algorithm, message, signature),
            (Marshaling::Jws, Hashed::Here(message)) => key.verify(algorithm, message, signature),
            (Marshaling::Asn1, Hashed::Elsewhere(digest)) => key.verify_digest_asn1(algorithm, &digest, signature),
            (Marshaling::Jws, Hashed::Elsewhere(digest)) => key.verify_digest(algorithm, &digest, signature),
        }
    }
}

impl Sealed for Verify<'_> {}

impl Operation for Verify<'_> {
    type Output = ();

    fn perform(&self, ring: &Ring, _: &mut impl CryptoRng, now: OffsetDateTime) -> Result<(), Error> {
        self.do_verify(ring, now)
    }
}

impl Ring {
    /// The public key by which a version of a ring that derives its keys signs in a context: what verifies elsewhere what was signed
    /// here.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the cipher does not sign, [`Error::Context`] when there is no context or the ring does not derive,
    /// [`Error::Version`] for a version that cannot verify.
    pub fn derived_public_key(&self, version: u32, context: &[u8]) -> Result<PublicKey, Error> {
        if !self.cipher().signs() {
            return Err(self.unsupported("sign"));
        }
        self.check_context(context)?;
        let derived = self.config().derived;
        let key = self.named(version).filter(|_| derived).and_then(|version| version.signing());
        let key = key.ok_or(Error::Version { version, reason: "is not there" })?;
        Ok(ed25519(&key.private, context)?.public_key().clone())
    }

    /// [`Sign`]s a message with the active version.
    ///
    /// # Errors
    /// Those of [`Sign`].
    pub fn sign(&self, message: &[u8], options: SignOptions, now: OffsetDateTime) -> Result<String, Error> {
        Sign::new(Input::Message(message), options).do_sign(self, now)
    }

    /// [`Verify`] of a message.
    ///
    /// # Errors
    /// Those of [`Verify`].
    pub fn verify(
        &self,
        message: &[u8],
        signature: &str,
        options: SignOptions,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        Verify::new(Input::Message(message), signature, options).do_verify(self, now)
    }
}

/// By whom the input is hashed.
enum Hashed<'a> {
    /// By the algorithm.
    Here(&'a [u8]),
    /// Before.
    Elsewhere(Cow<'a, [u8]>),
}

fn digest(input: Input<'_>, hash: Option<HashFunction>, algorithm: Algorithm) -> Hashed<'_> {
    match (input, algorithm.hash(), hash) {
        (Input::Message(bytes) | Input::Digest(bytes), None, _) => Hashed::Here(bytes),
        (Input::Digest(digest), ..) => Hashed::Elsewhere(Cow::Borrowed(digest)),
        (Input::Message(message), Some(own), Some(hash)) if own != hash => {
            Hashed::Elsewhere(Cow::Owned(hash.digest(message)))
        }
        (Input::Message(message), ..) => Hashed::Here(message),
    }
}
