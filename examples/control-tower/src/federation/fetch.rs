//! Fetching one bundle, as the relationship says.

use std::{sync::Arc, time::Duration};

use keyward_spiffe_id::SpiffeId;
use keyward_svid::{
    federation::{Anchors, Authentication, Fetch},
    pki_types::UnixTime,
    tls::{Error as TlsError, Peers, SvidSource, client_config},
    x509::{Error as X509Error, X509Bundle},
};
use rustls::{ClientConfig, crypto::aws_lc_rs, time_provider::TimeProvider};

use crate::{
    clock::Clock,
    outbound::{Client, FetchError, Redirects, Trust},
};

/// The longest bundle that is read.
const LIMIT: usize = keyward_svid::jwks::MAX_JWKS_BYTES;

/// What a fetch brought: the body of the answer, or why there is none.
pub type Outcome = Result<Vec<u8>, String>;

/// Fetches. `web_authorities` (PEM) vouch for hosts of the web instead of the public ones; `others` are the authorities of the
/// trust domain that the endpoint is in, where that is another than the bundle's.
pub async fn fetch(
    fetch: &mut Fetch,
    web_authorities: Option<&str>,
    others: Option<X509Bundle>,
    timeout: Duration,
    clock: &Clock,
) -> Outcome {
    let trust = match &fetch.authentication {
        Authentication::WebPki => web_authorities.map_or(Trust::PublicRoots, |pem| Trust::Only(pem.into())),
        Authentication::Spiffe { endpoint_id, anchors } => {
            let bundle = match (anchors, others) {
                (Anchors::Bundle(bundle), _) => bundle.clone(),
                (_, Some(bundle)) => bundle,
                (_, None) => {
                    return Err(format!(
                        "the bundle of `{}`, which verifies the endpoint, is not known: federate with it too",
                        endpoint_id.trust_domain()
                    ));
                }
            };
            Trust::Tls(Box::new(spiffe_client(endpoint_id, bundle, clock)?))
        }
        _ => return Err("the endpoint is authenticated in a way that this program does not know".to_owned()),
    };
    let client = Client::new(&trust, Redirects::None, timeout).map_err(|error| error.to_string())?;
    let follow = async {
        loop {
            let answer = client.get(fetch.url.as_str(), LIMIT).await;
            let answer = answer.map_err(|error| explained(&error, &fetch.authentication))?;
            match answer.status.as_u16() {
                200 => return Ok(answer.body),
                status @ 300..=399 => {
                    let location = answer.location.as_deref();
                    fetch.redirected(status, location).map_err(|error| match location {
                        Some(location) => format!("{error}: `{}`", excerpt(location)),
                        None => error.to_string(),
                    })?;
                }
                _ => return Err(format!("the answer is {}", answer.status)),
            }
        }
    };
    let outcome = tokio::time::timeout(timeout, follow).await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
    outcome.map_err(|reason| format!("`{}`: {reason}", fetch.url))
}

/// Why there is no answer, and which field of the document to look at.
fn explained(error: &FetchError, authentication: &Authentication) -> String {
    let Authentication::Spiffe { endpoint_id, anchors } = authentication else {
        let remedy = "; name those of the host as `bundle-endpoint-ca-pem`, or is `bundle-endpoint-profile` wrong?";
        return format!("{error}{}", if error.is_unknown_issuer() { remedy } else { "" });
    };
    match (error.svid(), anchors) {
        (Some(TlsError::NotAllowed { id }), _) => {
            format!("the endpoint shows `{id}`, not `endpoint-spiffe-id`, which is `{endpoint_id}`")
        }
        (Some(TlsError::Svid(X509Error::UnknownAuthority { .. } | X509Error::Signature)), Anchors::Bundle(_)) => {
            "no authority of the bundle held (or of `bootstrap-bundle`) signed the endpoint's certificate: give the peer's \
             present bundle as `bootstrap-bundle`"
                .to_owned()
        }
        (Some(TlsError::Svid(X509Error::UnknownAuthority { trust_domain })), _) => format!(
            "no authority of the bundle of `{trust_domain}` signed the endpoint's certificate: how is `federation/{trust_domain}`?"
        ),
        (Some(TlsError::Svid(X509Error::UriCount { found: 0 })), _) => {
            "the endpoint shows a certificate without a SPIFFE ID: is `bundle-endpoint-profile` right?".to_owned()
        }
        (Some(TlsError::Svid(X509Error::NoBundle { trust_domain })), _) => format!(
            "the endpoint shows an SVID of `{trust_domain}`, and `endpoint-spiffe-id` is `{endpoint_id}`: one of them is wrong"
        ),
        _ => error.to_string(),
    }
}

/// Of what others say, so much.
fn excerpt(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_debug).collect()
}

/// A TLS client for which the other end is who it must be when it has an SVID with this ID that the bundle verifies now.
fn spiffe_client(endpoint_id: &SpiffeId, bundle: X509Bundle, clock: &Clock) -> Result<ClientConfig, String> {
    let source = SvidSource::new(Arc::new(aws_lc_rs::default_provider()));
    source.set_bundle(bundle);
    let mut config = client_config(&source, Peers::ids([endpoint_id.clone()])).map_err(|error| error.to_string())?;
    config.time_provider = Arc::new(TowerTime(clock.clone()));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// SVIDs are judged by the clock that bundles are.
#[derive(Debug)]
struct TowerTime(Clock);

impl TimeProvider for TowerTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().unix_timestamp()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}
