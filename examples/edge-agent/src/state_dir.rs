//! The state directory: where each file is, and what becomes of them together.

use std::fs;
use std::path::{Path, PathBuf};

use keyward_base::bounded;
use keyward_base::clock::Clock;
use keyward_base::data_dir::{self, DataDir, DataDirError};
use keyward_config_values::config::HostId;
use keyward_keys::{KeyType, PrivateKey};
use keyward_svid::HttpsUrl;
use keyward_svid::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use keyward_svid::x509::chain_from_pem;
use zeroize::Zeroizing;

use crate::client::{CALL_HOME_AGAIN, Client};
use crate::error::Error;
use crate::identity::Identity;
use crate::package::Package;
use crate::state::State;
use crate::voice::moment;

/// How long what the tower last said about the firewall is at most, in bytes: twice what is taken from a tower.
const LARGEST_FIREWALL: u64 = 128 << 20;

/// The directory of this host, for one agent at a time.
#[derive(Debug)]
pub(crate) struct StateDir {
    files: Files,
    _lock: DataDir,
}

/// Where the files are.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    directory: PathBuf,
}

impl StateDir {
    /// Makes it, or takes it over.
    ///
    /// # Errors
    /// [`DataDirError::Locked`] while another agent has it; [`DataDirError::NotOwn`] where somebody else could put something in the place
    /// of its files.
    pub(crate) fn open(directory: &Path) -> Result<Self, DataDirError> {
        data_dir::make_own(directory)?;
        data_dir::must_be_own(&directory.join("call-home"))?;
        let lock = DataDir::open(directory, "edge-agent")?;
        // A kill may have left a key under the name that it had before it had its own.
        for name in ["key.pem", "host-id", "state.json", "identity.pem", "bundle.pem", "tower-ca.pem"] {
            data_dir::remove(&directory.join(format!("{name}.new")))?;
        }
        Ok(Self { files: Files::of(directory), _lock: lock })
    }

    /// Where its files are.
    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    /// The host's own key, made at the first call. It never leaves the host.
    pub(crate) fn key(&self) -> Result<PrivateKey, Error> {
        made_once(
            &self.files.path("key.pem"),
            "restore it, or remove it together with identity.pem: the host then has to be released at the tower and calls home anew",
        )
    }

    /// The key of a call-home certificate that is still to be issued, made at the first call: for operators who want no key to travel.
    pub(crate) fn call_home_key(&self) -> Result<PrivateKey, Error> {
        let directory = self.files.path("call-home");
        data_dir::make(&directory)?;
        made_once(&directory.join("key.pem"), "remove it: another one is made")
    }

    /// The id that this host calls home with: the one that is given, else the one from before, else the machine's.
    pub(crate) fn host_id(
        &self,
        given: Option<&HostId>,
        machine: impl FnOnce() -> Result<HostId, Error>,
    ) -> Result<HostId, Error> {
        let id = match (given, self.files.host_id()?) {
            (Some(given), Some(kept)) if *given == kept => return Ok(kept),
            (Some(_), Some(_)) if self.files.state()?.is_registered() => {
                return Err(Error::usage(
                    "this host called home with another host-id",
                    format!(
                        "leave the host-id out, or begin anew with another --state-dir than `{}`",
                        self.files.directory.display()
                    ),
                ));
            }
            (Some(given), _) => given.clone(),
            (None, Some(kept)) => return Ok(kept),
            (None, None) => machine()?,
        };
        data_dir::replace_private(&self.files.path("host-id"), format!("{}\n", id.as_str()).as_bytes())?;
        Ok(id)
    }

    /// Keeps an identity, and what its tower is known by where that is said: what it is used with first, so that whoever finds
    /// the identity finds the rest.
    pub(crate) fn keep(&self, identity: &Identity, tower_ca: Option<&str>) -> Result<(), DataDirError> {
        let path = self.files.path("tower-ca.pem");
        match tower_ca {
            Some(ca) => data_dir::replace_private(&path, ca.as_bytes())?,
            None => data_dir::remove(&path)?,
        }
        data_dir::replace_private(&self.files.path("bundle.pem"), identity.bundle_pem().as_bytes())?;
        data_dir::replace_private(&self.files.path("identity.pem"), identity.chain_pem().as_bytes())
    }

    /// Stops using the identity.
    pub(crate) fn forget_identity(&self) -> Result<(), DataDirError> {
        data_dir::remove(&self.files.path("identity.pem"))
    }

    /// Keeps the state.
    pub(crate) fn record(&self, state: &State) -> Result<(), Error> {
        let text = state.to_record();
        Ok(data_dir::replace_private(&self.files.path("state.json"), text.as_bytes())?)
    }

    /// The call-home package, written where a tower was given, else as it was found.
    pub(crate) fn package(&self, given: Option<&(HttpsUrl, String)>) -> Result<Option<Package>, Error> {
        let directory = self.files.path("call-home");
        if let Some((url, ca)) = given {
            Package::write(&directory, url, ca)?;
        }
        Package::read(&directory)
    }
}

