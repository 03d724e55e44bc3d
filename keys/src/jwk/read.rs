//! Reading: by hand, because members that stand twice and private members are errors here.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Jwk;

/// Members that hold secrets: of RSA (RFC 7518 §6.3.2), EC and OKP (§6.2.2, RFC 8037 §2), `oct` (§6.4), `AKP`.
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

impl<'de> Deserialize<'de> for Jwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Jwk;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a public JSON Web Key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Jwk, A::Error> {
        let mut seen = BTreeSet::new();
        let mut kty = None;
        let mut jwk = Jwk::empty(String::new());
        while let Some(member) = map.next_key::<String>()? {
            if let Some(member) = PRIVATE.iter().find(|private| **private == member) {
                return Err(A::Error::custom(format_args!("the JWK holds the private member `{member}`")));
            }
            // RFC 7517 §4: member names must be unique.
            if seen.contains(&member) {
                let member = crate::error::excerpt(&member);
                return Err(A::Error::custom(format_args!("JWK member `{member}` stands twice")));
            }
            match member.as_str() {
                "kty" => kty = Some(map.next_value()?),
                "use" => jwk.use_ = Some(map.next_value()?),
                "key_ops" => jwk.key_ops = Some(map.next_value()?),
                "alg" => jwk.alg = Some(map.next_value()?),
                "kid" => jwk.kid = Some(map.next_value()?),
                "crv" => jwk.crv = Some(map.next_value()?),
                "x" => jwk.x = Some(map.next_value()?),
                "y" => jwk.y = Some(map.next_value()?),
                "n" => jwk.n = Some(map.next_value()?),
                "e" => jwk.e = Some(map.next_value()?),
                "x5c" => jwk.x5c = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            seen.insert(member);
        }
        jwk.kty = kty.ok_or_else(|| A::Error::custom("the JWK has no member `kty`"))?;
        // RFC 7517 §4.3: operations must not stand twice.
        if let Some(operations) = &jwk.key_ops {
            let distinct: BTreeSet<_> = operations.iter().collect();
            if distinct.len() != operations.len() {
                return Err(A::Error::custom("JWK member `key_ops` names an operation twice"));
            }
        }
        Ok(jwk)
    }
}
