//! The only reader of flags, environment and configuration file. A flag wins over the environment, the environment over the
//! file.

use std::{ffi::OsString, net::SocketAddr, num::NonZeroUsize, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use keyward_config_values::{Cidr, Name};
use serde::Deserialize;

use crate::{rate_limit::RateLimit, tenant};

mod choice;
mod external_url;

pub use keyward_base::logging::LogFormat;

pub use self::{
    choice::{PassphraseSource, SealChoice, StoreChoice},
    external_url::{ExternalUrl, ExternalUrlError},
};

/// The port of the API where nothing else is said.
pub const DEFAULT_PORT: u16 = 4646;

const EXAMPLES: &str = "\
Examples:
  control-tower
      Starts with data in ./tower-data and its own certificate authority, and prints how to log in.
  control-tower --listen 0.0.0.0:4646 --external-url https://tower.example.com
      Serves other machines. The host of the external URL becomes the trust domain, the URL the OIDC issuer's.
  control-tower --external-url https://tower.example.com --tls-cert cert.pem --tls-key key.pem
      With a public certificate; replacing the files is enough to renew it.
  control-tower --federation-listen 0.0.0.0:4648
      Others fetch this trust domain's bundle there and know the tower by its SVID (SPIFFE federation, https_spiffe).
  control-tower --call-home-listen 0.0.0.0:4649
      Hosts that nobody touched yet call home there, with certificates that `supctl do system/call-home/install-script` hands out.
  control-tower --config /etc/keyward/tower.toml
      Reads the same names from a file, for example:  listen = \"0.0.0.0:4646\"
  control-tower backup tower.backup
      Writes a sealed backup, also while the tower runs. It opens with the key file of the seal: keep that elsewhere.
  control-tower backup tower.backup --passphrase-file phrase.txt
      The same with the key inside, sealed under the passphrase: the backup and the phrase are all that a restore needs.
  control-tower restore tower.backup --data-dir new-data --seal key-file:kek.key
  control-tower init --seal passphrase:file:-
      Reads a passphrase from standard input and makes the data; control-tower --seal passphrase then starts sealed, and
      `supctl unseal` asks for the passphrase.
  control-tower reseal --to systemd-credential:keyward-seal
      Puts the keys under another seal, here from the key file to a credential of systemd. Start with that --seal then.
  control-tower reset-admin
      Gives the administrator a new one-time password; the tower must be stopped. `--tenant acme`: that of another tenant.

Each flag is also an environment variable (--data-dir is KEYWARD_DATA_DIR) and a key of the configuration file (data-dir).";

#[derive(Parser)]
#[command(name = "control-tower", version, about = "Keyward's control tower: keys, roles and workload identities over HTTPS", after_help = EXAMPLES)]
struct Arguments {
    /// Reads settings from a TOML file; its keys are the names of the flags
    #[arg(long, env = "KEYWARD_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Every setting, as a flag, a variable and a key of the file.
#[derive(Args, Deserialize, Default)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Settings {
    /// Where everything is kept; made with mode 0700 [default: ./tower-data]
    #[arg(long, env = "KEYWARD_DATA_DIR", value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// The address to serve on; port 0 takes a free one [default: 127.0.0.1:4646]
    #[arg(long, env = "KEYWARD_LISTEN", value_name = "ADDR:PORT", global = true)]
    listen: Option<SocketAddr>,
    /// Where trust domains that federate with this one fetch its bundle, authenticated by SPIFFE [default: nowhere]
    #[arg(long, env = "KEYWARD_FEDERATION_LISTEN", value_name = "ADDR:PORT", global = true)]
    federation_listen: Option<SocketAddr>,
    /// Where hosts call home; see `system/call-home/settings` [default: nowhere]
    #[arg(long, env = "KEYWARD_CALL_HOME_LISTEN", value_name = "ADDR:PORT", global = true)]
    call_home_listen: Option<SocketAddr>,
    /// The URL by which others reach the tower [default: https://localhost:PORT]
    #[arg(long, env = "KEYWARD_EXTERNAL_URL", value_name = "URL", global = true)]
    external_url: Option<ExternalUrl>,
    /// The domain that passkeys are made for: the external URL's host, or a domain above it that sites share, so that one
    /// passkey logs in everywhere. Another domain means that all passkeys are made anew [default: the external URL's host]
    #[arg(long, env = "KEYWARD_RELYING_PARTY", value_name = "DOMAIN", global = true)]
    relying_party: Option<String>,
    /// `sqlite:PATH`, or `memory:` which forgets everything at the end [default: sqlite:DATA_DIR/tower.db]
    #[arg(long, env = "KEYWARD_STORE", value_name = "STORE", global = true)]
    store: Option<StoreChoice>,
    /// What protects secrets at rest: `key-file:PATH`, `systemd-credential[:NAME]`, or `passphrase`, which somebody sends to the
    /// tower after each start unless it comes from `passphrase:file:PATH` or `passphrase:systemd-credential[:NAME]`
    /// [default: key-file:DATA_DIR/kek.key]
    #[arg(long, env = "KEYWARD_SEAL", value_name = "SEAL", global = true)]
    seal: Option<SealChoice>,
    /// How to log, to standard error [default: text]
    #[arg(long, env = "KEYWARD_LOG", value_name = "FORMAT", global = true)]
    log: Option<LogFormat>,
    /// What to log: `info`, `debug`, or per module such as `info,control_tower::store=debug` [default: info]
    #[arg(long, env = "KEYWARD_LOG_FILTER", value_name = "FILTER", global = true)]
    log_filter: Option<String>,
    /// How the first start's credentials are printed, to standard output [default: text]
    #[arg(long, env = "KEYWARD_OUTPUT", value_name = "FORMAT", global = true)]
    output: Option<OutputFormat>,
    /// A certificate chain (PEM) to serve instead of the tower's own; read again when it changes
    #[arg(long, env = "KEYWARD_TLS_CERT", value_name = "FILE", requires = "tls_key", global = true)]
    tls_cert: Option<PathBuf>,
    /// The private key (PEM) of --tls-cert
    #[arg(long, env = "KEYWARD_TLS_KEY", value_name = "FILE", requires = "tls_cert", global = true)]
    tls_key: Option<PathBuf>,
    /// Proxies whose `X-Forwarded-For` is believed, as addresses or networks separated by commas
    #[arg(long, env = "KEYWARD_TRUSTED_PROXIES", value_name = "CIDR,…", value_delimiter = ',', global = true)]
    trusted_proxies: Option<Vec<Cidr>>,
    /// What each client may ask for, or `off`: `failed-logins` and `requests` of an address, requests with one of the `tokens`; so many a
    /// second, and so many at once [default: failed-logins=20/s:400,requests=20000/s:100000,tokens=20000/s:100000]
    #[arg(long, env = "KEYWARD_RATE_LIMIT", value_name = "LIMITS", global = true)]
    rate_limit: Option<RateLimit>,
    /// How many connections one address may have at once on each listener, or of IPv6 one /64, of 1024 in all; those of this machine and
    /// of trusted proxies are not counted. Where many clients come through one address (NAT), allow one for each program and six for
    /// each browser behind it [default: 256]
    #[arg(long, env = "KEYWARD_CONNECTIONS_PER_ADDRESS", value_name = "NUMBER", global = true)]
    connections_per_address: Option<NonZeroUsize>,
    /// Reads the clock's offset from a file: seconds, or a duration such as `+30d`; on loopback alone
    #[cfg(feature = "test-clock")]
    #[arg(long, env = "KEYWARD_TEST_CLOCK", value_name = "FILE", global = true)]
    test_clock: Option<PathBuf>,
}

/// What the program is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Serve: what happens without a command
    #[default]
    Serve,
    /// Write a sealed backup; the tower may be running
    Backup {
        /// The file to write; it must not exist
        file: PathBuf,
        /// Seal under the passphrase in this file (`-`: standard input), with the key inside, instead of under the key
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Make a data directory from a backup; it must not exist or be empty
    Restore {
        /// The backup
        file: PathBuf,
        /// The file with the passphrase of the backup (`-`: standard input), if it was sealed under one
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Give the administrator a new one-time password and print it; the tower must be stopped
    ResetAdmin {
        /// Whose administrator
        #[arg(long, value_name = "TENANT", default_value = tenant::DEFAULT)]
        tenant: Name,
    },
    /// Make the data directory and print how to log in, without serving: where a passphrase is chosen that is sent later
    Init,
    /// Put the keys under another seal than that of --seal; the tower must be stopped
    Reseal {
        /// What protects them from now on, as --seal says it; a key file that does not exist is made
        #[arg(long, value_name = "SEAL")]
        to: SealChoice,
    },
}

/// How results look on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// One line of JSON.
    Json,
}

/// The operator's own certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, leaf first, as PEM.
    pub cert: PathBuf,
    /// The private key, as PEM.
    pub key: PathBuf,
}

