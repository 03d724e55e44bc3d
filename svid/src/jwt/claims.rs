//! The claims of a JWT-SVID (JWT-SVID §3, RFC 7519 §4.1).

use keyward_spiffe_id::SpiffeId;
use time::OffsetDateTime;

use super::error::VerifyError;
use super::registered::{NoOthers, Registered};

/// The largest number of audiences that a token may carry. The standard recommends one (JWT-SVID §3.2).
pub const MAX_AUDIENCES: usize = 32;

/// The claims that mean something to a verifier of JWT-SVIDs.
///
/// Claims by themselves prove nothing: what a [`JwtSvid`](super::JwtSvid) holds was verified, what an
/// [`UnverifiedJwtSvid`](super::UnverifiedJwtSvid) holds was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    subject: SpiffeId,
    audiences: Vec<String>,
    expires: OffsetDateTime,
    issued_at: Option<OffsetDateTime>,
    not_before: Option<OffsetDateTime>,
    issuer: Option<String>,
    jwt_id: Option<String>,
}

impl Claims {
    /// `sub`: whom the token identifies.
    pub fn subject(&self) -> &SpiffeId {
        &self.subject
    }

    /// `aud`: whom the token is meant for, at least one.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// `exp`: from this second on the token is expired.
    pub fn expires(&self) -> OffsetDateTime {
        self.expires
    }

    /// `iat`: when the token was issued.
    pub fn issued_at(&self) -> Option<OffsetDateTime> {
        self.issued_at
    }

    /// `nbf`: before this second the token is not valid.
    pub fn not_before(&self) -> Option<OffsetDateTime> {
        self.not_before
    }

    /// `iss`: who issued the token. JWT-SVID attaches no meaning to it; OIDC does.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// `jti`: the name of this one token.
    pub fn jwt_id(&self) -> Option<&str> {
        self.jwt_id.as_deref()
    }

