//! The protected header: `alg`, `kid`, `typ`, and what each kind of token makes of them.

use std::fmt;

use keyward_keys::Algorithm;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use super::error::{HeaderProblem, Part, VerifyError, json_error};
use super::frame::encode_into;
use crate::json::{Fault, Skip, Text, all_different, excerpt, once, push_string};

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

/// The kinds of token, which differ in their headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// JWT-SVID §2.
    JwtSvid,
    /// WIT-SVID §2.
    #[cfg(feature = "wit")]
    WitSvid,
    /// draft-ietf-wimse-wpt §2.
    #[cfg(feature = "wit")]
    Proof,
}

impl Kind {
    /// The `typ` to write.
    pub(crate) fn typ(self) -> &'static str {
        match self {
            Self::JwtSvid => "JWT",
            #[cfg(feature = "wit")]
            Self::WitSvid => "wit+jwt",
            #[cfg(feature = "wit")]
            Self::Proof => "wpt+jwt",
        }
    }

    fn reads_typ(self, typ: Option<&str>) -> Result<(), HeaderProblem> {
        match (self, typ) {
            // §2.3; RFC 7519 §5.1 recommends upper case "for compatibility" and the SPIFFE text names
            // exactly these two spellings.
            (Self::JwtSvid, None | Some("JWT" | "JOSE")) => Ok(()),
            #[cfg(feature = "wit")]
            (_, None) => Err(HeaderProblem::Missing),
            (_, Some(typ)) if typ == self.typ() => Ok(()),
            _ => Err(HeaderProblem::Value),
        }
    }

    /// What is wrong with a member that means nothing here.
    fn foreign(self, member: &str) -> Option<HeaderProblem> {
        match (self, member) {
            // "Any header not described here, registered or private, MUST NOT be included" (§2): that
            // covers `crit`, `jku`, `jwk`, `x5u`, `x5c` and every other way to bring a key along.
            (Self::JwtSvid, _) => Some(HeaderProblem::NotAllowed),
            // RFC 7515 §4.1.11: what must be understood, and is not.
            #[cfg(feature = "wit")]
            (_, "crit") => Some(HeaderProblem::Critical),
            // Others are ignored (WIT-SVID §2.4).
            #[cfg(feature = "wit")]
            _ => None,
        }
    }

    /// Whether the header must name the key.
    fn needs_key_id(self) -> bool {
        match self {
            Self::JwtSvid => false,
            // WIT-SVID §2.1.
            #[cfg(feature = "wit")]
            Self::WitSvid => true,
            #[cfg(feature = "wit")]
            Self::Proof => false,
        }
    }
}

/// A header whose algorithm is allowed and whose members keep the rules of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
}

impl Header {
    /// Reads a header. The algorithm is decided first (JWT-SVID §4): a token that asks for one
    /// outside `allowed` is refused for that, whatever else is wrong with it.
    pub(crate) fn read(json: &[u8], kind: Kind, allowed: &[Algorithm]) -> Result<Self, VerifyError> {
        let mut fault = None;
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let members = Members(&mut fault)
            .deserialize(&mut deserializer)
            .and_then(|members| deserializer.end().map(|()| members))
            .map_err(|error| json_error(Part::Header, &error, fault.take()))?;

        let bad = |member: &str, problem| VerifyError::Header { member: excerpt(member), problem };
        let Some(algorithm) = members.alg else { return Err(bad("alg", HeaderProblem::Missing)) };
        let algorithm = JWT_SVID_ALGORITHMS
            .into_iter()
            .find(|known| known.as_str() == algorithm.0)
            .filter(|known| allowed.contains(known))
            .ok_or_else(|| VerifyError::Algorithm { algorithm: excerpt(&algorithm.0) })?;
        if let Some(error) = members.unknown.iter().find_map(|name| Some(bad(&name.0, kind.foreign(&name.0)?))) {
            return Err(error);
        }
        let typ = members.typ.as_ref().map(|typ| typ.0.as_ref());
        kind.reads_typ(typ).map_err(|problem| bad("typ", problem))?;
        if kind.needs_key_id() && members.kid.is_none() {
            return Err(bad("kid", HeaderProblem::Missing));
        }
        Ok(Self { algorithm, kid: members.kid.map(|kid| kid.0.into_owned()) })
    }

    /// The encoded header of a token to sign, and its dot.
    pub(crate) fn encode(algorithm: Algorithm, kid: Option<&str>, kind: Kind) -> String {
        let mut json = String::with_capacity(96);
        json.push_str("{\"alg\":\"");
        json.push_str(algorithm.as_str());
        json.push('"');
        if let Some(kid) = kid {
            json.push_str(",\"kid\":");
            push_string(&mut json, kid);
        }
        json.push_str(",\"typ\":\"");
        json.push_str(kind.typ());
        json.push_str("\"}");
        let mut header = String::with_capacity(json.len() * 4 / 3 + 4);
        encode_into(json.as_bytes(), &mut header);
        header.push('.');
        header
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
        Header::read(json.as_bytes(), Kind::JwtSvid, &JWT_SVID_ALGORITHMS)
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
            Header::read(br#"{"alg":"RS256"}"#, Kind::JwtSvid, &[Algorithm::Es256]),
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
