//! The script that brings a host to its tower.

use std::fmt;

use keyward_config_values::moment;
use keyward_keys::{Zeroizing, sha256};
use keyward_svid::HttpsUrl;
use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::authority::{IssuedSvid, KeyedSvid};
use keyward_svid::x509::chain_to_pem;
use time::OffsetDateTime;

use crate::package::Package;
use crate::{Error, Scope};

/// What a script, or a package, needs. `Debug` shows no key.
pub struct ScriptRequest<'a> {
    tower: &'a HttpsUrl,
    ca: &'a [CertificateDer<'static>],
    certificate: Option<Certificate>,
    key: Option<Zeroizing<String>>,
}

#[derive(Debug)]
struct Certificate {
    scope: Scope,
    pem: String,
    serial: String,
    expires: OffsetDateTime,
}

impl fmt::Debug for ScriptRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptRequest")
            .field("tower", &self.tower)
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl<'a> ScriptRequest<'a> {
    /// A script with a certificate and its key in it: whoever has the script can call home with it until it is used up or expires.
    ///
    /// `tower` is where hosts call home, `ca` the certificates with which they verify it.
    ///
    /// # Errors
    /// [`Error::Authority`] when the key cannot be encoded.
    pub fn with_key(
        tower: &'a HttpsUrl,
        ca: &'a [CertificateDer<'static>],
        scope: &Scope,
        certificate: &KeyedSvid,
    ) -> Result<Self, Error> {
        let key = certificate.key_pem()?;
        Ok(Self { key: Some(key), ..Self::without_key(tower, ca, scope, certificate.svid()) })
    }

    /// A script with a certificate for a key that is on the host already, and never leaves it.
    pub fn without_key(
        tower: &'a HttpsUrl,
        ca: &'a [CertificateDer<'static>],
        scope: &Scope,
        certificate: &IssuedSvid,
    ) -> Self {
        let certificate = Certificate {
            scope: scope.clone(),
            pem: certificate.chain_pem(),
            serial: certificate.serial(),
            expires: certificate.not_after(),
        };
        Self { certificate: Some(certificate), ..Self::without_certificate(tower, ca) }
    }

    /// A script without a certificate, for a tower that takes none.
    pub fn without_certificate(tower: &'a HttpsUrl, ca: &'a [CertificateDer<'static>]) -> Self {
        Self { tower, ca, certificate: None, key: None }
    }

    /// Makes the script.
    ///
    /// # Errors
    /// [`Error::Script`] when a value cannot stand in it.
    pub fn to_script(&self) -> Result<InstallScript, Error> {
        let tower = quotable(self.tower.as_str())?;
        let ca = self.ca_pem()?;
        let mut text = Zeroizing::new(String::with_capacity(16 * 1024 + ca.len()));
        let mut rest = TEMPLATE;
        while let Some((before, after)) = rest.split_once("@@") {
            let (name, after) = after.split_once("@@").unwrap_or((after, ""));
            text.push_str(before);
            match name {
                "tower" => text.push_str(tower),
                "what" => text.push_str(&self.what()),
                "ca" => text.push_str(ca.trim_end()),
                "certificate" => match &self.certificate {
                    Some(certificate) => {
                        text.push_str(CERTIFICATE_BEFORE);
                        text.push_str(certificate.pem.trim_end());
                        text.push_str(CERTIFICATE_AFTER);
                    }
                    None => text.push_str(NO_CERTIFICATE),
                },
                "key" => match (&self.key, &self.certificate) {
                    (Some(key), _) => {
                        text.push_str(KEY_BEFORE);
                        text.push_str(key.trim_end());
                        text.push_str(KEY_AFTER);
                    }
                    (None, Some(_)) => text.push_str(NO_KEY),
                    (None, None) => text.push(':'),
                },
                _ => return Err(Error::Script { field: "template", problem: "has a place that nothing fills" }),
            }
            rest = after;
        }
        text.push_str(rest.trim_end());
        Ok(InstallScript { digest: base16ct::lower::encode_string(&sha256(text.as_bytes())), text })
    }

    /// Makes the package: what the script writes, as files in a tar archive.
    ///
    /// # Errors
    /// [`Error::Script`] without certificates that verify the tower.
    pub fn to_package(&self, now: OffsetDateTime) -> Result<Package, Error> {
        let ca = self.ca_pem()?;
        let url = format!("{}\n", self.tower.as_str());
        let certificate = self.certificate.as_ref().map(|certificate| ("certificate.pem", certificate.pem.as_str()));
        let key = self.key.as_ref().map(|key| ("key.pem", key.as_str()));
        let files = [("tower-url", url.as_str()), ("ca.pem", &ca)].into_iter().chain(certificate).chain(key);
        Ok(Package::new(files, now))
    }

    fn ca_pem(&self) -> Result<String, Error> {
        match self.ca {
            [] => Err(Error::Script { field: "ca", problem: "is empty: a host could not tell its tower from another" }),
            ca => Ok(chain_to_pem(ca)),
        }
    }

    /// What the script is, for whoever looks into it.
    fn what(&self) -> String {
        match &self.certificate {
            Some(Certificate { scope, serial, expires, .. }) => format!(
                "The certificate in it, {serial}, is for {scope} and expires at {}.\n# Keep it secret until then.",
                moment(*expires)
            ),
            None => "There is no certificate in it: the host-id alone lets this host in.".to_owned(),
        }
    }
}

/// The script and its digest. It may hold a private key: it is shown to whoever ordered it, once, and `Debug` shows nothing of it.
pub struct InstallScript {
    text: Zeroizing<String>,
    digest: String,
}

impl InstallScript {
    /// The script, for `sh`. It has no line feed at its end, so that a copy that lacks a single byte does nothing at all.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its SHA-256 in lower-case hexadecimal, as `sha256sum` prints it.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl fmt::Debug for InstallScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstallScript").field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// A text between single quotes has to be one that no shell and no comment can mistake.
pub(crate) fn is_quotable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/.-_~[]%".contains(&byte))
}

fn quotable(text: &str) -> Result<&str, Error> {
    let problem = "has characters that a shell could mistake";
    is_quotable(text).then_some(text).ok_or(Error::Script { field: "tower", problem })
}

/// Everything happens in functions, and the last bytes of the file are what calls them: what is cut off anywhere before is no
/// complete command, and a shell does nothing.
const TEMPLATE: &str = include_str!("script/install.sh");

const CERTIFICATE_BEFORE: &str = "cat > \"$package/certificate.pem\" << 'KEYWARD_END'\n";
const CERTIFICATE_AFTER: &str = "\nKEYWARD_END";
const NO_CERTIFICATE: &str = "rm -f \"$package/certificate.pem\" \"$package/key.pem\"";
const KEY_BEFORE: &str = "cat > \"$package/key.pem.new\" << 'KEYWARD_END'\n";
const KEY_AFTER: &str = "\nKEYWARD_END\n    mv -f \"$package/key.pem.new\" \"$package/key.pem\"";
const NO_KEY: &str =
    "[ -s \"$package/key.pem\" ] || fail \"the key that this certificate is for is not in $package/key.pem\"";
