//! The claims of a WIT-SVID (WIT-SVID §3).

use keyward_spiffe_id::SpiffeId;
use serde::de::MapAccess;
use serde_json::Value;
use time::OffsetDateTime;

use super::confirmation::Confirmation;
use super::error::VerifyError;
use crate::json::{Fault, Keep, duplicate};
use crate::jwt::{self, ClaimProblem, OtherClaims, Registered, required};

/// The claims that mean something to a verifier of WIT-SVIDs. By themselves they prove nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitClaims {
    subject: SpiffeId,
    confirmation: Confirmation,
    expires: OffsetDateTime,
    issued_at: Option<OffsetDateTime>,
    not_before: Option<OffsetDateTime>,
    issuer: Option<String>,
    jwt_id: Option<String>,
}

impl WitClaims {
    /// `sub`: whom the key belongs to.
    pub fn subject(&self) -> &SpiffeId {
        &self.subject
    }

    /// `cnf`: the key.
    pub fn confirmation(&self) -> &Confirmation {
        &self.confirmation
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

    /// `iss`: who issued the token. Nothing may be decided on it.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// `jti`: the name of this one token, for the audit. Several instances of a workload may hold the same token, so it
    /// is no protection against replay (WIT-SVID §3.3).
    pub fn jwt_id(&self) -> Option<&str> {
        self.jwt_id.as_deref()
    }

    pub(super) fn read(json: &[u8]) -> Result<Self, VerifyError> {
        let read = Registered::<Cnf>::read(json)?;
        // WIT-SVID §3.8: whom a request is for, the proof says.
        if read.aud.is_some() {
            return Err(jwt::VerifyError::Claim { claim: "aud", problem: ClaimProblem::NotAllowed }.into());
        }
        Ok(Self {
            subject: read.subject()?,
            expires: read.expires()?,
            issued_at: read.issued_at()?,
            not_before: read.not_before()?,
            confirmation: Confirmation::read(required("cnf", read.others.0)?)?,
            issuer: read.iss.map(|text| text.0.into_owned()),
            jwt_id: read.jti.map(|text| text.0.into_owned()),
        })
    }
}

#[derive(Default)]
struct Cnf(Option<Value>);

impl<'de> OtherClaims<'de> for Cnf {
    fn take<A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
        fault: &mut Option<Fault>,
    ) -> Result<bool, A::Error> {
        if name != "cnf" {
            return Ok(false);
        }
        keep_once("cnf", &mut self.0, map, fault)?;
        Ok(true)
    }
}

/// Reads a value of any type that has no duplicate members, once.
pub(super) fn keep_once<'de, A: MapAccess<'de>>(
    name: &str,
    slot: &mut Option<Value>,
    map: &mut A,
    fault: &mut Option<Fault>,
) -> Result<(), A::Error> {
    if slot.is_some() {
        return Err(duplicate(name, fault));
    }
    // A JWK inside `cnf`, texts inside `oth`.
    *slot = Some(map.next_value_seed(Keep { fault: &mut *fault, depth: 2 })?);
    match fault.take() {
        Some(Fault::Duplicate(inner)) => Err(duplicate(&inner, fault)),
        _ => Ok(()),
    }
}
