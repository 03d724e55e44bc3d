//! SPIFFE's rules for the certificates of a path (X509-SVID §3 to §5), and RFC 5280's that path validation leaves out.

use keyward_spiffe_id::{SpiffeIdRef, TrustDomainRef};

use super::certificate::{Certificate, ExtendedKeyUsage};
use super::error::{Error, LeafProblem, SignerProblem};
use super::purpose::Purpose;
use super::verify::X509Mode;
use super::{constraints, delegation};

/// Whether the certificate authenticates (X509-SVID §3.1, §4, §5.2).
pub(super) fn check_leaf(leaf: &Certificate<'_>, mode: X509Mode, purpose: Purpose) -> Result<(), Error> {
    let extensions = &leaf.extensions;
    let usage = extensions.key_usage;
    let strict = mode == X509Mode::Strict;
    let client = purpose == Purpose::Client;
    let problem = if extensions.is_ca {
        LeafProblem::Ca
    } else if usage.is_some_and(|usage| usage.key_cert_sign()) {
        LeafProblem::KeyCertSign
    } else if usage.is_some_and(|usage| usage.crl_sign()) {
        LeafProblem::CrlSign
    } else if extensions.unknown_critical {
        LeafProblem::UnknownExtension
    } else if strict && !usage.is_some_and(|usage| usage.critical) {
        LeafProblem::KeyUsage
    } else if strict && !usage.is_some_and(|usage| usage.digital_signature()) {
        LeafProblem::DigitalSignature
    } else if client && !extensions.extended_key_usage.is_some_and(ExtendedKeyUsage::is_client_alone) {
        LeafProblem::Purpose
    } else if client && !(extensions.key_identifier.is_some() && extensions.issuer_key_identified) {
        LeafProblem::KeyIdentifiers
    } else if strict && !client && extensions.extended_key_usage.is_some_and(|usage| !usage.is_both()) {
        LeafProblem::ExtendedKeyUsage
    } else if strict && leaf.subject_is_empty && !extensions.names_critical {
        LeafProblem::SubjectAltName
    } else {
        return Ok(());
    };
    Err(Error::Leaf { problem })
}

/// What a signing certificate is on its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Intermediate,
    /// Of the bundle: trusted as it is, so that what it lacks is not asked for (RFC 5280 §6.1.1 (d)); and it "MAY be used
    /// to issue further signing certificates in the same or different trust domains" (X509-SVID §3.2).
    Authority,
}

/// Whether the certificate signs SVIDs (X509-SVID §3.2, §4).
pub(super) fn check_signer(
    signer: &Certificate<'_>,
    role: Role,
    trust_domain: TrustDomainRef<'_>,
    mode: X509Mode,
) -> Result<(), Error> {
    let extensions = &signer.extensions;
    let strict = mode == X509Mode::Strict;
    let id = extensions.uri.map(SpiffeIdRef::parse);
    let problem = if !extensions.is_ca {
        SignerProblem::NotCa
    } else if extensions.key_usage.is_some_and(|usage| !usage.key_cert_sign()) {
        SignerProblem::KeyCertSign
    } else if extensions.uris > 1 {
        SignerProblem::UriCount
    } else if matches!(&id, Some(Ok(id)) if !id.path().is_empty()) {
        SignerProblem::Path
    } else if role == Role::Intermediate
        && strict
        && id.is_some_and(|id| !id.is_ok_and(|id| id.is_member_of(trust_domain)))
    {
        SignerProblem::Uri
    } else if role == Role::Intermediate && strict && !extensions.key_usage.is_some_and(|usage| usage.critical) {
        SignerProblem::KeyUsage
    } else if role == Role::Intermediate && extensions.unknown_critical {
        SignerProblem::UnknownExtension
    } else {
        return Ok(());
    };
    Err(Error::Signer { problem })
}

/// Whether a signing certificate may stand above these, of which the first is the leaf: its constraints on URIs hold for
/// all of them, its permitted IDs for the leaf.
pub(super) fn check_below<'c>(
    signer: &Certificate<'_>,
    leaf: &Certificate<'_>,
    id: SpiffeIdRef<'_>,
    mut intermediates: impl Iterator<Item = &'c Certificate<'c>>,
) -> Result<(), Error> {
    // §6.1.3 would pass over certificates issued to oneself; nobody gains by that here.
    if !constraints::admit(signer, leaf) || !intermediates.all(|below| constraints::admit(signer, below)) {
        return Err(Error::NameConstraint);
    }
    let Some(value) = signer.extensions.permitted_ids else { return Ok(()) };
    let patterns = delegation::decode(value).map_err(|_| Error::Signer { problem: SignerProblem::PermittedIds })?;
    if patterns.iter().any(|pattern| pattern.matches(id)) {
        Ok(())
    } else {
        Err(Error::NotPermitted { id: id.to_owned() })
    }
}
