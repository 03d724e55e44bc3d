//! The host's firewall.

use std::process::ExitCode;

use clap::Args;

use crate::config::Config;
use crate::error::Error;

/// What is to be done with the firewall.
#[derive(Args)]
pub(crate) struct Arguments {}

/// Does it.
pub(crate) fn command(_: &Arguments, _: &Config) -> Result<ExitCode, Error> {
    Err(Error::usage("this release has no firewall", "see `edge-agent --help`"))
}
