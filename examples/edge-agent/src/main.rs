//! `edge-agent`: the agent of a host. It calls home, keeps the identity that it is given there, and says how it stands.
//!
//! Settings come in by one door (`config`), the state of the host is one directory (`state_dir`), and each command is a module:
//! `call_home`, `run`, `status`, `firewall`. The exit code says how it went (`error`).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod call_home;
mod client;
mod config;
mod error;
mod firewall;
mod host_id;
mod identity;
mod notify;
mod package;
mod retry;
mod run;
mod standing;
mod state;
mod state_dir;
mod status;
mod voice;

use std::process::ExitCode;

use crate::config::{Command, Config, ConfigError};
use crate::error::Error;
use crate::voice::Voice;

fn main() -> ExitCode {
    let (command, config) = match Config::read() {
        Ok(read) => read,
        // Help and the version are not errors; clap knows where each goes.
        Err(ConfigError::Usage(usage)) => {
            let printed = usage.print().is_ok();
            return if usage.exit_code() == 0 && printed { ExitCode::SUCCESS } else { ExitCode::from(2) };
        }
        Err(error) => return fail(&error.into()),
    };
    match start(command, &config) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn start(command: Command, config: &Config) -> Result<ExitCode, Error> {
    match command {
        Command::CallHome(arguments) => on_runtime(call_home::command(&arguments, config)),
        Command::Run => {
            config.start_logging()?;
            on_runtime(run::command(config))
        }
        Command::Status(arguments) => status::command(&arguments, config),
        Command::Firewall(arguments) => firewall::command(&arguments, config),
    }
}

/// One thread: a host that waits needs no more, and a watchdog sees when it is stuck.
fn on_runtime(work: impl Future<Output = Result<(), Error>>) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::System)?;
    runtime.block_on(work).map(|()| ExitCode::SUCCESS)
}

fn fail(error: &Error) -> ExitCode {
    Voice::Screen.error(error);
    ExitCode::from(error.exit_code())
}
