//! The script that brings a host to its tower.

use std::fmt;

use keyward_keys::{Zeroizing, sha256};
use keyward_svid::HttpsUrl;
use keyward_svid::pki_types::CertificateDer;
use keyward_svid::x509::authority::{IssuedSvid, KeyedSvid};
use keyward_svid::x509::chain_to_pem;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::hex::hex;
use crate::{Error, Scope};

/// What a script needs. `Debug` shows no key.
pub struct ScriptRequest<'a> {
    tower: &'a HttpsUrl,
    ca: &'a [CertificateDer<'static>],
    scope: Scope,
    certificate: String,
    key: Option<Zeroizing<String>>,
    serial: String,
    expires: OffsetDateTime,
}

impl fmt::Debug for ScriptRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptRequest")
            .field("tower", &self.tower)
            .field("scope", &self.scope)
            .field("serial", &self.serial)
            .field("expires", &self.expires)
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
        Self {
            tower,
            ca,
            scope: scope.clone(),
            certificate: certificate.chain_pem(),
            key: None,
            serial: certificate.serial(),
            expires: certificate.not_after(),
        }
    }

    /// Makes the script.
    ///
    /// # Errors
    /// [`Error::Script`] when a value cannot stand in it.
    pub fn to_script(&self) -> Result<InstallScript, Error> {
        let tower = quotable(self.tower.as_str())?;
        if self.ca.is_empty() {
            return Err(Error::Script {
                field: "ca",
                problem: "is empty: a host could not tell its tower from another",
            });
        }
        let expires = self.expires.format(&Rfc3339).unwrap_or_default();
        let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
        let mut rest = TEMPLATE;
        while let Some((before, after)) = rest.split_once("@@") {
            let (name, after) = after.split_once("@@").unwrap_or((after, ""));
            text.push_str(before);
            match name {
                "tower" => text.push_str(tower),
                "scope" => text.push_str(&self.scope.to_string()),
                "serial" => text.push_str(&self.serial),
                "expires" => text.push_str(&expires),
                "ca" => text.push_str(chain_to_pem(self.ca).trim_end()),
                "certificate" => text.push_str(self.certificate.trim_end()),
                "key" => match &self.key {
                    Some(key) => {
                        text.push_str(KEY_BEFORE);
                        text.push_str(key.trim_end());
                        text.push_str(KEY_AFTER);
                    }
                    None => text.push_str(NO_KEY),
                },
                _ => return Err(Error::Script { field: "template", problem: "has a place that nothing fills" }),
            }
            rest = after;
        }
        text.push_str(rest.trim_end());
        Ok(InstallScript { digest: hex(&sha256(text.as_bytes())), text })
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
fn quotable(text: &str) -> Result<&str, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/.-_~[]%".contains(&byte);
    if text.bytes().all(plain) {
        Ok(text)
    } else {
        Err(Error::Script { field: "tower", problem: "has characters that a shell could mistake" })
    }
}

/// Everything happens in functions, and the last bytes of the file are what calls them: what is cut off anywhere before is no
/// complete command, and a shell does nothing.
const TEMPLATE: &str = include_str!("script/install.sh");

const KEY_BEFORE: &str = "cat > \"$package/key.pem.new\" << 'KEYWARD_END'\n";
const KEY_AFTER: &str = "\nKEYWARD_END\n    mv -f \"$package/key.pem.new\" \"$package/key.pem\"";
const NO_KEY: &str =
    "[ -s \"$package/key.pem\" ] || fail \"the key that this certificate is for is not in $package/key.pem\"";
