//! The call-home package: where the tower is, how to know it, and a certificate that is valid for a short time.

use std::io;
use std::path::{Path, PathBuf};

use keyward_base::bounded;
use keyward_base::data_dir::{self, DataDirError};
use keyward_svid::HttpsUrl;
use keyward_svid::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use keyward_svid::x509::{chain_from_pem, chain_to_pem};

use crate::error::Error;

const RUN_THE_SCRIPT: &str = "run the install script of the tower again";

/// The package as it was found.
pub(crate) struct Package {
    /// Where to call home.
    pub(crate) tower: HttpsUrl,
    /// Who knows the tower.
    pub(crate) ca: Vec<CertificateDer<'static>>,
    /// The certificate and its key, while there are.
    pub(crate) certificate: Option<Certificate>,
    directory: PathBuf,
}

/// A call-home certificate with its key.
pub(crate) struct Certificate {
    /// The chain, leaf first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Certificate {
    /// The key, for a connection.
    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

impl Package {
    /// Writes one without certificate.
    pub(crate) fn write(directory: &Path, tower: &HttpsUrl, ca: &str) -> Result<(), Error> {
        let authorities = authorities(ca, "--ca")?;
        data_dir::make(directory)?;
        data_dir::replace_private(&directory.join("ca.pem"), chain_to_pem(&authorities).as_bytes())?;
        data_dir::replace_private(&directory.join("tower-url"), format!("{tower}\n").as_bytes())?;
        Ok(())
    }

    /// Reads it; `None` where there is none, or one that an install script has only begun to write.
    pub(crate) fn read(directory: &Path) -> Result<Option<Self>, Error> {
        let (Some(tower), Some(ca)) = (text(&directory.join("tower-url"))?, text(&directory.join("ca.pem"))?) else {
            return Ok(None);
        };
        let tower = tower.trim().parse::<HttpsUrl>().map_err(|error| {
            Error::usage(format!("`{}`: {error}", directory.join("tower-url").display()), RUN_THE_SCRIPT)
        })?;
        let ca = authorities(&ca, &directory.join("ca.pem").display().to_string())?;
        let key_path = directory.join("key.pem");
        let certificate =
            match (text(&directory.join("certificate.pem"))?, data_dir::read_private(&key_path, data_dir::LARGEST)?) {
                (Some(chain), Some(key)) => {
                    let unusable =
                        |what: &str| Error::usage(format!("`{}` holds no {what}", directory.display()), RUN_THE_SCRIPT);
                    let chain = chain_from_pem(&chain).map_err(|_| unusable("certificate that can be read"))?;
                    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| unusable("key that can be read"))?;
                    Some(Certificate { chain, key })
                }
                _ => None,
            };
        Ok(Some(Self { tower, ca, certificate, directory: directory.to_owned() }))
    }

    /// The SHA-256 of the certificate, by which it is known from another one.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        let leaf = self.certificate.as_ref()?.chain.first()?;
        Some(keyward_keys::sha256(leaf).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Removes the key and the certificate, which have done what they were for. What is left is no secret, and says where the
    /// tower is.
    pub(crate) fn use_up(&mut self) -> Result<(), DataDirError> {
        self.certificate = None;
        data_dir::remove(&self.directory.join("key.pem"))?;
        data_dir::remove(&self.directory.join("certificate.pem"))
    }
}

fn authorities(pem: &str, what: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let remedy = "it has to hold the certificates of the authorities that know the tower, in PEM form";
    let mut roots = rustls::RootCertStore::empty();
    let found = chain_from_pem(pem).map_err(|error| Error::usage(format!("`{what}`: {error}"), remedy))?;
    for one in &found {
        roots.add(one.clone()).map_err(|error| Error::usage(format!("`{what}`: {error}"), remedy))?;
    }
    Ok(found)
}

fn text(path: &Path) -> Result<Option<String>, Error> {
    match bounded::text(path, data_dir::LARGEST) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DataDirError::Io { path: path.to_owned(), source }.into()),
    }
}