/// The settings with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// The address to serve on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address to serve bundles on, authenticated by SPIFFE; port 0 takes a free one.
    pub federation_listen: Option<SocketAddr>,
    /// The address on which hosts call home; port 0 takes a free one.
    pub call_home_listen: Option<SocketAddr>,
    /// The URL by which others reach the tower; see [`Config::url`].
    pub external_url: Option<ExternalUrl>,
    /// The domain that passkeys are made for, where it is not the external URL's host.
    pub relying_party: Option<String>,
    /// The engine of the store.
    pub store: StoreChoice,
    /// The source of the key-encryption key.
    pub seal: SealChoice,
    /// How log lines look.
    pub log: LogFormat,
    /// Which log lines are written.
    pub log_filter: String,
    /// How results look on standard output.
    pub output: OutputFormat,
    /// The operator's own certificate, instead of one from the tower's own CA.
    pub tls: Option<TlsFiles>,
    /// Proxies whose word about who the client is counts.
    pub trusted_proxies: Vec<Cidr>,
    /// What each client may ask for.
    pub rate_limit: RateLimit,
    /// How many connections one address may have at once on each listener; `None` for the default.
    pub connections_per_address: Option<NonZeroUsize>,
    /// Where the clock's offset is read from.
    #[cfg(feature = "test-clock")]
    pub test_clock: Option<PathBuf>,
}

