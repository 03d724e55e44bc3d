//! To and from the identity types of the crate `spiffe`.
//!
//! Everything that is valid here is valid there. The other way a text longer than 2048 bytes is
//! refused: there the limit holds for what is built but not for what is read.

use crate::{Error, SpiffeId, SpiffeIdRef, TrustDomain, TrustDomainRef};

impl TryFrom<&spiffe::SpiffeId> for SpiffeId {
    type Error = Error;

    fn try_from(id: &spiffe::SpiffeId) -> Result<Self, Error> {
        id.to_string().try_into()
    }
}

impl TryFrom<spiffe::SpiffeId> for SpiffeId {
    type Error = Error;

    fn try_from(id: spiffe::SpiffeId) -> Result<Self, Error> {
        Self::try_from(&id)
    }
}

impl TryFrom<SpiffeIdRef<'_>> for spiffe::SpiffeId {
    type Error = spiffe::SpiffeIdError;

    fn try_from(id: SpiffeIdRef<'_>) -> Result<Self, Self::Error> {
        Self::new(id.as_str())
    }
}

impl TryFrom<&SpiffeId> for spiffe::SpiffeId {
    type Error = spiffe::SpiffeIdError;

    fn try_from(id: &SpiffeId) -> Result<Self, Self::Error> {
        Self::new(id.as_str())
    }
}

impl TryFrom<SpiffeId> for spiffe::SpiffeId {
    type Error = spiffe::SpiffeIdError;

    fn try_from(id: SpiffeId) -> Result<Self, Self::Error> {
        Self::new(id.as_str())
    }
}

impl TryFrom<&spiffe::TrustDomain> for TrustDomain {
    type Error = Error;

    fn try_from(name: &spiffe::TrustDomain) -> Result<Self, Error> {
        name.as_str().parse()
    }
}

impl TryFrom<spiffe::TrustDomain> for TrustDomain {
    type Error = Error;

    fn try_from(name: spiffe::TrustDomain) -> Result<Self, Error> {
        Self::try_from(&name)
    }
}

impl<'a> TryFrom<&'a spiffe::TrustDomain> for TrustDomainRef<'a> {
    type Error = Error;

    fn try_from(name: &'a spiffe::TrustDomain) -> Result<Self, Error> {
        Self::parse(name.as_str())
    }
}

impl TryFrom<TrustDomainRef<'_>> for spiffe::TrustDomain {
    type Error = spiffe::SpiffeIdError;

    fn try_from(name: TrustDomainRef<'_>) -> Result<Self, Self::Error> {
        Self::new(name.as_str())
    }
}

impl TryFrom<&TrustDomain> for spiffe::TrustDomain {
    type Error = spiffe::SpiffeIdError;

    fn try_from(name: &TrustDomain) -> Result<Self, Self::Error> {
        Self::new(name.as_str())
    }
}

impl TryFrom<TrustDomain> for spiffe::TrustDomain {
    type Error = spiffe::SpiffeIdError;

    fn try_from(name: TrustDomain) -> Result<Self, Self::Error> {
        Self::new(name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn too_long_for_us_is_refused() {
        let long = format!("spiffe://td/{}", "a".repeat(2048));
        let theirs = spiffe::SpiffeId::new(&long).unwrap();
        assert_eq!(SpiffeId::try_from(theirs), Err(Error::TooLong { len: 2060, max: 2048 }));
    }

    proptest! {
        #[test]
        fn ours_is_theirs_and_comes_back(text in "(spiffe|SPIFFE|http)://[aZ0._é-]{0,3}(/[aZ.%_-]{0,3}){0,3}") {
            let ours = text.parse::<SpiffeId>();
            let theirs = spiffe::SpiffeId::new(&text);
            if let Ok(ours) = &ours {
                let there = spiffe::SpiffeId::try_from(ours).unwrap();
                prop_assert_eq!(theirs.as_ref(), Ok(&there));
                prop_assert_eq!(&SpiffeId::try_from(there).unwrap(), ours);
                let name = spiffe::TrustDomain::try_from(ours.trust_domain()).unwrap();
                prop_assert_eq!(TrustDomain::try_from(&name).unwrap(), ours.trust_domain());
                prop_assert_eq!(TrustDomainRef::try_from(&name).unwrap(), ours.trust_domain());
            }
            // They lower-case what is read, as our lenient constructor does.
            let lenient = SpiffeId::parse_lenient(&text).map(|id| id.to_string()).ok();
            prop_assert_eq!(lenient, theirs.map(|id| id.to_string()).ok());
        }
    }
}
