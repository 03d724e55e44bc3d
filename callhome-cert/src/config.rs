//! The document with which calling home is configured.

use keyward_config_values::Cidr;
use keyward_keys::ErrorKind;
use keyward_svid::HttpsUrl;
use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::chain_from_pem;
use serde::{Deserialize, Serialize};

use crate::Granularity;
use crate::script::is_quotable;

/// `system/call-home/settings`.
///
/// ```
/// use keyward_callhome_cert::{CallHomeSettings, Granularity};
///
/// let settings: CallHomeSettings = serde_json::from_str(r#"{
///     "client-certificate": {"verify": "site", "lb-mode": "aws-passthrough", "lb-addresses": ["10.0.0.0/16"]}
/// }"#)?;
/// settings.validate()?;
/// assert_eq!(settings.client_certificate.verify, Granularity::Site);
/// assert_eq!(settings.max_unclaimed, 20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct CallHomeSettings {
    /// Which certificates are asked for, and who may pass them on.
    pub client_certificate: ClientCertificates,
    /// Whether hosts that no site lists may call home and wait to be claimed; true by default.
    pub enable_unclaimed: bool,
    /// How many of them are kept: 1 to 1000, 20 by default.
    pub max_unclaimed: u32,
    /// How many duplicates are kept: 1 to 1000, 20 by default.
    pub max_duplicates: u32,
    /// Where hosts call home, if that is not the tower's own listener: a load balancer's URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_url: Option<HttpsUrl>,
    /// The certificates that verify whoever is there, in PEM, where the tower's own do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_ca_pem: Option<String>,
}

impl Default for CallHomeSettings {
    fn default() -> Self {
        Self {
            client_certificate: ClientCertificates::default(),
            enable_unclaimed: true,
            max_unclaimed: 20,
            max_duplicates: 20,
            external_url: None,
            external_ca_pem: None,
        }
    }
}

/// Which certificates are asked for, and who may pass them on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct ClientCertificates {
    /// How narrow a certificate has to be; by default any will do.
    pub verify: Granularity,
    /// Whether a connection without a certificate is ended before anything is said on it; by default it is asked for, and what
    /// comes of that is answered in words.
    pub handshake: Handshake,
    /// How a load balancer passes certificates on.
    pub lb_mode: LbMode,
    /// Where load balancers connect from. A header and a PROXY header count from there alone.
    pub lb_addresses: Vec<Cidr>,
    /// Whether connections begin with a PROXY header (version 2); never guessed.
    pub proxy_protocol: ProxyProtocol,
}

/// What a TLS handshake does about a client's certificate. Whether it is one to call home with is found out after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Handshake {
    /// It asks for one. Hosts that are registered come without.
    #[default]
    Optional,
    /// It fails without one. The certificate of a host is used up when it is registered, so that one that waits to be claimed could not
    /// ask again: this is for towers whose sites list their hosts beforehand (`enable-unclaimed: false`), where a host is claimed by
    /// its first call. One that lost its identity has to be released, and needs another certificate, to come back.
    Required,
}

/// How a load balancer passes certificates on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LbMode {
    /// Not at all: hosts speak TLS with the tower.
    #[default]
    None,
    /// In the header `X-Amzn-Mtls-Clientcert`, as AWS application load balancers do in mTLS passthrough mode.
    AwsPassthrough,
}

/// Whether connections begin with a PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProxyProtocol {
    /// They do not.
    #[default]
    Forbidden,
    /// All do.
    Required,
}

/// What is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct SettingsError {
    field: &'static str,
    problem: &'static str,
}

impl SettingsError {
    /// The field to change.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Misconfigured
    }
}

