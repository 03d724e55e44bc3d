//! Values as people read them: lists as columns, documents as field and value.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use super::{Style, plain};
use crate::value::{Object, Value};

/// A value, shown.
#[derive(Debug)]
pub(crate) struct Rendered {
    /// The text
    pub(crate) text: String,
    /// Columns that a list has no room for: texts of several lines (PEM), keys spelled out
    pub(crate) left_out: Vec<String>,
}

/// Shows a value; `width` is that of the terminal, when there is one.
pub(crate) fn render(value: &Value, style: &Style, width: Option<usize>) -> Rendered {
    let mut view = View { text: String::new(), left_out: Vec::new(), style, width };
    view.value(value);
    Rendered { text: view.text, left_out: view.left_out }
}

struct View<'a> {
    text: String,
    left_out: Vec<String>,
    style: &'a Style,
    width: Option<usize>,
}

/// Something that does not fit into one line: shown below the fields under its name.
enum Section<'v> {
    List(&'v [Value]),
    Json(&'v Value),
    Lines(&'v str),
}

impl View<'_> {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Object(object) => self.object(object),
            Value::Array(items) => self.list(items),
            scalar => self.line(&cell(scalar)),
        }
    }

    fn object(&mut self, object: &Object) {
        let (mut rows, mut sections) = (Vec::new(), Vec::new());
        flatten("", object, &mut rows, &mut sections);
        if rows.is_empty() && sections.is_empty() {
            self.line("(empty)");
        }
        self.fields(&rows);
        for (title, section) in sections {
            if !self.text.is_empty() {
                self.text.push('\n');
            }
            self.line(&self.style.bold(&plain(&title)));
            match section {
                Section::List(items) => self.list(items),
                // Verbatim and at the left edge, so that it can be pasted.
                Section::Json(value) => self.line(&serde_json::to_string_pretty(value).unwrap_or_default()),
                Section::Lines(text) => self.line(&plain(text)),
            }
        }
    }

    fn list(&mut self, items: &[Value]) {
        if items.is_empty() {
            return self.line("(none)");
        }
        if items.iter().any(|item| item.as_object().is_none()) {
            for item in items {
                self.line(&cell(item));
            }
            return;
        }
        let records: Vec<Record> = items.iter().filter_map(Value::as_object).map(record).collect();
        let mut columns: Vec<&str> = Vec::new();
        for (column, _) in records.iter().flatten() {
            if !columns.contains(&column.as_str()) {
                columns.push(column);
            }
        }
        let too_large = |column: &str| records.iter().flatten().any(|(name, text)| name == column && text.is_none());
        let (large, columns): (Vec<&str>, Vec<&str>) = columns.into_iter().partition(|column| too_large(column));
        for column in large {
            if !self.left_out.iter().any(|name| name == column) {
                self.left_out.push(column.to_owned());
            }
        }
        let text = |record: &Record, column: &str| {
            record.iter().find(|(name, _)| name == column).and_then(|(_, text)| text.clone()).unwrap_or_default()
        };
        let rows = records.iter().map(|record| columns.iter().map(|column| text(record, column)).collect::<Vec<_>>());
        let header: Vec<String> = columns.iter().map(|column| plain(column).to_uppercase()).collect();
        let lines = lines(Some(header), rows);
        let widest = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
        if self.width.is_some_and(|width| widest > width) {
            return self.upright(&records);
        }
        for (number, line) in lines.iter().enumerate() {
            if number == 0 { self.line(&self.style.bold(line)) } else { self.line(line) }
        }
    }

    /// A list that is too wide for the terminal: one record below the other.
    fn upright(&mut self, records: &[Record]) {
        for (number, record) in records.iter().enumerate() {
            if number > 0 {
                self.text.push('\n');
            }
            let rows = record.iter().filter_map(|(name, text)| Some((name.clone(), text.clone()?)));
            self.fields(&rows.collect::<Vec<_>>());
        }
    }

    fn fields(&mut self, rows: &[(String, String)]) {
        for line in lines(None, rows.iter().map(|(name, text)| vec![plain(name).into_owned(), text.clone()])) {
            self.line(&line);
        }
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        if !text.ends_with('\n') {
            self.text.push('\n');
        }
    }
}

