//! How the agent speaks: to a person at a terminal, or into a log.

use std::io::Write as _;

pub(crate) use keyward_config_values::moment;

use crate::error::Error;

/// Who listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    /// A person: lines on standard error.
    Screen,
    /// A log.
    Log,
}

impl Voice {
    /// Something went on.
    pub(crate) fn say(self, line: &str) {
        match self {
            Self::Screen => line_out(line),
            Self::Log => tracing::info!(target: "edge_agent", "{line}"),
        }
    }

    /// Something did not, and will be tried again.
    pub(crate) fn warn(self, line: &str) {
        match self {
            Self::Screen => line_out(line),
            Self::Log => tracing::warn!(target: "edge_agent", "{line}"),
        }
    }

    /// It ends here.
    pub(crate) fn error(self, error: &Error) {
        line_out(&format!("edge-agent: {error}"));
        if let Some(remedy) = error.remedy() {
            line_out(&format!("  what to do: {remedy}"));
        }
    }
}

/// Standard error may be closed; the exit code says it too.
fn line_out(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A length of time as configuration writes it: the two largest units.
pub(crate) fn length(time: time::Duration) -> String {
    let seconds = time.whole_seconds().unsigned_abs();
    let parts = [(seconds / 86_400, 'd'), (seconds / 3600 % 24, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let shown: String = parts
        .into_iter()
        .skip_while(|(number, _)| *number == 0)
        .take(2)
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    if shown.is_empty() { "0s".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_two_units() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (3661, "1h1m"), (86_400 * 3 + 59, "3d"), (-90, "1m30s")]
        {
            assert_eq!(length(time::Duration::seconds(seconds)), text);
        }
    }
}
