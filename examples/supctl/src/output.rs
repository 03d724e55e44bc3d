//! What the operator sees: data on standard output, everything else on standard error.

mod bulk;
mod refusal;
mod style;
mod table;

use std::io::{self, IsTerminal as _, Write};

pub(crate) use self::bulk::Effects;
pub(crate) use self::style::{Style, plain};
use crate::cli::Format;
use crate::client::{Answer, Content};
use crate::environment::Environment;
use crate::error::Error;
use crate::value::{Object, Value};

/// Where and how things are shown.
#[derive(Debug)]
pub(crate) struct Screen {
    format: Format,
    out: Style,
    err: Style,
    /// Columns of the terminal; without one nothing is folded
    width: Option<usize>,
}

impl Screen {
    /// For these flags and this environment.
    pub(crate) fn new(format: Format, environment: &Environment) -> Self {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            format,
            out: Style::new(out && !environment.no_color),
            err: Style::new(err && !environment.no_color),
            width: terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0)).filter(|_| out),
        }
    }

    /// What data looks like.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Shows an answer in the chosen format, after its warnings.
    pub(crate) fn answer(&self, answer: &Answer) -> Result<(), Error> {
        match &answer.content {
            Content::Empty => Ok(()),
            Content::Text(text) => self.text(text),
            Content::Json(value) => {
                self.warnings(value);
                self.value(value)
            }
        }
    }

    /// Text as it came, byte for byte, so that a digest of it fits; on a terminal the prompt comes on a line of its own.
    fn text(&self, text: &str) -> Result<(), Error> {
        let mut out = io::stdout().lock();
        let end = if out.is_terminal() && !text.ends_with('\n') { "\n" } else { "" };
        written(write!(out, "{text}{end}").and_then(|()| out.flush()))
    }

    /// Shows a value in the chosen format.
    pub(crate) fn value(&self, value: &Value) -> Result<(), Error> {
        match self.format {
            Format::Json => {
                self.data(&serde_json::to_string_pretty(value).map_err(|error| Error::Output(error.into()))?)
            }
            Format::Yaml => self.data(&yaml(value)?),
            Format::Table => {
                let table = table::render(value, &self.out, self.width);
                self.data(&table.text)?;
                if !table.left_out.is_empty() {
                    self.note(&format!("left out, see --output yaml: {}", plain(&table.left_out.join(", "))));
                }
                Ok(())
            }
        }
    }

    /// Shows what a bulk did to each document.
    pub(crate) fn effects(&self, effects: &Effects, body: &Value, validated: bool) -> Result<(), Error> {
        for warning in &effects.warnings {
            self.warning(warning);
        }
        let summary = effects.summary(validated);
        if self.format == Format::Table {
            self.data(&format!("{}{summary}", effects.table(&self.out)))?;
            for (title, value) in &effects.more {
                self.data(&format!("\n{}", self.out.bold(&plain(title))))?;
                self.value(value)?;
            }
            return Ok(());
        }
        self.value(body)?;
        self.note(&summary);
        Ok(())
    }

    /// Writes text to standard output, with a newline at its end. A reader that has seen enough is no error.
    pub(crate) fn data(&self, text: &str) -> Result<(), Error> {
        if text.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        written(write!(out, "{text}{end}").and_then(|()| out.flush()))
    }

    /// A line on standard error.
    pub(crate) fn note(&self, text: &str) {
        // Nobody is left to tell when standard error is gone.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// A warning on standard error.
    pub(crate) fn warning(&self, text: &str) {
        self.note(&format!("{} {}", self.err.yellow("warning:"), plain(text)));
    }

    /// The warnings of an answer, in whatever shape they come.
    pub(crate) fn warnings(&self, value: &Value) {
        if let Some(warnings) = value.as_object().and_then(|object| object.get("warnings")) {
            for warning in warning_texts(warnings) {
                self.warning(&warning);
            }
        }
    }

    /// Why a command was not done, and what to do about it.
    pub(crate) fn error(&self, error: &Error) {
        let head = self.err.red("error:");
        let remedy = |text: &str| self.note(&format!("  {} {}", self.err.bold("remedy:"), plain(text)));
        match error {
            Error::Refused(refused) => {
                for fault in &refused.faults {
                    self.note(&format!("{head} {}", refusal::render(fault, refused.source.as_ref(), &self.err)));
                }
                if let Some(text) = refused.remedy {
                    remedy(text);
                }
            }
            Error::Usage { message, remedy: text } => {
                self.note(&format!("{head} {}", plain(message)));
                if let Some(text) = text {
                    remedy(text);
                }
            }
            Error::Unreachable(unreachable) => {
                self.note(&format!("{head} {}", plain(&unreachable.to_string())));
                remedy(&unreachable.remedy);
            }
            Error::File { .. } | Error::Output(_) => self.note(&format!("{head} {}", plain(&error.to_string()))),
        }
    }
}

/// Whoever does not read on has enough.
fn written(result: io::Result<()>) -> Result<(), Error> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

fn yaml(value: &Value) -> Result<String, Error> {
    serde_saphyr::to_string(value).map_err(|error| Error::Output(io::Error::other(error.to_string())))
}

/// Warnings as lines: strings, objects with a message, or an object of either under the name of whom they concern.
fn warning_texts(warnings: &Value) -> Vec<String> {
    match warnings {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(warning_texts).collect(),
        Value::Object(object) => match message_of(object) {
            Some(text) => vec![text],
            None => object
                .iter()
                .flat_map(|(about, inner)| warning_texts(inner).into_iter().map(move |text| format!("{about}: {text}")))
                .collect(),
        },
        _ => Vec::new(),
    }
}

fn message_of(warning: &Object) -> Option<String> {
    let text = ["warning", "warning-message", "message", "text"].iter().find_map(|key| warning.text(key))?;
    let about = ["path", "field", "relying-party"].iter().filter_map(|key| warning.text(key));
    Some(about.chain([text]).collect::<Vec<_>>().join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn warnings_in_every_shape() {
        for (json, texts) in [
            (r#"["a","b"]"#, vec!["a", "b"]),
            (r#"[{"relying-party":"aws","message":"no port"}]"#, vec!["aws: no port"]),
            (r#"[{"path":"a/b","relying-party":"aws","warning":"no port"}]"#, vec!["a/b: aws: no port"]),
            (r#"{"aws":["no port","no localhost"],"gcp":[]}"#, vec!["aws: no port", "aws: no localhost"]),
            ("null", vec![]),
        ] {
            assert_eq!(warning_texts(&value(json)), texts);
        }
    }

    #[test]
    fn yaml_reads_back() {
        for json in [
            r#"{"b":"yes","a":["1","30d",true,null,1.5,-3],"c":{"d":"","e":"x: y","f":"l1\nl2\n"},"g":[],"h":{}}"#,
            r##"["null","~","0x1f","1e3","[x]","{a}","@x"," lead","trail ","#no",":"]"##,
            "\"\\u001b[31mred\\u0085\"",
        ] {
            let original = value(json);
            let text = yaml(&original).unwrap();
            assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), original, "{text}");
            assert!(!text.contains('\u{1b}'), "no escape sequence reaches the terminal");
        }
    }
}
