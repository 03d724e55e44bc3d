//! The subject of a certificate: an X.501 name within the bounds of RFC 5280.

use std::fmt;

use super::Error;
#[cfg(feature = "transit")]
use crate::x509::der::{NotDer, Reader};
use crate::x509::der::{Writer, tag};
use crate::x509::oid;

/// A field of a subject; `Display` writes it as configuration documents name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SubjectField {
    /// `subject-country`: exactly two letters (ISO 3166).
    Country,
    /// `subject-organization`: at most 64 characters.
    Organization,
    /// `subject-organizational-unit`: at most 64 characters.
    OrganizationalUnit,
    /// `subject-locality`: at most 128 characters.
    Locality,
    /// `subject-province`: at most 128 characters.
    Province,
    /// `subject-common-name`: at most 64 characters.
    CommonName,
}

impl SubjectField {
    /// Every field, in the order in which a name holds them: from the widest to the narrowest.
    pub const ALL: [Self; 6] =
        [Self::Country, Self::Province, Self::Locality, Self::Organization, Self::OrganizationalUnit, Self::CommonName];

    /// The name in configuration documents, for example `subject-country`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Country => "subject-country",
            Self::Organization => "subject-organization",
            Self::OrganizationalUnit => "subject-organizational-unit",
            Self::Locality => "subject-locality",
            Self::Province => "subject-province",
            Self::CommonName => "subject-common-name",
        }
    }

    /// RFC 5280 appendix A.1, `ub-…`.
    const fn most_characters(self) -> usize {
        match self {
            Self::Country => 2,
            Self::Organization | Self::OrganizationalUnit | Self::CommonName => 64,
            Self::Locality | Self::Province => 128,
        }
    }

    const fn oid(self) -> &'static [u8] {
        match self {
            Self::Country => oid::COUNTRY,
            Self::Organization => oid::ORGANIZATION,
            Self::OrganizationalUnit => oid::ORGANIZATIONAL_UNIT,
            Self::Locality => oid::LOCALITY,
            Self::Province => oid::PROVINCE,
            Self::CommonName => oid::COMMON_NAME,
        }
    }
}

impl fmt::Display for SubjectField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with a field of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SubjectProblem {
    /// It is empty; a field that is not wanted is left out.
    Empty,
    /// It has nothing but blanks.
    Blank,
    /// It is no country code.
    NotTwoLetters,
    /// It is too long.
    TooLong {
        /// Its characters.
        length: usize,
        /// The characters allowed.
        limit: usize,
    },
    /// It holds a control character, which programs that show names could be fooled with.
    ControlCharacter,
}

impl fmt::Display for SubjectProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty: leave it out"),
            Self::Blank => f.write_str("is nothing but blanks: leave it out"),
            Self::NotTwoLetters => f.write_str("is not a country code of two letters, such as `DE`"),
            Self::TooLong { length, limit } => write!(f, "has {length} characters, but at most {limit} are allowed"),
            Self::ControlCharacter => f.write_str("has a control character"),
        }
    }
}

/// The subject of a certificate. Every field is checked as it is set; an empty subject is legal for leaves.
///
/// The certificate of an authority gets a `serialNumber` besides, which makes the names of any two authorities differ:
/// verifiers that look for an issuer by its name then find one, not every authority of the same owner.
///
/// ```
/// use keyward_svid::x509::authority::{Subject, SubjectField};
///
/// let subject = Subject::default()
///     .with(SubjectField::Country, "DE")?
///     .with(SubjectField::Organization, "Example GmbH")?;
/// assert_eq!(subject.to_string(), "C=DE, O=Example GmbH");
///
/// let error = subject.with(SubjectField::Country, "Germany").unwrap_err();
/// assert_eq!(error.to_string(), "`subject-country` is not a country code of two letters, such as `DE`");
/// # Ok::<(), keyward_svid::x509::authority::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Subject {
    /// In the order of [`SubjectField::ALL`].
    fields: Vec<(SubjectField, String)>,
}

impl Subject {
    /// Sets a field. A country code is written in upper case.
    ///
    /// # Errors
    /// [`Error::Subject`] when the value is out of its bounds.
    pub fn with(mut self, field: SubjectField, value: &str) -> Result<Self, Error> {
        let value = check(field, value).map_err(|problem| Error::Subject { field, problem })?;
        self.fields.retain(|(known, _)| *known != field);
        self.fields.push((field, value));
        let order = |field: &SubjectField| SubjectField::ALL.iter().position(|known| known == field);
        self.fields.sort_by_key(|(field, _)| order(field));
        Ok(self)
    }

    /// The value of a field.
    pub fn get(&self, field: SubjectField) -> Option<&str> {
        self.fields.iter().find(|(known, _)| *known == field).map(|(_, value)| value.as_str())
    }

    /// Whether no field is set.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Reads what [`encode`](Self::encode) wrote: the fields, and the serial number.
    #[cfg(feature = "transit")]
    pub(super) fn decode(name: &[u8]) -> Result<(Self, Option<String>), NotDer> {
        let mut reader = Reader::new(name);
        let mut attributes = reader.inside(tag::SEQUENCE)?;
        reader.finish()?;
        let (mut fields, mut serial_number) = (Vec::new(), None);
        while !attributes.is_empty() {
            let mut set = attributes.inside(tag::SET)?;
            let mut attribute = set.inside(tag::SEQUENCE)?;
            set.finish()?;
            let oid = attribute.expect(tag::OID)?;
            let value = attribute.any()?.content;
            attribute.finish()?;
            let value = std::str::from_utf8(value).map_err(|_| NotDer)?.to_owned();
            match SubjectField::ALL.into_iter().find(|field| field.oid() == oid) {
                Some(field) => fields.push((field, value)),
                None if oid == oid::SERIAL_NUMBER => serial_number = Some(value),
                None => return Err(NotDer),
            }
        }
        Ok((Self { fields }, serial_number))
    }

