//! `supctl`: the operator's command line for a control tower.
//!
//! One command is one request: the arguments become a path and a body (`body`, `path`), the request is sent
//! (`client`), what comes back is shown (`output`). Data goes to standard output, everything else to standard error.
//! The exit code says how it went: 0 done, 1 refused, 2 usage, 3 unreachable (`error`).
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::disallowed_methods
    )
)]

mod body;
mod cli;
mod client;
mod command;
mod environment;
mod error;
mod output;
mod path;
mod secret;
mod session;
mod tower;
mod value;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;
use crate::environment::Environment;
use crate::output::Screen;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let environment = Environment::read();
    let screen = Screen::new(cli.output, &environment);
    match command::run(cli, &environment, &screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