impl CallHomeSettings {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// [`SettingsError`] naming the field.
    pub fn validate(&self) -> Result<(), SettingsError> {
        const MOST: u32 = 1000;
        let certificates = &self.client_certificate;
        let through_lb = certificates.lb_mode != LbMode::None || certificates.proxy_protocol == ProxyProtocol::Required;
        let problem = |field, problem| Err(SettingsError { field, problem });
        if through_lb && certificates.lb_addresses.is_empty() {
            return problem(
                "client-certificate.lb-addresses",
                "is empty: name the networks that the load balancer connects from",
            );
        }
        if !through_lb && !certificates.lb_addresses.is_empty() {
            return problem(
                "client-certificate.lb-addresses",
                "names load balancers, but `lb-mode` is `none` and `proxy-protocol` is `forbidden`",
            );
        }
        if certificates.lb_mode != LbMode::None && certificates.verify == Granularity::Never {
            return problem("client-certificate.lb-mode", "passes certificates on, but `verify` is `never`");
        }
        if certificates.handshake == Handshake::Required {
            if certificates.verify == Granularity::Never {
                return problem("client-certificate.handshake", "is `required`, but `verify` is `never`");
            }
            if certificates.lb_mode != LbMode::None {
                return problem(
                    "client-certificate.handshake",
                    "is `required`, but a load balancer that passes certificates on has none of its own",
                );
            }
            if self.enable_unclaimed {
                return problem(
                    "client-certificate.handshake",
                    "is `required`, but a host that waits to be claimed comes again without a certificate: list the hosts at their sites (`host-ids`) and set `enable-unclaimed` to false, or leave this `optional`",
                );
            }
        }
        if self.external_url.as_ref().is_some_and(|url| !is_quotable(url.as_str())) {
            return problem(
                "external-url",
                "has characters that a shell could mistake: it stands in install scripts, so percent-encode them",
            );
        }
        if self.external_ca_pem.is_some() && self.external_ca().is_none() {
            return problem("external-ca-pem", "is not PEM of certificates");
        }
        if !(1..=MOST).contains(&self.max_unclaimed) {
            return problem("max-unclaimed", "is out of its bounds: 1 to 1000 are allowed");
        }
        if !(1..=MOST).contains(&self.max_duplicates) {
            return problem("max-duplicates", "is out of its bounds: 1 to 1000 are allowed");
        }
        Ok(())
    }

    /// The certificates that verify whoever is at `external-url`, where they are given.
    pub fn external_ca(&self) -> Option<Vec<CertificateDer<'static>>> {
        chain_from_pem(self.external_ca_pem.as_deref()?).ok().filter(|chain| !chain.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(json: &str) -> Option<String> {
        serde_json::from_str::<CallHomeSettings>(json).unwrap().validate().err().map(|error| error.to_string())
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_to_do() {
        assert_eq!(problem("{}"), None);
        let required = r#""client-certificate": {"handshake": "required"}"#;
        let text = problem(&format!("{{{required}}}")).unwrap();
        assert!(text.starts_with("`client-certificate.handshake` is `required`, but a host that waits"), "{text}");
        assert!(text.contains("`enable-unclaimed` to false") && text.contains("`host-ids`"), "{text}");
        assert_eq!(problem(&format!(r#"{{{required}, "enable-unclaimed": false}}"#)), None);
        for (json, field) in [
            (r#"{"client-certificate": {"handshake": "required", "verify": "never"}}"#, "client-certificate.handshake"),
            (r#"{"client-certificate": {"lb-mode": "aws-passthrough"}}"#, "client-certificate.lb-addresses"),
            (r#"{"client-certificate": {"lb-addresses": ["10.0.0.0/8"]}}"#, "client-certificate.lb-addresses"),
            (r#"{"max-unclaimed": 0}"#, "max-unclaimed"),
            (r#"{"max-duplicates": 1001}"#, "max-duplicates"),
            (r#"{"external-url": "https://tower.example/$HOME"}"#, "external-url"),
            (r#"{"external-ca-pem": "x"}"#, "external-ca-pem"),
        ] {
            assert!(problem(json).unwrap().starts_with(&format!("`{field}` ")), "{json}");
        }
    }
}
