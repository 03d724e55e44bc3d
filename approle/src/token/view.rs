//! What a login, a refresh and a look-up answer.

use core::fmt;
use std::collections::BTreeMap;

use keyward_config_values::Name;
use serde::Serialize;
use time::OffsetDateTime;

use super::{Token, TokenRecord, TokenType};
use crate::{Accessor, instant};

/// What a login, a refresh and a look-up answer, with the field names that clients read. The only
/// value of this module that writes a token out; `Debug` shows none.
#[derive(Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct TokenView<'a> {
    /// The token; only in the answer to a login or a refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<&'a str>,
    /// The name of the token, which is no secret.
    pub accessor: Accessor,
    /// When it was issued (RFC 3339).
    pub creation_time: String,
    /// When it was last refreshed; at first its creation (RFC 3339). Clients come again a quarter of
    /// the time before `expires`.
    pub renewal_time: String,
    /// When it stops working (RFC 3339).
    pub expires: String,
    /// Whole seconds until then, never less than 0.
    pub expires_in: i64,
    /// Whether it can be refreshed.
    pub renewable: bool,
    /// `service`.
    #[serde(rename = "type")]
    pub kind: TokenType,
    /// Names of its policies.
    pub policies: &'a [Name],
    /// Whom it was issued to, where that was proven by an SVID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spiffe_id: Option<&'a str>,
    /// What is proven of whoever has it: the metadata of the secret-id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: &'a BTreeMap<String, String>,
    /// The name that its maker gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<&'a str>,
    /// What its maker noted with it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: &'a BTreeMap<String, String>,
    /// The JWT-SVID that comes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt_svid: Option<&'a str>,
    /// The X.509-SVID that comes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x509_svid: Option<X509SvidView<'a>>,
}

/// An X.509-SVID as a login and a refresh hand it over, both parts in PEM (RFC 7468). `Debug` does
/// not show the key.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct X509SvidView<'a> {
    /// The certificates, the SVID's own first.
    pub cert: &'a str,
    /// The private key in PKCS#8.
    pub private_key: &'a str,
}

impl<'a> X509SvidView<'a> {
    /// An SVID of these certificates and this key.
    #[must_use]
    pub fn new(cert: &'a str, private_key: &'a str) -> Self {
        Self { cert, private_key }
    }
}

impl fmt::Debug for X509SvidView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509SvidView").field("cert", &self.cert).finish_non_exhaustive()
    }
}

impl<'a> TokenView<'a> {
    /// The answer to a look-up: without the token.
    #[must_use]
    pub fn new(record: &'a TokenRecord, now: OffsetDateTime) -> Self {
        Self {
            token: None,
            accessor: record.accessor(),
            creation_time: instant::text(record.creation_time()),
            renewal_time: instant::text(record.renewal_time()),
            expires: instant::text(record.expires()),
            expires_in: (record.expires() - now).whole_seconds().max(0),
            renewable: record.is_renewable(),
            kind: record.kind(),
            policies: record.policies(),
            spiffe_id: record.subject().spiffe_id().map(keyward_spiffe_id::SpiffeId::as_str),
            metadata: record.metadata(),
            display_name: record.display_name(),
            notes: record.notes(),
            jwt_svid: None,
            x509_svid: None,
        }
    }

    /// With the token, as a login answers.
    #[must_use]
    pub fn with_token(self, token: &'a Token) -> Self {
        self.with_presented(token.expose())
    }

    /// With the token as the caller presented it, as a refresh answers.
    #[must_use]
    pub fn with_presented(self, token: &'a str) -> Self {
        Self { token: Some(token), ..self }
    }

    /// With the JWT-SVID that was minted for it.
    #[must_use]
    pub fn with_jwt_svid(self, svid: Option<&'a str>) -> Self {
        Self { jwt_svid: svid, ..self }
    }

    /// With the X.509-SVID that was issued for it.
    #[must_use]
    pub fn with_x509_svid(self, svid: Option<X509SvidView<'a>>) -> Self {
        Self { x509_svid: svid, ..self }
    }
}

impl fmt::Debug for TokenView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenView")
            .field("accessor", &self.accessor)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, pepper, rng, role};
    use crate::{Limits, TokenParameters};
    use time::format_description::well_known::Rfc3339;

    #[test]
    fn clients_find_every_field_by_its_name() {
        let role = role(r#"{"name":"a","token-period":"1d","token-policies":["b"]}"#);
        let parameters = TokenParameters::for_role(&role, [192, 0, 2, 1].into());
        let (token, record) = TokenRecord::issue(parameters, &Limits::default(), &pepper(), &mut rng(1), at(0));
        let view = TokenView::new(&record, at(1)).with_token(&token).with_jwt_svid(Some("a.b.c"));
        let view = view.with_x509_svid(Some(X509SvidView::new("chain", "secret-key")));
        assert_eq!(
            serde_json::to_value(&view).unwrap(),
            serde_json::json!({
                "token": token.expose(),
                "accessor": record.accessor(),
                "creation-time": "2027-01-15T08:00:00.000Z",
                "renewal-time": "2027-01-15T08:00:00.000Z",
                "expires": "2027-01-16T08:00:00.000Z",
                "expires-in": 86_399,
                "renewable": true,
                "type": "service",
                "policies": ["default", "b"],
                "jwt-svid": "a.b.c",
                "x509-svid": { "cert": "chain", "private-key": "secret-key" },
            })
        );
        let debug = format!("{view:?}");
        assert!(!debug.contains(token.expose()) && !debug.contains("a.b.c") && !debug.contains("secret-key"));
        let svid = format!("{:?}", view.x509_svid.unwrap());
        assert!(svid.contains("chain") && !svid.contains("secret-key"), "{svid}");

        let looked_up = serde_json::to_value(TokenView::new(&record, at(200_000))).unwrap();
        assert!(looked_up.get("token").is_none() && looked_up.get("jwt-svid").is_none());
        assert!(looked_up.get("x509-svid").is_none());
        assert_eq!(looked_up["expires-in"], 0);
    }

    /// The shape that the public Rust client declares: an integer, two RFC 3339 times, optional SVIDs.
    #[test]
    fn the_answer_parses_as_the_public_client_declares_it() {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct LoginToken {
            token: String,
            expires_in: i64,
            #[serde(with = "time::serde::rfc3339")]
            expires: OffsetDateTime,
            #[serde(with = "time::serde::rfc3339")]
            creation_time: OffsetDateTime,
            jwt_svid: Option<String>,
            x509_svid: Option<serde_json::Value>,
        }
        let parameters = TokenParameters::for_role(&role(r#"{"name":"a"}"#), [192, 0, 2, 1].into());
        let now = at(0) + time::Duration::nanoseconds(123_456_789);
        let (token, record) = TokenRecord::issue(parameters, &Limits::default(), &pepper(), &mut rng(1), now);
        let json = serde_json::to_string(&TokenView::new(&record, now).with_token(&token)).unwrap();
        let read: LoginToken = serde_json::from_str(&json).unwrap();
        assert_eq!(read.token, token.expose());
        assert_eq!(read.expires_in, 3600);
        assert!(read.expires <= record.expires());
        assert_eq!(read.expires - read.creation_time, time::Duration::HOUR);
        assert!(read.jwt_svid.is_none() && read.x509_svid.is_none());
        assert!(read.expires.format(&Rfc3339).unwrap().ends_with(".123Z"));
    }
}
