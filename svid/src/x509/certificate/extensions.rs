//! The extensions of a certificate (RFC 5280 §4.2).

use crate::x509::der::{NotDer, Reader, tag};
use crate::x509::error::CertificateProblem;
use crate::x509::{constraints, delegation, oid};

/// More extensions than this are refused: comparing each with each stays cheap.
const MAX_EXTENSIONS: usize = 32;

/// `uniformResourceIdentifier` of a `GeneralName`.
const URI: u8 = tag::context(6);

/// What the extensions say. Absent ones have the value that their absence means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Extensions<'a> {
    pub(crate) key_usage: Option<KeyUsage>,
    /// `cA` of BasicConstraints.
    pub(crate) is_ca: bool,
    /// `pathLenConstraint` of BasicConstraints.
    pub(crate) path_len: Option<u8>,
    /// The value of SubjectKeyIdentifier.
    pub(crate) key_identifier: Option<&'a [u8]>,
    /// AuthorityKeyIdentifier names a key.
    pub(crate) issuer_key_identified: bool,
    pub(crate) extended_key_usage: Option<ExtendedKeyUsage>,
    /// SubjectAltName is there and critical.
    pub(crate) names_critical: bool,
    /// The first URI among the names.
    pub(crate) uri: Option<&'a str>,
    /// How many URIs there are.
    pub(crate) uris: usize,
    /// The value of NameConstraints, readable.
    pub(crate) name_constraints: Option<&'a [u8]>,
    /// The value of the delegation extension.
    pub(crate) permitted_ids: Option<&'a [u8]>,
    /// A critical extension that nobody here knows.
    pub(crate) unknown_critical: bool,
}

/// The KeyUsage extension (RFC 5280 §4.2.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyUsage {
    pub(crate) critical: bool,
    /// The first byte of the bit string: bit 0 of the standard is the highest.
    bits: u8,
}

impl KeyUsage {
    pub(crate) fn digital_signature(self) -> bool {
        self.bits & 0x80 != 0
    }

    pub(crate) fn key_cert_sign(self) -> bool {
        self.bits & 0x04 != 0
    }

    pub(crate) fn crl_sign(self) -> bool {
        self.bits & 0x02 != 0
    }

    fn read(value: &[u8], critical: bool) -> Result<Self, CertificateProblem> {
        let mut reader = Reader::new(value);
        let content = reader.expect(tag::BIT_STRING).map_err(|NotDer| CertificateProblem::KeyUsage)?;
        reader.finish().map_err(|NotDer| CertificateProblem::KeyUsage)?;
        // Nine bits are defined, and at least one is set; unused ones are zero (X.690 §11.2.1).
        match *content {
            [unused @ 0..=7, bits] if bits != 0 && bits.trailing_zeros() >= u32::from(unused) => {
                Ok(Self { critical, bits })
            }
            [unused @ 0..=7, bits, more] if (bits | more) != 0 && more & 0x7f == 0 && unused <= 7 => {
                Ok(Self { critical, bits })
            }
            _ => Err(CertificateProblem::KeyUsage),
        }
    }
}

/// The ExtendedKeyUsage extension (RFC 5280 §4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExtendedKeyUsage {
    server_auth: bool,
    client_auth: bool,
    others: bool,
}

impl ExtendedKeyUsage {
    /// Both ends of TLS are among the purposes (X509-SVID §4.4).
    pub(crate) fn is_both(self) -> bool {
        self.server_auth && self.client_auth
    }

    /// A client of TLS, and nothing else: `anyExtendedKeyUsage` is something else.
    pub(crate) fn is_client_alone(self) -> bool {
        self.client_auth && !self.server_auth && !self.others
    }

    fn read(value: &[u8]) -> Result<Self, NotDer> {
        let mut outer = Reader::new(value);
        let mut purposes = outer.inside(tag::SEQUENCE)?;
        outer.finish()?;
        let mut found = Self { server_auth: false, client_auth: false, others: false };
        if purposes.is_empty() {
            return Err(NotDer);
        }
        while !purposes.is_empty() {
            let purpose = purposes.expect(tag::OID)?;
            found.server_auth |= purpose == oid::SERVER_AUTH;
            found.client_auth |= purpose == oid::CLIENT_AUTH;
            found.others |= purpose != oid::SERVER_AUTH && purpose != oid::CLIENT_AUTH;
        }
        Ok(found)
    }
}

