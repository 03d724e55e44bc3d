//! What operators ask a tower for.

use keyward_config_values::config::ListedHost;
use keyward_config_values::{Duration, Name};
use keyward_svid::x509::authority::CertificateRequest;
use serde::{Deserialize, Deserializer};

use crate::{Batch, Error, Granularity, HostHash, Order, Scope};

/// Asks for a certificate: for a host, for the hosts of a site, or for any.
///
/// ```
/// use keyward_callhome_cert::{Granularity, IssueRequest};
///
/// let request: IssueRequest = serde_json::from_str(r#"{"site": "oslo", "ttl": "2h"}"#)?;
/// assert_eq!(request.to_order(Granularity::Site)?.scope().to_string(), "hosts of site `oslo`");
/// // A host can be named by the hash that its agent and the tower show, so that nobody has to read its host-id.
/// let [id, hash] = ["4c4c4544-0051", "sha256:3a9c8d6d3b0f0e6b0e9fb9b0fd1c7b3ff7b0b1fd0b3d3f2f1f1c0b0a09080706"];
/// for host in [id, hash] {
///     let request: IssueRequest = serde_json::from_str(&format!(r#"{{"host-id": "{host}"}}"#))?;
///     assert_eq!(request.to_order(Granularity::HostId)?.scope().granularity(), Granularity::HostId);
/// }
/// assert_eq!(
///     request.to_order(Granularity::HostId).unwrap_err().to_string(),
///     "the tower asks for a certificate for each host: say `host-id`",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct IssueRequest {
    /// For the host with this id, or with the id that this is the hash of (`sha256:…`).
    pub host_id: Option<ListedHost>,
    /// For the hosts of this site.
    pub site: Option<Name>,
    /// How long it lives: a day by default.
    pub ttl: Option<Duration>,
    /// How many hosts may use it: one where it is for a host, as many as there are by default otherwise.
    pub max_uses: Option<u32>,
    /// A batch that it is to belong to, as an earlier answer said it; a new one by default.
    pub batch: Option<Batch>,
    /// A certificate request (PKCS #10) in PEM, for a key that is on the host already.
    pub csr: Option<String>,
}

impl IssueRequest {
    /// The order, if the tower asks for certificates of this granularity.
    ///
    /// # Errors
    /// [`Error::Order`], [`Error::Ttl`], [`Error::MaxUses`].
    pub fn to_order(&self, asked: Granularity) -> Result<Order, Error> {
        let scope = match (&self.host_id, &self.site) {
            (Some(_), Some(_)) => {
                return Err(Error::Order {
                    problem: "a certificate is for a host or for a site: say `host-id` or `site`",
                });
            }
            (Some(host), None) => Scope::Host(HostHash::from(host)),
            (None, Some(site)) => Scope::Site(site.clone()),
            (None, None) => Scope::Any,
        };
        asked.check_order(&scope)?;
        let mut order = Order::new(scope);
        if let Some(ttl) = self.ttl {
            order = order.with_ttl(ttl)?;
        }
        if let Some(uses) = self.max_uses {
            order = order.with_max_uses(uses)?;
        }
        if let Some(batch) = &self.batch {
            order = order.with_batch(batch.clone());
        }
        Ok(order)
    }

    /// The certificate request, if there is one.
    ///
    /// # Errors
    /// [`Error::Authority`].
    pub fn certificate_request(&self) -> Result<Option<CertificateRequest>, Error> {
        Ok(self.csr.as_deref().map(CertificateRequest::from_pem).transpose()?)
    }
}

/// Asks for the end of a certificate, or of all of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RevokeRequest {
    /// The certificate with this serial number: as it is answered, or as other programs print it, with capitals or colons.
    #[serde(deserialize_with = "serial")]
    pub serial: Option<String>,
    /// The batch.
    pub batch: Option<Batch>,
}

/// A serial number as it is kept: hexadecimal, in lower case.
fn serial<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| text.replace(':', "").to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_read_as_others_print_them() {
        for text in ["60d4e8b2", "60D4E8B2", "60:D4:E8:B2"] {
            let request: RevokeRequest = serde_json::from_str(&format!(r#"{{"serial": "{text}"}}"#)).unwrap();
            assert_eq!(request.serial.as_deref(), Some("60d4e8b2"));
        }
        assert_eq!(serde_json::from_str::<RevokeRequest>("{}").unwrap(), RevokeRequest::default());
    }
}