/// Why the settings are of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The arguments do not parse, or ask for help or the version, which is not an error; print it and exit with its code.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The file cannot be read.
    #[error("cannot read the configuration file `{path}`: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not parse: not TOML, an unknown key, a bad value.
    #[error("configuration file `{path}`: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: toml::de::Error,
    },
    /// A certificate without its key or the other way round.
    #[error("tls-cert and tls-key belong together: only `{given}` is given")]
    HalfTls {
        /// The one that is there.
        given: &'static str,
    },
    /// A clock that can be moved from outside is for trying things out on one machine.
    #[cfg(feature = "test-clock")]
    #[error(
        "--test-clock is refused on `{listen}`: only loopback addresses may be served with a clock that can be moved"
    )]
    TestClock {
        /// The address asked for.
        listen: SocketAddr,
    },
}

impl Config {
    /// The settings and the command of this process.
    ///
    /// # Errors
    /// [`ConfigError`], each naming the flag, key or file.
    #[expect(clippy::disallowed_methods, reason = "this is the only reader of flags")]
    pub fn read() -> Result<(Command, Self), ConfigError> {
        Self::from_args(std::env::args_os())
    }

    /// [`read`](Self::read) with other arguments, the program's name first. The environment is read all the same.
    ///
    /// # Errors
    /// As there.
    #[expect(clippy::disallowed_methods, reason = "this is the only reader of the environment")]
    pub fn from_args(
        args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<(Command, Self), ConfigError> {
        let Arguments { config, settings, command } = Arguments::try_parse_from(args)?;
        let file = match config {
            Some(path) => {
                let text = std::fs::read_to_string(&path)
                    .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
                toml::from_str(&text).map_err(|source| ConfigError::Malformed { path, source })?
            }
            None => Settings::default(),
        };
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let command = match command.unwrap_or_default() {
            Command::Reseal { to } => Command::Reseal { to: to.with_credentials(credentials.as_deref()) },
            command => command,
        };
        let mut config = settings.or(file).complete()?;
        config.seal = config.seal.with_credentials(credentials.as_deref());
        Ok((command, config))
    }

    /// The URL by which others reach the tower, once the port is known.
    #[must_use]
    pub fn url(&self, bound: SocketAddr) -> ExternalUrl {
        self.external_url.clone().unwrap_or_else(|| ExternalUrl::localhost(bound.port()))
    }
}

impl Settings {
    /// These settings, and those of `other` where they say nothing.
    fn or(self, other: Self) -> Self {
        Self {
            data_dir: self.data_dir.or(other.data_dir),
            listen: self.listen.or(other.listen),
            federation_listen: self.federation_listen.or(other.federation_listen),
            call_home_listen: self.call_home_listen.or(other.call_home_listen),
            external_url: self.external_url.or(other.external_url),
            relying_party: self.relying_party.or(other.relying_party),
            store: self.store.or(other.store),
            seal: self.seal.or(other.seal),
            log: self.log.or(other.log),
            log_filter: self.log_filter.or(other.log_filter),
            output: self.output.or(other.output),
            tls_cert: self.tls_cert.or(other.tls_cert),
            tls_key: self.tls_key.or(other.tls_key),
            trusted_proxies: self.trusted_proxies.or(other.trusted_proxies),
            rate_limit: self.rate_limit.or(other.rate_limit),
            connections_per_address: self.connections_per_address.or(other.connections_per_address),
            #[cfg(feature = "test-clock")]
            test_clock: self.test_clock.or(other.test_clock),
        }
    }