impl<'a> Extensions<'a> {
    /// Reads the content of `extensions [3]`.
    pub(super) fn read(list: &'a [u8]) -> Result<Self, CertificateProblem> {
        let mut outer = Reader::new(list);
        let mut list = outer.inside(tag::SEQUENCE)?;
        outer.finish()?;
        let mut found = Self::default();
        let mut seen: [&[u8]; MAX_EXTENSIONS] = [&[]; MAX_EXTENSIONS];
        let mut slots = seen.iter_mut();
        let mut known = 0;
        while !list.is_empty() {
            let mut extension = list.inside(tag::SEQUENCE)?;
            let id = extension.expect(tag::OID)?;
            let critical = extension.default_false()?;
            let value = extension.expect(tag::OCTET_STRING)?;
            extension.finish()?;
            *slots.next().ok_or(CertificateProblem::TooManyExtensions)? = id;
            known += 1;
            found.take(id, critical, value)?;
        }
        // §4.2: "MUST NOT include more than one instance of a particular extension".
        let seen = seen.get(..known).unwrap_or_default();
        if seen.iter().enumerate().any(|(index, id)| seen.iter().skip(index + 1).any(|other| other == id)) {
            return Err(CertificateProblem::DuplicateExtension);
        }
        Ok(found)
    }

    fn take(&mut self, id: &[u8], critical: bool, value: &'a [u8]) -> Result<(), CertificateProblem> {
        match id {
            oid::KEY_USAGE => self.key_usage = Some(KeyUsage::read(value, critical)?),
            oid::BASIC_CONSTRAINTS => {
                let read = read_basic_constraints(value).map_err(|NotDer| CertificateProblem::BasicConstraints)?;
                (self.is_ca, self.path_len) = read;
            }
            oid::SUBJECT_KEY_IDENTIFIER => {
                let mut reader = Reader::new(value);
                self.key_identifier = Some(reader.expect(tag::OCTET_STRING)?);
                reader.finish()?;
            }
            oid::AUTHORITY_KEY_IDENTIFIER => {
                let mut reader = Reader::new(value);
                let mut fields = reader.inside(tag::SEQUENCE)?;
                reader.finish()?;
                self.issuer_key_identified = fields.optional(tag::context(0))?.is_some();
            }
            oid::EXTENDED_KEY_USAGE => {
                let read = ExtendedKeyUsage::read(value).map_err(|NotDer| CertificateProblem::ExtendedKeyUsage)?;
                self.extended_key_usage = Some(read);
            }
            oid::SUBJECT_ALT_NAME => {
                self.names_critical = critical;
                self.read_names(value).map_err(|NotDer| CertificateProblem::SubjectAltName)?;
            }
            oid::NAME_CONSTRAINTS => {
                constraints::check(value).map_err(|NotDer| CertificateProblem::NameConstraints)?;
                self.name_constraints = Some(value);
            }
            delegation::OID => self.permitted_ids = Some(value),
            _ => self.unknown_critical |= critical,
        }
        Ok(())
    }

    /// `GeneralNames` (RFC 5280 §4.2.1.6), at least one. Of the names only URIs are of interest.
    fn read_names(&mut self, value: &'a [u8]) -> Result<(), NotDer> {
        let mut outer = Reader::new(value);
        let mut names = outer.inside(tag::SEQUENCE)?;
        outer.finish()?;
        if names.is_empty() {
            return Err(NotDer);
        }
        while !names.is_empty() {
            let name = names.any()?;
            match name.tag {
                URI => {
                    // IA5String.
                    let text = std::str::from_utf8(name.content).ok().filter(|text| text.is_ascii()).ok_or(NotDer)?;
                    self.uri = self.uri.or(Some(text));
                    self.uris += 1;
                }
                tag if constraints::is_general_name(tag) => {}
                _ => return Err(NotDer),
            }
        }
        Ok(())
    }
}

/// `cA`, and the path length, which is for certificates that have it set (RFC 5280 §4.2.1.9).
fn read_basic_constraints(value: &[u8]) -> Result<(bool, Option<u8>), NotDer> {
    let mut outer = Reader::new(value);
    let mut fields = outer.inside(tag::SEQUENCE)?;
    outer.finish()?;
    let is_ca = fields.default_false()?;
    let path_len = match fields.optional(tag::INTEGER)? {
        None => None,
        // Path validation reads one byte, which is more than any path has.
        Some([length @ 0..=0x7f] | [0, length @ 0x80..=0xff]) if is_ca => Some(*length),
        Some(_) => return Err(NotDer),
    };
    fields.finish()?;
    Ok((is_ca, path_len))
}
