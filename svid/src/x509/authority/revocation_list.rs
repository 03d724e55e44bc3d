//! Certificate revocation lists (RFC 5280 §5), for verifiers that know no better: our own ask a ledger.

use keyward_keys::Signer;
use rustls_pki_types::CertificateRevocationListDer;
use time::OffsetDateTime;

use super::Error;
use super::issuer::Issuer;
use super::signing::Authority;
use super::tbs;
use super::unsigned::signed;
use super::validity::whole_seconds;
use crate::x509::der::{Writer, tag};
use crate::x509::encoding::to_pem;
use crate::x509::oid;

/// How many bytes a serial number has at most (RFC 5280 §4.1.2.2).
const MAX_SERIAL: usize = 20;

/// A certificate that is revoked, by its serial number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RevokedSerial {
    digits: Vec<u8>,
    at: OffsetDateTime,
}

impl RevokedSerial {
    /// The certificate with this serial number, in hexadecimal as [`IssuedSvid::serial`](super::IssuedSvid::serial) answers
    /// it, revoked at that time.
    ///
    /// # Errors
    /// [`Error::Serial`] when it is no number of 1 to 20 bytes.
    pub fn new(serial: &str, at: OffsetDateTime) -> Result<Self, Error> {
        let nibble = |character: u8| char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pairs = serial.as_bytes().chunks_exact(2);
        if serial.is_empty() || !pairs.remainder().is_empty() || pairs.len() > MAX_SERIAL {
            return Err(Error::Serial);
        }
        let byte = |pair: &[u8]| match *pair {
            [high, low] => Some(nibble(high)? << 4 | nibble(low)?),
            _ => None,
        };
        let digits = pairs.map(byte).collect::<Option<Vec<_>>>().ok_or(Error::Serial)?;
        Ok(Self { digits, at })
    }
}

/// What a revocation list shall say.
///
/// ```
/// use keyward_svid::x509::authority::{RevocationList, RevokedSerial};
/// # use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
/// # use keyward_svid::x509::authority::{Authority, AuthorityRequest, Subject};
/// # use time::{Duration, OffsetDateTime};
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// # let now = OffsetDateTime::from_unix_timestamp(1_800_000_000)?;
/// # let signer = KeySigner::new(PrivateKey::generate(KeyType::EcdsaP256)?, Algorithm::Es256, None)?;
/// # let public_key = signer.public_key().clone();
/// # let request = AuthorityRequest::new("example.org".parse()?, Subject::default(), now + Duration::days(90));
/// # let authority = Authority::self_signed(signer, &public_key, &request, &mut rng, now)?;
/// let list = RevocationList::new(7, [RevokedSerial::new("4f02", now)?], now + Duration::DAY);
/// let pem = list.to_pem(&authority, now)?;
/// assert!(pem.starts_with("-----BEGIN X509 CRL-----\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    number: u64,
    revoked: Vec<RevokedSerial>,
    next_update: OffsetDateTime,
}

impl RevocationList {
    /// A list with this number, which grows from list to list of an authority (RFC 5280 §5.2.3), and with the time by which
    /// there will be another one.
    pub fn new(number: u64, revoked: impl IntoIterator<Item = RevokedSerial>, next_update: OffsetDateTime) -> Self {
        let mut revoked: Vec<_> = revoked.into_iter().collect();
        revoked.sort();
        revoked.dedup_by(|later, earlier| later.digits == earlier.digits);
        Self { number, revoked, next_update }
    }

    /// The list, signed, in DER.
    ///
    /// # Errors
    /// [`Error::Keys`] and [`Error::SignerChanged`] when the signer fails, [`Error::Time`] for times that no list
    /// can hold.
    pub fn to_der<S: Signer>(
        &self,
        authority: &Authority<S>,
        now: OffsetDateTime,
    ) -> Result<CertificateRevocationListDer<'static>, Error> {
        let issuer = authority.issuer();
        let (expected, found) = (issuer.algorithm(), authority.signer().algorithm());
        if found != expected {
            return Err(Error::SignerChanged { expected, found });
        }
        let tbs = self.encode(issuer, now)?;
        let signature = authority.signer().sign(&tbs)?;
        let signature = expected.signature_to_asn1(&signature)?;
        Ok(CertificateRevocationListDer::from(signed(&tbs, expected, &signature)?))
    }

    /// The list, signed, in PEM (RFC 7468 §6).
    ///
    /// # Errors
    /// As [`to_der`](Self::to_der).
    pub fn to_pem<S: Signer>(&self, authority: &Authority<S>, now: OffsetDateTime) -> Result<String, Error> {
        Ok(to_pem("X509 CRL", &self.to_der(authority, now)?))
    }

    /// `TBSCertList` (RFC 5280 §5.1.2) of version 2.
    fn encode(&self, issuer: &Issuer, now: OffsetDateTime) -> Result<Vec<u8>, Error> {
        let mut representable = true;
        let mut der = Writer::default();
        der.sequence(|list| {
            list.unsigned(&[1]);
            // `signature` and `issuer`.
            list.raw(issuer.head());
            representable &= list.time(whole_seconds(now)) && list.time(whole_seconds(self.next_update));
            // §5.1.2.6: absent where there are none.
            if !self.revoked.is_empty() {
                list.sequence(|entries| {
                    for one in &self.revoked {
                        entries.sequence(|entry| {
                            entry.unsigned(&one.digits);
                            representable &= entry.time(whole_seconds(one.at));
                        });
                    }
                });
            }
            list.nest(tag::context_constructed(0), |list| {
                list.sequence(|extensions| {
                    tbs::issuer_key(extensions, issuer.key_identifier());
                    extensions.extension(oid::CRL_NUMBER, false, |value| {
                        value.unsigned(&self.number.to_be_bytes());
                    });
                });
            });
        });
        if !representable {
            return Err(Error::Time { what: "a time of the revocation list" });
        }
        Ok(der.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers() {
        let at = OffsetDateTime::UNIX_EPOCH;
        assert_eq!(RevokedSerial::new("4f02", at).unwrap().digits, [0x4f, 2]);
        for wrong in ["", "4", "4g", "+1", "0x4f", &"4f".repeat(21)] {
            let error = RevokedSerial::new(wrong, at).unwrap_err();
            assert_eq!(error.to_string(), "a serial number is 1 to 20 bytes in hexadecimal", "{wrong}");
        }
    }

    #[test]
    fn a_serial_number_stands_in_a_list_once() {
        let at = OffsetDateTime::UNIX_EPOCH;
        let list = RevocationList::new(1, ["02", "01", "02"].map(|serial| RevokedSerial::new(serial, at).unwrap()), at);
        assert_eq!(list.revoked.len(), 2);
    }
}