    /// Reads the payload of a token.
    pub(crate) fn read(json: &[u8]) -> Result<Self, VerifyError> {
        let mut read = Registered::<NoOthers>::read(json)?;
        Ok(Self {
            subject: read.subject()?,
            audiences: read.audiences()?,
            expires: read.expires()?,
            issued_at: read.issued_at()?,
            not_before: read.not_before()?,
            issuer: read.iss.map(|text| text.0.into_owned()),
            jwt_id: read.jti.map(|text| text.0.into_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::error::{ClaimProblem, Part};

    const GOOD: &str = r#"{"iss":"https://i.example","sub":"spiffe://td.example/w","aud":"a","exp":1700000300,"iat":1700000000,"nbf":1699999990,"jti":"1"}"#;

    fn read(json: &str) -> Result<Claims, VerifyError> {
        Claims::read(json.as_bytes())
    }

    fn claim(claim: &'static str, problem: ClaimProblem) -> Result<Claims, VerifyError> {
        Err(VerifyError::Claim { claim, problem })
    }

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    #[test]
    fn all_members() {
        let claims = read(GOOD).unwrap();
        assert_eq!(claims.subject().as_str(), "spiffe://td.example/w");
        assert_eq!(claims.audiences(), ["a"]);
        assert_eq!(claims.expires(), at(1_700_000_300));
        assert_eq!(claims.issued_at(), Some(at(1_700_000_000)));
        assert_eq!(claims.not_before(), Some(at(1_699_999_990)));
        assert_eq!(claims.issuer(), Some("https://i.example"));
        assert_eq!(claims.jwt_id(), Some("1"));
    }

    #[test]
    fn the_required_three_are_enough() {
        // A root path is legal in a JWT-SVID.
        let claims = read(r#"{"sub":"spiffe://td","aud":["a","b"],"exp":-1,"x":{"y":[1.5]}}"#).unwrap();
        assert_eq!(claims.audiences(), ["a", "b"]);
        assert_eq!(claims.expires(), at(-1));
        assert_eq!((claims.issuer(), claims.jwt_id()), (None, None));
        assert_eq!((claims.issued_at(), claims.not_before()), (None, None));
    }

    #[test]
    fn each_required_claim_is_required() {
        for name in ["sub", "aud", "exp"] {
            let json = GOOD.replace(&format!("\"{name}\""), "\"other\"");
            assert_eq!(read(&json), claim(name, ClaimProblem::Missing));
        }
    }

    #[test]
    fn times_are_whole_numbers_in_range() {
        for name in ["exp", "iat", "nbf"] {
            for value in
                ["1700000300.0", "1.5e9", "\"1700000300\"", "null", "[1]", "{}", "true", "18446744073709551615"]
            {
                let json = format!(r#"{{"sub":"spiffe://td/w","aud":"a","exp":1,"{name}":{value}}}"#)
                    .replace(r#""exp":1,"exp""#, r#""exp""#);
                assert_eq!(read(&json), claim(name, ClaimProblem::Type), "{json}");
            }
            let json = format!(r#"{{"sub":"spiffe://td/w","aud":"a","{name}":999999999999999,"exp":1}}"#)
                .replace(r#","exp":1}"#, if name == "exp" { "}" } else { r#","exp":1}"# });
            assert_eq!(read(&json), claim(name, ClaimProblem::OutOfRange), "{json}");
        }
        // Not a number that serde_json can hold at all.
        let json = r#"{"sub":"spiffe://td/w","aud":"a","exp":1e999}"#;
        assert!(matches!(read(json), Err(VerifyError::Json { part: Part::Claims, .. })));
    }

    #[test]
    fn texts_are_texts() {
        for name in ["sub", "iss", "jti"] {
            for value in ["1", "null", "[\"a\"]", "{}"] {
                let json = format!(r#"{{"{name}":{value},"aud":"a","exp":1}}"#);
                assert_eq!(read(&json), claim(name, ClaimProblem::Type), "{json}");
            }
        }
        for value in ["1", "null", "[1]", "[\"a\",null]", "{\"a\":1}"] {
            let json = format!(r#"{{"aud":{value},"sub":"spiffe://td/w","exp":1}}"#);
            assert_eq!(read(&json), claim("aud", ClaimProblem::Type), "{json}");
        }
    }

    #[test]
    fn audiences_are_bounded() {
        let list = |n: usize| vec!["\"a\""; n].join(",");
        let json = |n| format!(r#"{{"aud":[{}],"sub":"spiffe://td/w","exp":1}}"#, list(n));
        assert_eq!(read(&json(32)).unwrap().audiences().len(), 32);
        assert_eq!(read(&json(33)), claim("aud", ClaimProblem::TooMany(32)));
        assert_eq!(read(&json(0)), claim("aud", ClaimProblem::Empty));
    }

    #[test]
    fn the_subject_is_a_spiffe_id() {
        let long = format!("spiffe://td/{}", "a".repeat(3000));
        for sub in ["", "alice", "https://td/w", "spiffe://td/", "spiffe://TD/w", "spiffe://td/%41", long.as_str()] {
            let json = format!(r#"{{"sub":"{sub}","aud":"a","exp":1}}"#);
            assert!(matches!(read(&json), Err(VerifyError::Subject(_))), "{sub}");
        }
    }

    #[test]
    fn no_claim_twice() {
        for (name, value) in [
            ("sub", "\"spiffe://td/other\""),
            ("aud", "\"b\""),
            ("exp", "2"),
            ("iat", "2"),
            ("nbf", "2"),
            ("iss", "\"x\""),
            ("jti", "\"x\""),
        ] {
            let json = GOOD.replacen('{', &format!("{{\"{name}\":{value},"), 1);
            let expected = VerifyError::Duplicate { part: Part::Claims, name: name.to_owned() };
            assert_eq!(read(&json), Err(expected), "{json}");
        }
        for json in [
            r#"{"sub":"spiffe://td/w","aud":"a","exp":1,"x":1,"x":1}"#,
            r#"{"sub":"spiffe://td/w","aud":"a","exp":1,"y":[{"x":1,"\u0078":1}]}"#,
        ] {
            let expected = VerifyError::Duplicate { part: Part::Claims, name: "x".to_owned() };
            assert_eq!(read(json), Err(expected), "{json}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let json = format!(r#"{{"x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert!(matches!(read(&json), Err(VerifyError::Json { part: Part::Claims, .. })));
    }
}
