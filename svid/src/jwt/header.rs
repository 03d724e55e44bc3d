//! The protected header: `alg`, `kid`, `typ` and nothing else (JWT-SVID §2).

use std::fmt;

use keyward_keys::Algorithm;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use super::error::{HeaderProblem, Part, VerifyError, json_error};
use crate::json::{Fault, Skip, Text, all_different, excerpt, once};

/// The algorithms that JWT-SVID §2.1 allows, all nine.
pub const JWT_SVID_ALGORITHMS: [Algorithm; 9] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

/// A header whose algorithm is allowed and whose members are all known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
}

impl Header {
    /// Reads a header. The algorithm is decided first (JWT-SVID §4): a token that asks for one
    /// outside `allowed` is refused for that, whatever else is wrong with it.
    pub(crate) fn read(json: &[u8], allowed: &[Algorithm]) -> Result<Self, VerifyError> {
        let mut fault = None;
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let members = Members(&mut fault)
            .deserialize(&mut deserializer)
            .and_then(|members| deserializer.end().map(|()| members))
            .map_err(|error| json_error(Part::Header, &error, fault.take()))?;

        let Some(algorithm) = members.alg else {
            return Err(VerifyError::Header { member: "alg".to_owned(), problem: HeaderProblem::Missing });
        };
        let algorithm = JWT_SVID_ALGORITHMS
            .into_iter()
            .find(|known| known.as_str() == algorithm.0)
            .filter(|known| allowed.contains(known))
            .ok_or_else(|| VerifyError::Algorithm { algorithm: excerpt(&algorithm.0) })?;
        // "Any header not described here, registered or private, MUST NOT be included" (§2): that
        // covers `crit`, `jku`, `jwk`, `x5u`, `x5c` and every other way to bring a key along.
        if let Some(member) = members.unknown.first() {
            return Err(VerifyError::Header { member: excerpt(&member.0), problem: HeaderProblem::NotAllowed });
        }
        // §2.3; RFC 7519 §5.1 recommends upper case "for compatibility" and the SPIFFE text names
        // exactly these two spellings.
        if let Some(typ) = members.typ
            && !matches!(typ.0.as_ref(), "JWT" | "JOSE")
        {
            return Err(VerifyError::Header { member: "typ".to_owned(), problem: HeaderProblem::Value });
        }
        Ok(Self { algorithm, kid: members.kid.map(|kid| kid.0.into_owned()) })
    }
}

#[derive(Default)]
struct Read<'de> {
    alg: Option<Text<'de>>,
    kid: Option<Text<'de>>,
    typ: Option<Text<'de>>,
    unknown: Vec<Text<'de>>,
}

struct Members<'f>(&'f mut Option<Fault>);

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = Read<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Read<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Read<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JOSE header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read<'de>, A::Error> {
        let mut read = Read::default();
        while let Some(name) = map.next_key::<Text<'de>>()? {
            match name.0.as_ref() {
                "alg" => once(&mut map, &mut read.alg, "alg", self.0)?,
                "kid" => once(&mut map, &mut read.kid, "kid", self.0)?,
                "typ" => once(&mut map, &mut read.typ, "typ", self.0)?,
                _ => {
                    map.next_value_seed(Skip(&mut *self.0))?;
                    read.unknown.push(name);
                }
            }
        }
        all_different(&read.unknown, self.0)?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Header, VerifyError> {
        Header::read(json.as_bytes(), &JWT_SVID_ALGORITHMS)
    }

    #[test]
    fn the_three_members() {
        assert_eq!(
            read(r#"{"alg":"ES256","kid":"a\u002f1","typ":"JWT"}"#),
            Ok(Header { algorithm: Algorithm::Es256, kid: Some("a/1".to_owned()) })
        );
        assert_eq!(read(r#"{"typ":"JOSE","alg":"PS512"}"#), Ok(Header { algorithm: Algorithm::Ps512, kid: None }));
        for algorithm in JWT_SVID_ALGORITHMS {
            assert_eq!(read(&format!(r#"{{"alg":"{algorithm}"}}"#)).unwrap().algorithm, algorithm);
        }
    }

    #[test]
    fn the_algorithm_comes_before_every_other_complaint() {
        for name in ["none", "None", "HS256", "HS384", "HS512", "EdDSA", "Ed25519", "ES256K", "RSA1_5", "es256", ""] {
            let json = format!(r#"{{"typ":"x","crit":["b64"],"jwk":{{}},"alg":"{name}"}}"#);
            assert_eq!(read(&json), Err(VerifyError::Algorithm { algorithm: name.to_owned() }));
        }
        // One of the nine, but not one of those the verifier was told to accept.
        assert_eq!(
            Header::read(br#"{"alg":"RS256"}"#, &[Algorithm::Es256]),
            Err(VerifyError::Algorithm { algorithm: "RS256".to_owned() })
        );
    }

    #[test]
    fn no_other_member() {
        for member in ["crit", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "cty", "b64", "zip", "private"] {
            assert_eq!(
                read(&format!(r#"{{"alg":"ES256","{member}":null}}"#)),
                Err(VerifyError::Header { member: member.to_owned(), problem: HeaderProblem::NotAllowed })
            );
        }
    }

    #[test]
    fn members_are_strings_and_unique() {
        for member in ["alg", "kid", "typ"] {
            for value in ["1", "null", "[]", "{}", "true"] {
                assert_eq!(
                    read(&format!(r#"{{"{member}":{value},"alg":"ES256"}}"#)),
                    Err(VerifyError::Header { member: member.to_owned(), problem: HeaderProblem::NotAString }),
                    "{member} {value}"
                );
            }
        }
        for (json, name) in [
            (r#"{"alg":"ES256","alg":"ES256"}"#, "alg"),
            (r#"{"alg":"none","\u0061lg":"ES256"}"#, "alg"),
            (r#"{"kid":"a","alg":"ES256","kid":"b"}"#, "kid"),
            (r#"{"alg":"ES256","x":1,"x":2}"#, "x"),
            (r#"{"alg":"ES256","x":{"y":1,"y":2}}"#, "y"),
        ] {
            let expected = VerifyError::Duplicate { part: Part::Header, name: name.to_owned() };
            assert_eq!(read(json), Err(expected), "{json}");
        }
    }

    #[test]
    fn what_is_no_object_is_no_header() {
        for json in ["", "[]", "null", "\"alg\"", "{", "{}x", r#"{"alg":"ES256"} {}"#, "{\"alg\":\"\u{1}\"}"] {
            assert!(matches!(read(json), Err(VerifyError::Json { part: Part::Header, .. })), "{json}");
        }
        assert_eq!(read("{}"), Err(VerifyError::Header { member: "alg".to_owned(), problem: HeaderProblem::Missing }));
    }

    #[test]
    fn only_two_types() {
        for typ in ["jwt", "JWT+x", "at+jwt", "application/jwt", ""] {
            assert_eq!(
                read(&format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#)),
                Err(VerifyError::Header { member: "typ".to_owned(), problem: HeaderProblem::Value })
            );
        }
    }
}
