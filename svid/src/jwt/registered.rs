//! Reading of claims: those that RFC 7519 §4.1 registers, and those that one kind of token has besides.

use std::fmt;
use std::marker::PhantomData;

use keyward_spiffe_id::SpiffeId;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use time::OffsetDateTime;

use super::claims::MAX_AUDIENCES;
use super::error::{ClaimProblem, Part, VerifyError, json_error};
use crate::json::{Fault, OneOrMany, Skip, Text, all_different, duplicate, once};

/// Claims that one kind of token has besides the registered ones.
pub(crate) trait OtherClaims<'de>: Default {
    /// Reads the value if the claim is one of them, and says whether it was.
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A, fault: &mut Option<Fault>)
    -> Result<bool, A::Error>;
}

/// A JWT-SVID has none.
#[derive(Default)]
pub(crate) struct NoOthers;

impl<'de> OtherClaims<'de> for NoOthers {
    fn take<A: MapAccess<'de>>(&mut self, _: &str, _: &mut A, _: &mut Option<Fault>) -> Result<bool, A::Error> {
        Ok(false)
    }
}

/// Claims of the right types, none of them twice. Which must be there, the kind of token says.
#[derive(Default)]
pub(crate) struct Registered<'de, O> {
    sub: Option<Text<'de>>,
    pub(crate) aud: Option<Vec<String>>,
    exp: Option<i64>,
    iat: Option<i64>,
    nbf: Option<i64>,
    pub(crate) iss: Option<Text<'de>>,
    pub(crate) jti: Option<Text<'de>>,
    pub(crate) others: O,
}

impl<'de, O: OtherClaims<'de>> Registered<'de, O> {
    pub(crate) fn read(json: &'de [u8]) -> Result<Self, VerifyError> {
        let mut fault = None;
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        Members { fault: &mut fault, read: PhantomData }
            .deserialize(&mut deserializer)
            .and_then(|read| deserializer.end().map(|()| read))
            .map_err(|error| json_error(Part::Claims, &error, fault.take()))
    }

    /// `sub`, required.
    pub(crate) fn subject(&self) -> Result<SpiffeId, VerifyError> {
        required("sub", self.sub.as_ref())?.0.parse().map_err(VerifyError::Subject)
    }

    /// `aud`, required and not empty; it is taken out.
    pub(crate) fn audiences(&mut self) -> Result<Vec<String>, VerifyError> {
        let audiences = required("aud", self.aud.take())?;
        if audiences.is_empty() {
            return Err(VerifyError::Claim { claim: "aud", problem: ClaimProblem::Empty });
        }
        Ok(audiences)
    }

    /// `exp`, required.
    pub(crate) fn expires(&self) -> Result<OffsetDateTime, VerifyError> {
        instant("exp", *required("exp", self.exp.as_ref())?)
    }

    /// `iat`.
    pub(crate) fn issued_at(&self) -> Result<Option<OffsetDateTime>, VerifyError> {
        self.iat.map(|seconds| instant("iat", seconds)).transpose()
    }

    /// `nbf`.
    pub(crate) fn not_before(&self) -> Result<Option<OffsetDateTime>, VerifyError> {
        self.nbf.map(|seconds| instant("nbf", seconds)).transpose()
    }
}

/// The value of a claim that must be there.
pub(crate) fn required<T>(claim: &'static str, value: Option<T>) -> Result<T, VerifyError> {
    value.ok_or(VerifyError::Claim { claim, problem: ClaimProblem::Missing })
}

/// A `NumericDate`. RFC 7519 §2 would allow fractions of a second; a token that carries one is refused
/// here, because readers that round differently disagree on whether it has expired.
fn instant(claim: &'static str, seconds: i64) -> Result<OffsetDateTime, VerifyError> {
    OffsetDateTime::from_unix_timestamp(seconds)
        .map_err(|_| VerifyError::Claim { claim, problem: ClaimProblem::OutOfRange })
}

struct Members<'f, O> {
    fault: &'f mut Option<Fault>,
    read: PhantomData<O>,
}

impl<'de, O: OtherClaims<'de>> DeserializeSeed<'de> for Members<'_, O> {
    type Value = Registered<'de, O>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, O: OtherClaims<'de>> Visitor<'de> for Members<'_, O> {
    type Value = Registered<'de, O>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a set of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut read = Self::Value::default();
        // Other claims are allowed (JWT-SVID §3), each once.
        let mut unknown = Vec::new();
        while let Some(name) = map.next_key::<Text<'de>>()? {
            match name.0.as_ref() {
                "sub" => once(&mut map, &mut read.sub, "sub", self.fault)?,
                "exp" => once(&mut map, &mut read.exp, "exp", self.fault)?,
                "iat" => once(&mut map, &mut read.iat, "iat", self.fault)?,
                "nbf" => once(&mut map, &mut read.nbf, "nbf", self.fault)?,
                "iss" => once(&mut map, &mut read.iss, "iss", self.fault)?,
                "jti" => once(&mut map, &mut read.jti, "jti", self.fault)?,
                "aud" => {
                    if read.aud.is_some() {
                        return Err(duplicate("aud", self.fault));
                    }
                    let seed = OneOrMany { name: "aud", limit: MAX_AUDIENCES, fault: &mut *self.fault };
                    read.aud = Some(map.next_value_seed(seed)?);
                }
                other => {
                    if !read.others.take(other, &mut map, self.fault)? {
                        map.next_value_seed(Skip(&mut *self.fault))?;
                        unknown.push(name);
                    }
                }
            }
        }
        all_different(&unknown, self.fault)?;
        Ok(read)
    }
}