    /// Writes the `Name` (RFC 5280 §4.1.2.4), the serial number last.
    pub(super) fn encode(&self, der: &mut Writer, serial_number: Option<&str>) {
        der.sequence(|name| {
            for (field, value) in &self.fields {
                // RFC 5280 appendix A.1: X520countryName is a PrintableString, the others may be UTF8String.
                let tag = if *field == SubjectField::Country { tag::PRINTABLE_STRING } else { tag::UTF8_STRING };
                attribute(name, field.oid(), tag, value);
            }
            if let Some(number) = serial_number {
                attribute(name, oid::SERIAL_NUMBER, tag::PRINTABLE_STRING, number);
            }
        });
    }
}

/// RFC 4514 names, from the widest to the narrowest, for people to read.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (field, value)) in self.fields.iter().enumerate() {
            let name = match field {
                SubjectField::Country => "C",
                SubjectField::Organization => "O",
                SubjectField::OrganizationalUnit => "OU",
                SubjectField::Locality => "L",
                SubjectField::Province => "ST",
                SubjectField::CommonName => "CN",
            };
            write!(f, "{}{name}={value}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

fn check(field: SubjectField, value: &str) -> Result<String, SubjectProblem> {
    let (length, limit) = (value.chars().count(), field.most_characters());
    if value.is_empty() {
        return Err(SubjectProblem::Empty);
    }
    if field == SubjectField::Country {
        let is_code = length == limit && value.bytes().all(|byte| byte.is_ascii_alphabetic());
        return if is_code { Ok(value.to_ascii_uppercase()) } else { Err(SubjectProblem::NotTwoLetters) };
    }
    if length > limit {
        return Err(SubjectProblem::TooLong { length, limit });
    }
    if value.trim().is_empty() {
        return Err(SubjectProblem::Blank);
    }
    if value.chars().any(char::is_control) {
        return Err(SubjectProblem::ControlCharacter);
    }
    Ok(value.to_owned())
}

fn attribute(name: &mut Writer, oid: &[u8], tag: u8, value: &str) {
    name.nest(tag::SET, |set| {
        set.sequence(|attribute| {
            attribute.element(tag::OID, oid).element(tag, value.as_bytes());
        });
    });
}

#[cfg(test)]
mod tests {
    use keyward_keys::ErrorKind;

    use super::*;

    fn refused(field: SubjectField, value: &str) -> String {
        let error = Subject::default().with(field, value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured);
        error.to_string()
    }

    #[test]
    fn bounds_are_those_of_rfc_5280() {
        for (field, most) in [
            (SubjectField::Organization, 64),
            (SubjectField::OrganizationalUnit, 64),
            (SubjectField::CommonName, 64),
            (SubjectField::Locality, 128),
            (SubjectField::Province, 128),
        ] {
            // Characters, not bytes.
            assert!(Subject::default().with(field, &"ä".repeat(most)).is_ok());
            assert_eq!(
                refused(field, &"a".repeat(most + 1)),
                format!("`{field}` has {} characters, but at most {most} are allowed", most + 1)
            );
            assert_eq!(refused(field, ""), format!("`{field}` is empty: leave it out"));
            assert_eq!(refused(field, " \u{2003} "), format!("`{field}` is nothing but blanks: leave it out"));
            assert_eq!(refused(field, "a\0b"), format!("`{field}` has a control character"));
        }
    }

    #[test]
    fn a_country_is_exactly_two_letters() {
        for bad in ["D", "DEU", "D1", "D ", "ÄÖ", "--"] {
            assert_eq!(
                refused(SubjectField::Country, bad),
                "`subject-country` is not a country code of two letters, such as `DE`"
            );
        }
        assert_eq!(refused(SubjectField::Country, ""), "`subject-country` is empty: leave it out");
        let subject = Subject::default().with(SubjectField::Country, "de").unwrap();
        assert_eq!(subject.get(SubjectField::Country), Some("DE"));
    }

    #[test]
    fn fields_stand_in_order_and_once() {
        let subject = Subject::default()
            .with(SubjectField::CommonName, "a")
            .and_then(|subject| subject.with(SubjectField::Country, "DE"))
            .and_then(|subject| subject.with(SubjectField::Province, "BE"))
            .and_then(|subject| subject.with(SubjectField::CommonName, "b"))
            .unwrap();
        assert_eq!(subject.to_string(), "C=DE, ST=BE, CN=b");
        let mut der = Writer::default();
        Subject::default().with(SubjectField::Country, "DE").unwrap().encode(&mut der, Some("0a"));
        let expected = [
            &[0x30, 26, 0x31, 11, 0x30, 9, 6, 3, 0x55, 4, 6, 0x13, 2][..],
            b"DE",
            &[0x31, 11, 0x30, 9, 6, 3, 0x55, 4, 5, 0x13, 2],
            b"0a",
        ];
        assert_eq!(der.into_bytes(), expected.concat());
    }
}
