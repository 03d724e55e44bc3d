//! Where the firewall comes from.

use std::path::{Path, PathBuf};

use clap::Args;
use keyward_base::bounded;
use keyward_config_tree::limits::MAX_BYTES;
use keyward_config_values::Name;
use keyward_config_values::config::VariableKey;
use keyward_nft_marks::config::HostFirewall;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::wanted::{Reading, Wanted};
use crate::client::{Client, Failure, Got};
use crate::config::Config;
use crate::error::Error;
use crate::standing::FIREWALL_PATH;
use crate::state_dir::Files;
use crate::voice::moment;

const FORMAT: u32 = 1;

/// Where the firewall comes from, as it is asked for.
#[derive(Args, Debug)]
pub(crate) struct Source {
    /// The tower's documents in YAML, of 4 MiB and 100,000 values at most; several files are read one after the other, `-` is
    /// standard input
    #[arg(long, value_name = "FILE", conflicts_with = "from_tower")]
    file: Vec<PathBuf>,
    /// What the tower says to this host
    #[arg(long)]
    from_tower: bool,
    /// With --file: the site of this host, where the file has several
    #[arg(long, value_name = "NAME", requires = "file")]
    site: Option<Name>,
    /// With --file: the value of a variable, in the place of the documents'
    #[arg(long = "var", value_name = "NAME=VALUE", requires = "file", value_parser = variable)]
    variables: Vec<(VariableKey, String)>,
}

fn variable(text: &str) -> Result<(VariableKey, String), String> {
    let (name, value) = text.split_once('=').ok_or("write a name and a value, such as `site-number=7`")?;
    Ok((name.parse().map_err(|error: keyward_config_values::Error| error.to_string())?, value.to_owned()))
}

/// Where the firewall comes from.
pub(crate) enum Origin {
    /// Files, which are read again when they are asked again.
    Files { files: Vec<PathBuf>, reading: Reading, last: Vec<(String, Vec<u8>)> },
    /// The tower.
    Tower(Box<Tower>),
}

/// The tower, as this host knows it.
pub(crate) struct Tower {
    files: Files,
    client: Option<Client>,
    /// Why there is no way to it.
    no_way: String,
    clock: keyward_base::clock::Clock,
    last: Option<Kept>,
}

/// What the tower said last: the file `firewall.json` in the state directory.
#[derive(Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
struct Kept {
    format: u32,
    #[serde(with = "time::serde::rfc3339")]
    fetched: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    firewall: HostFirewall,
}

impl Source {
    /// Where it leads.
    ///
    /// # Errors
    /// This host's own files are of no use.
    pub(crate) fn origin(&self, config: &Config) -> Result<Origin, Error> {
        if !self.file.is_empty() {
            let reading = Reading { site: self.site.clone(), values: self.variables.clone() };
            return Ok(Origin::Files { files: self.file.clone(), reading, last: Vec::new() });
        }
        let files = Files::of(&config.state_dir);
        let (client, no_way) = match files.way(config.tower.as_ref(), &config.clock) {
            Ok(client) => (Some(client), String::new()),
            Err(error) => (None, error.to_string()),
        };
        let clock = config.clock.clone();
        Ok(Origin::Tower(Box::new(Tower { files, client, no_way, clock, last: None })))
    }
}

impl Origin {
    /// The firewall as it should be now.
    ///
    /// # Errors
    /// A mistake in a file; the tower refuses this host, or does not answer and never did.
    pub(crate) fn wanted(&mut self) -> Result<Wanted, Error> {
        match self {
            Self::Files { files, reading, last } => {
                *last = read(files)?;
                Wanted::from_yaml(last, reading)
            }
            Self::Tower(tower) => {
                let note = tower.ask()?;
                let kept = tower.last.as_ref().ok_or_else(|| Error::usage("the tower said nothing", "try again"))?;
                let mut wanted = Wanted::from_host(&kept.firewall)?;
                wanted.notes.extend(note);
                Ok(wanted)
            }
        }
    }

    /// The firewall, if it is another one than before.
    ///
    /// # Errors
    /// As [`wanted`](Self::wanted).
    pub(crate) fn again(&mut self) -> Result<Option<Wanted>, Error> {
        match self {
            Self::Files { files, reading, last } => {
                let now = read(files)?;
                if now == *last {
                    return Ok(None);
                }
                let wanted = Wanted::from_yaml(&now, reading)?;
                *last = now;
                Ok(Some(wanted))
            }
            Self::Tower(tower) => {
                let before = tower.last.as_ref().map(|kept| kept.firewall.clone());
                tower.ask()?;
                match &tower.last {
                    Some(kept) if Some(&kept.firewall) != before.as_ref() => {
                        Wanted::from_host(&kept.firewall).map(Some)
                    }
                    _ => Ok(None),
                }
            }
        }
    }
}

/// Each file with its name.
fn read(files: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>, Error> {
    files.iter().map(|file| Ok((file.display().to_string(), read_one(file)?))).collect()
}

/// No more than can be of use.
fn read_one(file: &Path) -> Result<Vec<u8>, Error> {
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    let read = match file == Path::new("-") {
        true => bounded::all(std::io::stdin().lock(), most),
        false => bounded::file(file, most),
    };
    read.map_err(|error| {
        let remedy = match error.kind() {
            std::io::ErrorKind::FileTooLarge => "split it: --file may be given several times",
            _ => "name a file that is there with --file",
        };
        Error::usage(format!("cannot read `{}`: {error}", file.display()), remedy)
    })
}

impl Tower {
    /// Asks the tower, or takes what it said last; answers what there is to say about that.
    fn ask(&mut self) -> Result<Option<String>, Error> {
        if self.last.is_none() {
            self.last = self.kept()?;
        }
        let why = match &self.client {
            Some(client) => {
                let etag = self.last.as_ref().and_then(|kept| kept.etag.as_deref());
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::System)?;
                match runtime.block_on(client.get(FIREWALL_PATH, etag)) {
                    Ok(Got::Unchanged) => return Ok(None),
                    Ok(Got::Fresh { body, etag }) => {
                        let firewall = serde_json::from_slice(&body).map_err(|error| {
                            Error::usage(format!("the tower's firewall cannot be read: {error}"), "update this agent")
                        })?;
                        // What is of no use does not take the place of what is.
                        Wanted::from_host(&firewall)?;
                        self.keep(Kept { format: FORMAT, fetched: self.clock.now(), etag, firewall })?;
                        return Ok(None);
                    }
                    Err(Failure::Refused(refusal)) => return Err(Error::Refused(Box::new(refusal))),
                    Err(Failure::Later(later)) => later.why,
                }
            }
            None => self.no_way.clone(),
        };
        match &self.last {
            Some(kept) => Ok(Some(format!("{why}; this is what the tower said at {}", moment(kept.fetched)))),
            None => {
                Err(Error::usage(why, "call home first (`edge-agent call-home`), or give the documents with --file"))
            }
        }
    }

    fn kept(&self) -> Result<Option<Kept>, Error> {
        let Some(bytes) = self.files.firewall()? else { return Ok(None) };
        // What cannot be read is asked for again.
        Ok(serde_json::from_slice::<Kept>(&bytes).ok().filter(|kept| kept.format <= FORMAT))
    }

    fn keep(&mut self, kept: Kept) -> Result<(), Error> {
        let bytes = serde_json::to_vec(&kept).map_err(|error| Error::usage(error.to_string(), "update this agent"))?;
        self.last = Some(kept);
        self.files.keep_firewall(&bytes)
    }
}
