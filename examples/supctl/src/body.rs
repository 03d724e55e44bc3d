//! The body of a request: a file, fields of the command line, or both.

mod field;

use std::io;
use std::path::Path;

use keyward_base::bounded;

pub(crate) use self::field::Field;
use crate::cli;
use crate::error::Error;
use crate::value::{Object, Value};

/// No tower takes more.
const MOST: u64 = 64 << 20;

/// Reads file and fields; fields win. `None` when neither was given.
pub(crate) fn read(body: &cli::Body) -> Result<Option<Object>, Error> {
    let mut object = match &body.file {
        Some(path) => document(path)?,
        None if body.fields.is_empty() => return Ok(None),
        None => Object::default(),
    };
    for text in &body.fields {
        Field::parse(text)?.put(&mut object)?;
    }
    Ok(Some(object))
}

/// The bytes of a file, `-` being standard input.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    if is_stdin(path) {
        bounded::all(io::stdin().lock(), MOST).map_err(Error::file("read", "standard input"))
    } else {
        bounded::file(path, MOST).map_err(Error::file("read", path))
    }
}

/// The text of a file, `-` being standard input.
pub(crate) fn text(path: &Path) -> Result<String, Error> {
    let bytes = bytes(path)?;
    String::from_utf8(bytes)
        .map_err(|_| Error::usage(format!("`{}` is not UTF-8 text", path.display()), "save it as UTF-8"))
}

/// Whether a path stands for standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn document(path: &Path) -> Result<Object, Error> {
    let name = path.display();
    let text = text(path)?;
    // YAML forbids some JSON (tabs, surrogate escapes), so what is JSON is read as JSON.
    let value = match serde_json::from_str(&text) {
        Ok(value) => value,
        Err(_) => serde_saphyr::from_str(&text).map_err(|error| {
            Error::usage(
                format!("`{name}` is neither YAML nor JSON: {error}"),
                "several documents go with `supctl bulk`",
            )
        })?,
    };
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Error::usage(format!("`{name}` holds no fields"), "write it as lines of `field: value`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, cli::Body) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("body");
        std::fs::write(&path, text).unwrap();
        (dir, cli::Body { file: Some(path), fields: Vec::new() })
    }

    #[test]
    fn fields_win_over_the_file() {
        let (_dir, mut body) = file("name: ops\nauto-rotate:\n  rotate-after: 30d\n  activate-after: 1d\n");
        body.fields = vec!["auto-rotate.rotate-after=60d".to_owned(), "cipher=ed25519".to_owned()];
        let object = read(&body).unwrap().unwrap();
        assert_eq!(
            serde_json::to_string(&Value::Object(object)).unwrap(),
            r#"{"name":"ops","auto-rotate":{"rotate-after":"60d","activate-after":"1d"},"cipher":"ed25519"}"#
        );
    }

    #[test]
    fn json_with_tabs_is_json() {
        let (_dir, body) = file("{\n\t\"name\": \"\\ud83d\\udd11\"\n}");
        assert_eq!(read(&body).unwrap().unwrap().text("name"), Some("🔑"));
    }

    #[test]
    fn bad_files_are_refused_with_the_place() {
        let (_dir, body) = file("a: 1\nb: [\n");
        let error = read(&body).unwrap_err().to_string();
        assert!(error.contains("is neither YAML nor JSON") && error.contains("line"), "{error}");
        let (_dir, body) = file("a: 1\na: 2\n");
        assert!(read(&body).is_err());
        let (_dir, body) = file("- a\n");
        assert!(read(&body).unwrap_err().to_string().ends_with("holds no fields"));
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let body = cli::Body { file: Some("/dev/zero".into()), fields: Vec::new() };
        assert_eq!(read(&body).unwrap_err().to_string(), "cannot read `/dev/zero`: it is longer than 64 MiB");
    }

    #[test]
    fn nothing_given_is_no_body() {
        assert_eq!(read(&cli::Body { file: None, fields: Vec::new() }).unwrap(), None);
    }
}
