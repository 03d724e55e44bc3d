//! Why a host is not let in.

use keyward_config_values::moment;
use keyward_keys::ErrorKind;
use keyward_svid::HttpsUrl;
use keyward_svid::x509;
use time::OffsetDateTime;

use crate::Granularity;

/// Why a call home is refused. The texts are for the operator of the host, too: they say what to do, and nothing that
/// the caller has not brought.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A certificate is asked for, and none was presented.
    #[error("a call-home certificate is needed (granularity `{wanted}`): issue one and run its install script")]
    Missing {
        /// What is asked for.
        wanted: Granularity,
    },
    /// No certificate is asked for, and one was presented.
    #[error("the tower takes no call-home certificates (granularity `never`): call home without one")]
    Unwanted,
    /// What was presented cannot be read as a certificate.
    #[error("the call-home certificate cannot be read: {0}")]
    Malformed(#[source] x509::Error),
    /// What was presented is no certificate for calling home.
    #[error("this is no call-home certificate: {0}")]
    NotForCallHome(#[source] x509::Error),
    /// The call-home authority has not issued it.
    #[error("the call-home certificate was not issued by this tower, or by an authority that it gave up")]
    UnknownAuthority,
    /// Its ID is none of those that call home.
    #[error("this is no call-home certificate: its URI is not one for calling home")]
    NoScope,
    /// It is not valid yet.
    #[error("the call-home certificate is not valid before {}; are the clocks right?", moment(*.not_before))]
    NotYetValid {
        /// From when it is.
        not_before: OffsetDateTime,
    },
    /// It was valid.
    #[error("the call-home certificate expired at {}: issue a new one", moment(*.not_after))]
    Expired {
        /// Its last second.
        not_after: OffsetDateTime,
    },
    /// It was revoked.
    #[error("the call-home certificate was revoked: issue a new one")]
    Revoked,
    /// Other hosts have used it up.
    #[error("the call-home certificate was used already: issue a new one for each host")]
    AlreadyUsed,
    /// The tower has not issued it, or has forgotten it.
    #[error("the call-home certificate is not on record: issue a new one")]
    Unknown,
    /// It is broader than the tower accepts.
    #[error("the call-home certificate is of granularity `{found}`, the tower asks for `{wanted}`: issue a new one")]
    TooBroad {
        /// What it is.
        found: Granularity,
        /// What is asked for.
        wanted: Granularity,
    },
    /// It is for another host.
    #[error("the call-home certificate is for another host-id")]
    WrongHost,
    /// It is for another site than the one that the host belongs to.
    #[error("the call-home certificate is for another site")]
    WrongSite,
    /// The site that it is for was deleted: nobody could claim the host for it.
    #[error(
        "the site of the call-home certificate does not exist any more: create it again, or issue a new certificate"
    )]
    NoSite,
    /// A load balancer's header came from somebody else.
    #[error("a header with a client certificate is accepted from the configured load balancers alone")]
    HeaderFromStranger,
    /// A load balancer's header came where none is expected.
    #[error("a header with a client certificate is refused: `lb-mode` is `none`")]
    HeaderUnexpected,
    /// There is more than one such header.
    #[error("there is more than one header with a client certificate")]
    HeaderRepeated,
    /// The header is not what a load balancer sends.
    #[error("the header with the client certificate cannot be read: {problem}")]
    HeaderMalformed {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The header and the connection have different certificates.
    #[error("the header and the connection present different client certificates")]
    Disagree,
    /// Another host has called home with this host-id.
    #[error(
        "another host has called home with this host-id: it is shown as a duplicate, and an operator has to release it"
    )]
    Duplicate,
    /// The host was removed.
    #[error("the host was removed: an operator has to release it")]
    Removed,
    /// The certificate request cannot be read, or does not prove that the host has the key.
    #[error("the certificate request is refused: {0}")]
    BadCsr(#[source] x509::authority::Error),
    /// The SVID that the host shows was its own, and is over.
    #[error("the SVID of this host expired at {}: it has to call home again", moment(*.not_after))]
    SvidExpired {
        /// Its last second.
        not_after: OffsetDateTime,
    },
    /// The host has an identity of which the tower knows nothing any more.
    #[error("the host is not registered: it was released, or never claimed; it has to call home")]
    NotRegistered,
    /// The host belongs to another site than its identity says.
    #[error("the host belongs to another site by now: it has to call home again")]
    OtherSite,
    /// Another key is registered for the host.
    #[error("another key is registered for this host: an operator has to release it")]
    OtherKey,
    /// It was the tower's API that was asked.
    #[error("hosts call home at {}, and this is the tower's API", .call_home.as_str())]
    WrongListener {
        /// Where the listener for it is.
        call_home: HttpsUrl,
    },
    /// Hosts that nobody knows are not wanted.
    #[error("the host-id is not known to any site, and unclaimed hosts are not accepted (`enable-unclaimed` is false)")]
    UnclaimedDisabled,
}

impl Refusal {
    /// A word for logs and programs, which does not change.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Unwanted => "unwanted",
            Self::Malformed(_) => "malformed",
            Self::NotForCallHome(_) => "not-for-call-home",
            Self::UnknownAuthority => "unknown-authority",
            Self::NoScope => "no-scope",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::Expired { .. } => "expired",
            Self::Revoked => "revoked",
            Self::AlreadyUsed => "already-used",
            Self::Unknown => "unknown",
            Self::TooBroad { .. } => "too-broad",
            Self::WrongHost => "wrong-host",
            Self::WrongSite => "wrong-site",
            Self::NoSite => "no-site",
            Self::HeaderFromStranger => "header-from-stranger",
            Self::HeaderUnexpected => "header-unexpected",
            Self::HeaderRepeated => "header-repeated",
            Self::HeaderMalformed { .. } => "header-malformed",
            Self::Disagree => "disagree",
            Self::Duplicate => "duplicate",
            Self::Removed => "removed",
            Self::UnclaimedDisabled => "unclaimed-disabled",
            Self::BadCsr(_) => "bad-csr",
            // As of all else that is no SVID that counts: it was given up by itself.
            Self::SvidExpired { .. } => "bad-svid",
            Self::NotRegistered => "not-registered",
            Self::OtherSite => "other-site",
            Self::OtherKey => "other-key",
            Self::WrongListener { .. } => "wrong-listener",
        }
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed(_) | Self::HeaderMalformed { .. } | Self::HeaderRepeated | Self::BadCsr(_) => {
                ErrorKind::Malformed
            }
            _ => ErrorKind::Refused,
        }
    }
}

impl From<x509::Error> for Refusal {
    fn from(error: x509::Error) -> Self {
        match error {
            x509::Error::NotYetValid { not_before, .. } => Self::NotYetValid { not_before },
            x509::Error::Expired { not_after, .. } => Self::Expired { not_after },
            x509::Error::UnknownAuthority { .. } | x509::Error::TrustDomain { .. } | x509::Error::Signature => {
                Self::UnknownAuthority
            }
            error if error.kind() == ErrorKind::Malformed => Self::Malformed(error),
            error => Self::NotForCallHome(error),
        }
    }
}