/// Aligned columns, two spaces apart, nothing folded.
pub(super) fn lines(header: Option<Vec<String>>, rows: impl Iterator<Item = Vec<String>>) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if let Some(header) = header {
        table.set_header(header);
    }
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    if table.is_empty() && table.header().is_none() {
        return Vec::new();
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// The fields of an object, nested names joined by dots. Warnings are on standard error already.
fn flatten<'v>(
    prefix: &str,
    object: &'v Object,
    rows: &mut Vec<(String, String)>,
    sections: &mut Vec<(String, Section<'v>)>,
) {
    for (key, value) in object.iter() {
        if prefix.is_empty() && key == "warnings" {
            continue;
        }
        let name = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(_) if key.ends_with("-policy") || key == "policy" => {
                sections.push((name, Section::Json(value)))
            }
            Value::Object(inner) if !inner.is_empty() => flatten(&name, inner, rows, sections),
            Value::Array(items) if items.iter().any(|item| !item.is_scalar()) => {
                sections.push((name, Section::List(items)))
            }
            Value::String(text) if text.trim_end().contains('\n') => sections.push((name, Section::Lines(text))),
            other => rows.push((name, cell(other))),
        }
    }
}

/// One object of a list: names and texts, no text where it is too large for a column.
type Record = Vec<(String, Option<String>)>;

/// The longest text in a column (a key ID has 43, a spelled-out identity more), and the most columns that one member
/// spreads over.
const LONGEST: usize = 100;
const SPREAD: usize = 3;

fn record(object: &Object) -> Record {
    let mut record = Vec::new();
    for (key, value) in object.iter() {
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                let (mut rows, mut sections) = (Vec::new(), Vec::new());
                flatten(key, inner, &mut rows, &mut sections);
                if sections.is_empty() && rows.len() <= SPREAD && rows.iter().all(|(_, text)| text.len() <= LONGEST) {
                    record.extend(rows.into_iter().map(|(name, text)| (name, Some(text))));
                } else {
                    record.push((key.to_owned(), None));
                }
            }
            Value::Object(_) => {}
            Value::Array(items) if items.iter().any(|item| !item.is_scalar()) => {
                record.push((key.to_owned(), Some(format!("({} entries)", items.len()))));
            }
            scalar => {
                let text = cell(scalar);
                // What a record is called is shown whatever its length: an email address has up to 254 bytes.
                let fits = key == "name" || text.len() <= LONGEST;
                record.push((key.to_owned(), Some(text).filter(|text| fits && !text.contains('\n'))));
            }
        }
    }
    record
}