impl Files {
    /// Those of a state directory, which need not exist.
    pub(crate) fn of(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The id that this host called home with.
    pub(crate) fn host_id(&self) -> Result<Option<HostId>, Error> {
        let path = self.path("host-id");
        let Some(text) = read(&path)? else { return Ok(None) };
        let id = std::str::from_utf8(&text).unwrap_or_default().trim().parse();
        id.map(Some).map_err(|_| {
            Error::usage(format!("`{}` holds no host-id", path.display()), "remove it, or give one with --host-id-file")
        })
    }

    /// What the tower's API is known by, where that is not what the place to call home is known by.
    fn tower_ca(&self) -> Result<Option<Vec<CertificateDer<'static>>>, Error> {
        let path = self.path("tower-ca.pem");
        let Some(pem) = read(&path)? else { return Ok(None) };
        let chain = chain_from_pem(&String::from_utf8_lossy(&pem));
        chain.map(Some).map_err(|error| {
            Error::usage(format!("`{}`: {error}", path.display()), "remove it: the tower says it again")
        })
    }

    /// The way to the tower with the host's identity, without taking over the directory.
    ///
    /// # Errors
    /// The host has no identity that is good now, or a file is of no use.
    pub(crate) fn way(&self, given: Option<&(HttpsUrl, String)>, clock: &Clock) -> Result<Client, Error> {
        let identity = self.identity()?;
        if let Some(identity) = identity.as_ref().filter(|identity| !identity.is_valid(clock.now())) {
            return Err(Error::usage(
                format!("the identity of this host expired at {}", moment(identity.svid().not_after())),
                CALL_HOME_AGAIN,
            ));
        }
        let package = Package::read(&self.path("call-home"))?;
        let (Some(identity), Some(key)) = (identity, read(&self.path("key.pem"))?) else {
            return Err(Error::usage("this host has no identity", "call home first: `edge-agent call-home`"));
        };
        let unusable = |error: &dyn std::fmt::Display| Error::usage(format!("`key.pem`: {error}"), "look at key.pem");
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| unusable(&error))?;
        let nowhere = || Error::usage("this host does not know its tower", "run the install script of the tower again");
        let (url, ca) = match (given, package) {
            (Some((url, ca)), _) => (url.clone(), chain_from_pem(ca).map_err(|error| unusable(&error))?),
            (None, Some(package)) => {
                (self.state()?.tower_url.unwrap_or(package.tower), self.tower_ca()?.unwrap_or(package.ca))
            }
            (None, None) => return Err(nowhere()),
        };
        Client::new(&url, &ca, Some((identity.svid().chain().to_vec(), key)))
    }

    /// What the tower last said about the firewall.
    pub(crate) fn firewall(&self) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        Ok(data_dir::read_private(&self.path("firewall.json"), LARGEST_FIREWALL)?)
    }

    /// Keeps what the tower says about the firewall.
    pub(crate) fn keep_firewall(&self, bytes: &[u8]) -> Result<(), Error> {
        Ok(data_dir::replace_private(&self.path("firewall.json"), bytes)?)
    }

    /// The process that has the directory now, as it wrote into the lock. Trying the lock would get into the way of one that starts.
    pub(crate) fn process(&self) -> Option<u32> {
        let process = bounded::text(&self.path("lock"), 64).ok()?.trim().parse().ok()?;
        let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
        (name.trim() == "edge-agent").then_some(process)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// What `status` shows; that of a host that never called home where there is none.
    pub(crate) fn state(&self) -> Result<State, Error> {
        let path = self.path("state.json");
        match read(&path)? {
            Some(text) => State::from_record(&text).map_err(|problem| {
                Error::usage(format!("`{}` {problem}", path.display()), "remove it: what counts is in the other files")
            }),
            None => Ok(State::default()),
        }
    }

    /// The identity, if there is one.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, Error> {
        let (path, bundle) = (self.path("identity.pem"), self.path("bundle.pem"));
        let (Some(chain), Some(bundle)) = (read(&path)?, read(&bundle)?) else {
            return Ok(None);
        };
        let text = |bytes: &Zeroizing<Vec<u8>>| String::from_utf8_lossy(bytes).into_owned();
        Identity::read(text(&chain), text(&bundle)).map(Some).map_err(|problem| {
            Error::usage(
                format!("`{}`: {problem}", path.display()),
                "remove it: the host calls home again with the same key",
            )
        })
    }
}

/// A private file; `None` where there is none.
fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, DataDirError> {
    data_dir::read_private(path, data_dir::LARGEST)
}

/// The key in a file, made where there is none.
fn made_once(path: &Path, remedy: &str) -> Result<PrivateKey, Error> {
    if let Some(pem) = read(path)? {
        let unusable = || Error::usage(format!("`{}` is no private key", path.display()), remedy);
        let pem = std::str::from_utf8(&pem).map_err(|_| unusable())?;
        return PrivateKey::from_pkcs8_pem(pem).map_err(|_| unusable());
    }
    let cannot = |error| Error::usage(format!("cannot make a key: {error}"), "look at what the system is short of");
    let key = PrivateKey::generate(KeyType::EcdsaP256).map_err(cannot)?;
    data_dir::create_private(path, key.to_pkcs8_pem().map_err(cannot)?.as_bytes())?;
    Ok(key)
}
