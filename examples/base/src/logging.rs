//! Log lines, to standard error: standard output is for results.

use clap::ValueEnum;
use serde::Deserialize;
use tracing_subscriber::{EnvFilter, filter::ParseError, layer::SubscriberExt, util::SubscriberInitExt};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Why there are no log lines.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoggingError {
    /// The filter does not parse.
    #[error("`{given}` is not a log filter: {source}")]
    Filter {
        /// What was given.
        given: String,
        /// Why.
        source: ParseError,
    },
    /// Something else logs already.
    #[error("logging is set up already")]
    Twice,
}

/// Begins to log, for the whole process.
///
/// # Errors
/// The filter does not parse.
pub fn start(format: LogFormat, filter: &str) -> Result<(), LoggingError> {
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|source| LoggingError::Filter { given: filter.to_owned(), source })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => registry.with(lines.with_ansi(false)).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    }
    .map_err(|_| LoggingError::Twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_is_refused() {
        let error = start(LogFormat::Text, "control_tower=loudly").unwrap_err().to_string();
        assert!(error.starts_with("`control_tower=loudly` is not a log filter: "), "{error}");
    }
}
