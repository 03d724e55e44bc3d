//! The control tower: parse, open, start, serve, drain.

use std::{alloc::System, io::Write as _, process::ExitCode};

use control_tower::{
    config::{Command, Config, ConfigError},
    launch, logging, output,
    server::{self, Drain},
};
use zeroizing_alloc::ZeroAlloc;

/// What is freed is cleared. Passphrases, tokens and plaintexts go through buffers of TLS, HTTP and JSON, where no type of ours holds
/// them.
#[global_allocator]
static CLEARED: ZeroAlloc<System> = ZeroAlloc(System);

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
    match run(&command, &config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn run(command: &Command, config: &Config) -> anyhow::Result<()> {
    logging::start(config.log, &config.log_filter)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match command {
        Command::Serve => runtime.block_on(serve(config)),
        Command::Backup { file, passphrase_file } => {
            output::done(&launch::backup(config, file, passphrase_file.as_deref())?)
        }
        Command::Restore { file, passphrase_file } => {
            output::done(&launch::restore(config, file, passphrase_file.as_deref())?)
        }
        Command::ResetAdmin { tenant } => {
            let credentials =
                runtime.block_on(async { launch::open_existing(config).await?.reset_admin(tenant).await })?;
            output::reset(&credentials, config.output)
        }
        Command::Init => {
            let made = runtime.block_on(async { launch::open(config).await?.init(config).await })?;
            output::initialised(&made, config.output)
        }
        Command::Reseal { to } => output::done(&runtime.block_on(launch::reseal(config, to))?),
    }
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    // From here on a signal ends the tower in order, even while it starts.
    let shutdown = server::shutdown_signal()?;
    let tower = launch::open(config).await?.start(config).await?;
    output::started(&tower, config.output)?;
    match tower.serve(config, shutdown).await? {
        Drain::Complete => tracing::info!("stopped"),
        Drain::CutOff(connections) => tracing::warn!(connections, "stopped; connections that did not end were cut off"),
    }
    Ok(())
}

fn fail(error: &anyhow::Error) -> ExitCode {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Many errors quote what caused them.
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    // Standard error may be closed; the exit code says it too.
    let _ = writeln!(std::io::stderr(), "control-tower{text}");
    ExitCode::FAILURE
}