/// A value in one line.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => plain(text.trim_end_matches('\n')).into_owned(),
        Value::Array(items) if items.iter().all(Value::is_scalar) => {
            items.iter().map(cell).collect::<Vec<_>>().join(", ")
        }
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str, width: Option<usize>) -> Rendered {
        render(&serde_json::from_str(json).unwrap(), &Style::new(false), width)
    }

    #[test]
    fn a_document_is_fields_and_sections() {
        let rendered = shown(
            r#"{"name":"spiffe-jwt","auto-rotate":{"rotate-after":"30d"},"warnings":["w"],"to":["a","b"],"none":{},
                "versions":[{"version":1,"phase":"active","public-key":"-----BEGIN\nx\n"},{"version":12,"phase":"pending","kid":"k"}]}"#,
            None,
        );
        assert_eq!(
            rendered.text,
            "name                      spiffe-jwt\n\
             auto-rotate.rotate-after  30d\n\
             to                        a, b\n\
             none                      {}\n\
             \n\
             versions\n\
             VERSION  PHASE    KID\n\
             1        active\n\
             12       pending  k\n"
        );
        assert_eq!(rendered.left_out, ["public-key"]);
    }

    #[test]
    fn a_list_has_no_room_for_keys() {
        let json =
            r#"[{"v":1,"jwk":{"kty":"RSA","n":"x","e":"AQAB","kid":"k"},"detail":{"a":"b"},"none":{},"many":[{}]}]"#;
        let rendered = shown(json, None);
        assert_eq!(rendered.text, "V  DETAIL.A  MANY\n1  b         (1 entries)\n");
        assert_eq!(rendered.left_out, ["jwk"]);
        let rendered = shown(&format!(r#"[{{"v":1,"n":"{}"}}]"#, "x".repeat(101)), None);
        assert_eq!((rendered.text.as_str(), rendered.left_out), ("V\n1\n", vec!["n".to_owned()]));
    }

    #[test]
    fn a_policy_can_be_pasted() {
        let rendered = shown(
            r#"{"provider-url":"https://t.example.com/1","audience":"sts.amazonaws.com","trust-policy":{"Version":"2012-10-17","Statement":[]}}"#,
            Some(20),
        );
        assert_eq!(
            rendered.text,
            "provider-url  https://t.example.com/1\n\
             audience      sts.amazonaws.com\n\
             \n\
             trust-policy\n\
             {\n  \"Version\": \"2012-10-17\",\n  \"Statement\": []\n}\n"
        );
        let as_text = shown(r#"{"trust-policy":"{\n  \"Version\": \"2012-10-17\"\n}"}"#, None);
        assert_eq!(as_text.text, "trust-policy\n{\n  \"Version\": \"2012-10-17\"\n}\n");
    }

    #[test]
    fn a_decision_is_read_from_top_to_bottom() {
        let json = r#"{"subject":"approle/pay","operation":"read","path":"/v1/x","decision":"denied","reason":"denied by `/v1/*` of policy `p`","policies":["default","p"],"rule":{"policy":"p","number":1,"path":"/v1/*"},"rules":[{"policy":"p","number":1,"path":"/v1/*","effect":"deny","because":"decides"},{"policy":"p","number":0,"path":"/v1/${approle}","effect":"allow","because":"differs: `${approle}` is `pay`, the path has `x`"}],"variables":[{"variable":"approle","value":"pay"},{"variable":"site","value":null}]}"#;
        let rendered = shown(json, None);
        assert_eq!(
            rendered.text,
            "subject      approle/pay\n\
             operation    read\n\
             path         /v1/x\n\
             decision     denied\n\
             reason       denied by `/v1/*` of policy `p`\n\
             policies     default, p\n\
             rule.policy  p\n\
             rule.number  1\n\
             rule.path    /v1/*\n\
             \n\
             rules\n\
             POLICY  NUMBER  PATH            EFFECT  BECAUSE\n\
             p       1       /v1/*           deny    decides\n\
             p       0       /v1/${approle}  allow   differs: `${approle}` is `pay`, the path has `x`\n\
             \n\
             variables\n\
             VARIABLE  VALUE\n\
             approle   pay\n\
             site\n"
        );
        assert!(rendered.left_out.is_empty());
    }

    #[test]
    fn a_list_too_wide_stands_upright() {
        let json = r#"[{"name":"a","path":"0123456789"},{"name":"b","path":"x"}]"#;
        assert_eq!(shown(json, Some(40)).text, "NAME  PATH\na     0123456789\nb     x\n");
        assert_eq!(shown(json, Some(10)).text, "name  a\npath  0123456789\n\nname  b\npath  x\n");
    }

    #[test]
    fn small_things() {
        assert_eq!(shown("[]", None).text, "(none)\n");
        assert_eq!(shown("{}", None).text, "(empty)\n");
        assert_eq!(shown("\"x\"", None).text, "x\n");
        assert_eq!(shown(r#"["a","b"]"#, None).text, "a\nb\n");
        assert_eq!(shown(r#"["a",{"b":1}]"#, None).text, "a\n{\"b\":1}\n");
        assert_eq!(shown(r#"{"a":"\u001b[2J"}"#, None).text, "a  \\u{1b}[2J\n");
    }
}
