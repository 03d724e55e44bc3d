//! One error of the tower: where, what, the line it is about with a mark under it, and what to do.

use super::{Style, plain};
use crate::client::{Fault, Source};
use crate::path;
use crate::value::{Object, Value};

/// Members that are shown in a place of their own, or say nothing to a person.
const KNOWN: [&str; 8] = ["document", "line", "column", "path", "field", "message", "reason", "remedy"];

/// Shows it.
pub(crate) fn render(fault: &Fault, source: Option<&Source>, style: &Style) -> String {
    let info = &fault.info;
    // The reason alone where the tower gives it, because place and remedy have their own lines here.
    let message = info.text("message").unwrap_or(&fault.message).trim_end();
    let mut text = place(info, source.is_some());
    if message.starts_with("document ") {
        text.clear();
    }
    text.push_str(&plain(message));
    if let Some(excerpt) = source.and_then(|source| excerpt(info, source, style)) {
        text.push('\n');
        text.push_str(&excerpt);
    }
    for (key, value) in info.iter().filter(|(key, value)| !KNOWN.contains(key) && **value != Value::Null) {
        let value = match value {
            Value::String(value) => plain(value.trim_end()).replace('\n', "\n    "),
            value => serde_json::to_string(value).unwrap_or_default(),
        };
        text.push_str(&format!("\n  {}: {value}", plain(key)));
    }
    if let Some(remedy) = info.text("remedy").filter(|remedy| !message.contains(remedy)) {
        text.push_str(&format!("\n  {} {}", style.bold("remedy:"), plain(remedy)));
    }
    text
}

/// `document 2, line 14, strongbox/…, field jwt-signing-key: `. A line is one of the file that was sent; where the
/// request was not made of lines, it would mislead.
fn place(info: &Object, has_lines: bool) -> String {
    let mut parts = Vec::new();
    if let Some(document) = info.count("document") {
        parts.push(format!("document {document}"));
    }
    if let Some(line) = info.count("line").filter(|_| has_lines) {
        parts.push(format!("line {line}"));
    }
    if let Some(path) = info.text("path") {
        parts.push(plain(path::short(path)).into_owned());
    }
    if let Some(field) = info.text("field") {
        parts.push(format!("field `{}`", plain(field)));
    }
    if parts.is_empty() { String::new() } else { format!("{}: ", parts.join(", ")) }
}

/// The line of the file, with a mark under what is meant.
fn excerpt(info: &Object, source: &Source, style: &Style) -> Option<String> {
    let number = info.count("line")?;
    let line = source.text.lines().nth(number.checked_sub(1)?)?.trim_end();
    let (start, length) = mark(line, info);
    let shown = plain(line).replace('\t', " ");
    let gutter = " ".repeat(number.to_string().len());
    let bar = style.dim("|");
    let arrow = style.dim("-->");
    let carets = style.red(&"^".repeat(length.max(1)));
    Some(format!(
        "{gutter} {arrow} {}:{number}\n{gutter} {bar}\n{} {bar} {shown}\n{gutter} {bar} {}{carets}",
        plain(&source.name),
        style.dim(&number.to_string()),
        " ".repeat(start),
    ))
}

/// Start and length of the mark, in characters: the column, else the field, else the whole line.
fn mark(line: &str, info: &Object) -> (usize, usize) {
    let indent = line.chars().take_while(|character| character.is_whitespace()).count();
    let width = line.chars().count();
    if let Some(column) = info.count("column").and_then(|column| column.checked_sub(1)).filter(|column| *column < width)
    {
        let word =
            |character: &char| !character.is_whitespace() && !matches!(character, ':' | ',' | '[' | ']' | '{' | '}');
        return (column, line.chars().skip(column).take_while(word).count());
    }
    // The last name of `auto-rotate.rotate-after`, of `rules[2].path`, of `jwt-audiences[0]`.
    let last = |field: &'_ str| field.rsplit('.').next().and_then(|name| name.split('[').next()).map(str::to_owned);
    let field = info.text("field").and_then(last).filter(|field| !field.is_empty());
    if let Some((field, at)) = field.and_then(|field| line.find(&field).map(|at| (field, at))) {
        let before = line.get(..at).unwrap_or_default();
        return (before.chars().count(), field.chars().count());
    }
    (indent, width.saturating_sub(indent))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "x-path: a\n---\nx-path: b\njwt-signing-keyy: spiffe-jwt\nauto-rotate:\n  rotate-after: 30x\n";

    fn shown(info: &str, with_source: bool) -> String {
        let Value::Object(info) = serde_json::from_str(info).unwrap() else { panic!("an object") };
        let fault = Fault { message: "unknown field".to_owned(), info };
        let source = Source { name: "f.yaml".to_owned(), text: FILE.to_owned() };
        render(&fault, with_source.then_some(&source), &Style::new(false))
    }

    #[test]
    fn points_at_the_field() {
        assert_eq!(
            shown(
                r#"{"document":2,"line":4,"path":"/v1/config/strongbox/b","field":"jwt-signing-keyy","remedy":"did you mean `jwt-signing-key`?"}"#,
                true
            ),
            "document 2, line 4, strongbox/b, field `jwt-signing-keyy`: unknown field\n\
             \x20 --> f.yaml:4\n\
             \x20 |\n\
             4 | jwt-signing-keyy: spiffe-jwt\n\
             \x20 | ^^^^^^^^^^^^^^^^\n\
             \x20 remedy: did you mean `jwt-signing-key`?"
        );
    }

    #[test]
    fn points_at_the_column_or_the_nested_field_or_the_line() {
        assert!(shown(r#"{"line":6,"column":17}"#, true).ends_with("6 |   rotate-after: 30x\n  |                 ^^^"));
        assert!(shown(r#"{"line":6,"field":"auto-rotate.rotate-after"}"#, true).ends_with("\n  |   ^^^^^^^^^^^^"));
        assert!(shown(r#"{"line":6}"#, true).ends_with("\n  |   ^^^^^^^^^^^^^^^^^"));
    }

    #[test]
    fn a_line_that_is_not_there_is_left_out() {
        assert_eq!(shown(r#"{"line":99}"#, true), "line 99: unknown field");
        assert_eq!(shown(r#"{"line":0}"#, true), "line 0: unknown field");
    }

    #[test]
    fn without_a_file_lines_are_not_spoken_of() {
        assert_eq!(shown(r#"{"line":1,"column":9,"field":"a.b"}"#, false), "field `a.b`: unknown field");
    }

    #[test]
    fn place_reason_and_remedy_are_said_once() {
        let info = r#"{"document":2,"line":4,"message":"the reason","remedy":"do","reason":"code"}"#;
        assert_eq!(shown(info, false), "document 2: the reason\n  remedy: do");
        let info = r#"{"document":2,"message":"document 2: the reason; do","remedy":"do"}"#;
        assert_eq!(shown(info, false), "document 2: the reason; do");
    }

    #[test]
    fn everything_else_the_tower_said_is_shown() {
        assert_eq!(
            shown(r#"{"known":["a","b"],"timeline":"1\n2\n"}"#, false),
            "unknown field\n  known: [\"a\",\"b\"]\n  timeline: 1\n    2"
        );
    }
}