    fn complete(self) -> Result<Config, ConfigError> {
        let data_dir = self.data_dir.unwrap_or_else(|| PathBuf::from("tower-data"));
        let listen = self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT)));
        #[cfg(feature = "test-clock")]
        if let Some(listen) = [Some(listen), self.federation_listen, self.call_home_listen]
            .into_iter()
            .flatten()
            .find(|at| !at.ip().is_loopback())
            && self.test_clock.is_some()
        {
            return Err(ConfigError::TestClock { listen });
        }
        Ok(Config {
            listen,
            federation_listen: self.federation_listen,
            call_home_listen: self.call_home_listen,
            external_url: self.external_url,
            relying_party: self.relying_party,
            store: self.store.unwrap_or_else(|| StoreChoice::Sqlite(data_dir.join("tower.db"))),
            seal: self.seal.unwrap_or_else(|| SealChoice::KeyFile(data_dir.join("kek.key"))),
            log: self.log.unwrap_or_default(),
            log_filter: self.log_filter.unwrap_or_else(|| "info".to_owned()),
            output: self.output.unwrap_or_default(),
            tls: match (self.tls_cert, self.tls_key) {
                (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
                (None, None) => None,
                (Some(_), None) => return Err(ConfigError::HalfTls { given: "tls-cert" }),
                (None, Some(_)) => return Err(ConfigError::HalfTls { given: "tls-key" }),
            },
            trusted_proxies: self.trusted_proxies.unwrap_or_default(),
            rate_limit: self.rate_limit.unwrap_or_default(),
            connections_per_address: self.connections_per_address,
            #[cfg(feature = "test-clock")]
            test_clock: self.test_clock,
            data_dir,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<(Command, Config), ConfigError> {
        Config::from_args(std::iter::once("control-tower").chain(args.iter().copied()))
    }

    #[test]
    fn nothing_need_be_said() {
        let (command, config) = read(&[]).unwrap();
        assert_eq!(command, Command::Serve);
        assert_eq!(config.data_dir, PathBuf::from("tower-data"));
        assert_eq!(config.listen.to_string(), "127.0.0.1:4646");
        assert_eq!(config.url(config.listen).as_str(), "https://localhost:4646");
        assert_eq!(config.store, StoreChoice::Sqlite("tower-data/tower.db".into()));
        assert_eq!(config.seal, SealChoice::KeyFile("tower-data/kek.key".into()));
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tower.toml");
        std::fs::write(&file, "listen = \"127.0.0.1:1\"\ndata-dir = \"from-file\"\noutput = \"json\"\n").unwrap();
        let file = file.to_str().unwrap();
        let proxies = "192.0.2.1,10.0.0.0/8";
        let args = ["backup", "b", "--config", file, "--listen", "127.0.0.1:2", "--trusted-proxies", proxies];
        let (command, config) = read(&args).unwrap();
        assert!(config.trusted_proxies[1].contains("10.1.2.3".parse().unwrap()));
        assert_eq!(command, Command::Backup { file: "b".into(), passphrase_file: None });
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.output, OutputFormat::Json);
        assert_eq!(config.store, StoreChoice::Sqlite("from-file/tower.db".into()));
    }

    #[test]
    fn unknown_keys_and_bad_values_are_refused_with_their_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tower.toml");
        for (text, expected) in [
            ("lisen = \"127.0.0.1:1\"", "unknown field `lisen`"),
            ("\nexternal-url = \"http://tower\"", "line 2"),
            ("store = \"etcd://localhost\"", "`etcd://localhost` is not built in: use sqlite:PATH or memory:"),
            ("tls-cert = \"x\"", "tls-cert and tls-key belong together: only `tls-cert` is given"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = read(&["--config", file.to_str().unwrap()]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = read(&["--config", "absent.toml"]).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the configuration file `absent.toml`: "), "{error}");
        assert!(read(&["--tls-cert", "x"]).unwrap_err().to_string().contains("--tls-key"));
    }

    #[test]
    fn every_setting_is_a_flag_a_variable_and_a_key() {
        use clap::CommandFactory;
        for arg in Arguments::command().get_arguments().filter(|arg| arg.get_id() != "config") {
            let flag = arg.get_long().unwrap();
            assert_eq!(
                arg.get_env().unwrap().to_str().unwrap(),
                format!("KEYWARD_{}", flag.to_uppercase().replace('-', "_"))
            );
            let error = toml::from_str::<Settings>(&format!("{flag} = true")).err().map(|error| error.to_string());
            assert!(!error.is_some_and(|error| error.contains("unknown field")), "{flag} is not a key");
        }
    }

    #[test]
    fn help_teaches_with_examples() {
        let help = read(&["--help"]).unwrap_err().to_string();
        for expected in ["control-tower backup", "KEYWARD_DATA_DIR", "--external-url", "tower.toml"] {
            assert!(help.contains(expected), "{help}");
        }
    }

    #[cfg(feature = "test-clock")]
    #[test]
    fn a_moved_clock_is_for_loopback_alone() {
        assert!(read(&["--test-clock", "f", "--listen", "[::1]:0"]).is_ok());
        assert!(read(&["--test-clock", "f", "--federation-listen", "0.0.0.0:0"]).is_err());
        let error = read(&["--test-clock", "f", "--listen", "0.0.0.0:0"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--test-clock is refused on `0.0.0.0:0`: only loopback addresses may be served with a clock that can be moved"
        );
    }
}
