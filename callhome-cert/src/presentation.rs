//! Which certificate it is that a caller presents: of the connection, or of a load balancer's header.

use std::net::IpAddr;

use keyward_svid::pki_types::CertificateDer;

use crate::aws::chain_from_header;
use crate::{ClientCertificates, LbMode, Refusal};

/// The header of [`LbMode::AwsPassthrough`].
pub const HEADER: &str = "x-amzn-mtls-clientcert";

/// What arrived with a request.
#[derive(Debug, Clone, Copy)]
pub struct Presentation<'a> {
    /// Who is at the other end of the connection: the load balancer, where there is one. Where a PROXY header was read, this is
    /// still the peer of the socket.
    pub peer: IpAddr,
    /// The chain of the connection, leaf first; empty without a client certificate.
    pub tls: &'a [CertificateDer<'a>],
    /// Every value of [`HEADER`].
    pub headers: &'a [&'a [u8]],
}

/// The chain that is presented, if any: a header counts from configured load balancers only and is refused from anybody else, never
/// passed over.
///
/// # Errors
/// The reason of the refusal.
pub fn presented(
    settings: &ClientCertificates,
    presentation: &Presentation<'_>,
) -> Result<Option<Vec<CertificateDer<'static>>>, Refusal> {
    let tls = || presentation.tls.iter().map(|one| one.clone().into_owned()).collect::<Vec<_>>();
    let header = match presentation.headers {
        [] => return Ok(Some(tls()).filter(|chain| !chain.is_empty())),
        [header] => header,
        _ => return Err(Refusal::HeaderRepeated),
    };
    if settings.lb_mode != LbMode::AwsPassthrough {
        return Err(Refusal::HeaderUnexpected);
    }
    if !settings.lb_addresses.iter().any(|balancer| balancer.contains(presentation.peer)) {
        return Err(Refusal::HeaderFromStranger);
    }
    let chain = chain_from_header(header)?;
    if presentation.tls.first().is_some_and(|leaf| chain.first() != Some(leaf)) {
        return Err(Refusal::Disagree);
    }
    Ok(Some(chain))
}
