//! What a bulk did to each document.

use super::{Style, plain, table, warning_texts};
use crate::client::Answer;
use crate::path;
use crate::value::{Object, Value};

/// The tower's answer to a bulk, per document.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Effects {
    /// Number, effect and path of each document
    documents: Vec<(usize, String, String)>,
    /// Warnings, with the document they are about
    pub(crate) warnings: Vec<String>,
    /// What else the tower said of a document, under a heading: the timeline of a key
    pub(crate) more: Vec<(String, Value)>,
}

/// Members that are shown in the table, or say nothing to a person.
const KNOWN: [&str; 10] =
    ["document", "path", "x-path", "operation", "x-operation", "effect", "warnings", "line", "revision", "etag"];

impl Effects {
    /// Of an answer, when it speaks of documents.
    pub(crate) fn of(answer: &Answer) -> Option<Self> {
        answer.content.as_json().and_then(Self::read)
    }

    /// The effect on the one document that there is.
    pub(crate) fn only(&self) -> Option<&str> {
        match self.documents.as_slice() {
            [(_, effect, _)] => Some(effect),
            _ => None,
        }
    }

    /// Reads `{"documents": [{"document", "path", "operation", "effect", "warnings"}]}`, or the array alone.
    fn read(body: &Value) -> Option<Self> {
        let listed = match body {
            Value::Array(items) => items,
            Value::Object(object) => {
                ["documents", "results"].iter().find_map(|key| object.get(key)).and_then(Value::as_array)?
            }
            _ => return None,
        };
        let mut effects = Self::default();
        if let Some(warnings) = body.as_object().and_then(|object| object.get("warnings")) {
            effects.warnings.extend(warning_texts(warnings));
        }
        for (index, document) in listed.iter().enumerate() {
            effects.document(index + 1, document.as_object()?)?;
        }
        Some(effects)
    }

    fn document(&mut self, position: usize, document: &Object) -> Option<()> {
        let number = document.count("document").unwrap_or(position);
        let path = path::short(document.text("path").or_else(|| document.text("x-path"))?).to_owned();
        let effect = document.text("effect")?.to_owned();
        for warning in document.get("warnings").map(warning_texts).unwrap_or_default() {
            self.warnings.push(format!("document {number}, {path}: {warning}"));
        }
        for (key, value) in document.iter().filter(|(key, value)| !KNOWN.contains(key) && **value != Value::Null) {
            if effect != "unchanged" {
                self.more.push((format!("{key} of {path}"), value.clone()));
            }
        }
        self.documents.push((number, effect, path));
        Some(())
    }

    /// Whether no document changed anything.
    fn nothing_changed(&self) -> bool {
        self.documents.iter().all(|(_, effect, _)| effect == "unchanged")
    }

    /// One line per document.
    pub(crate) fn table(&self, style: &Style) -> String {
        if self.documents.is_empty() {
            return String::new();
        }
        let header = ["DOCUMENT", "EFFECT", "PATH"].map(str::to_owned).to_vec();
        let rows = self.documents.iter().map(|(number, effect, path)| {
            vec![number.to_string(), plain(effect).into_owned(), plain(path).into_owned()]
        });
        let mut text = String::new();
        for (number, line) in table::lines(Some(header), rows).iter().enumerate() {
            text.push_str(&if number == 0 { style.bold(line) } else { line.clone() });
            text.push('\n');
        }
        text
    }

    /// `2 created, 1 unchanged`, or `nothing changed`.
    pub(crate) fn summary(&self, validated: bool) -> String {
        if self.nothing_changed() {
            let would = if validated { "valid: nothing would change" } else { "nothing changed" };
            return would.to_owned();
        }
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for (_, effect, _) in &self.documents {
            match counts.iter_mut().find(|(name, _)| name == effect) {
                Some((_, count)) => *count += 1,
                None => counts.push((effect, 1)),
            }
        }
        let counts: Vec<String> = counts.iter().map(|(effect, count)| format!("{count} {}", plain(effect))).collect();
        let counts = counts.join(", ");
        if validated { format!("valid: {counts} if applied; nothing was stored") } else { counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effects(json: &str) -> Option<Effects> {
        Effects::read(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn per_document() {
        let effects = effects(
            r#"{"documents":[
                {"document":1,"path":"/v1/config/strongbox/transit-keys/k","operation":"replace","effect":"created","timeline":[{"at":"now"}]},
                {"document":2,"path":"strongbox/policies/p","effect":"unchanged","warnings":["w"]}],"warnings":["all"]}"#,
        )
        .unwrap();
        assert_eq!(
            effects.table(&Style::new(false)),
            "DOCUMENT  EFFECT     PATH\n1         created    strongbox/transit-keys/k\n2         unchanged  strongbox/policies/p\n"
        );
        assert_eq!(effects.summary(false), "1 created, 1 unchanged");
        assert_eq!(effects.summary(true), "valid: 1 created, 1 unchanged if applied; nothing was stored");
        assert_eq!(effects.warnings, ["all", "document 2, strongbox/policies/p: w"]);
        assert_eq!(effects.more.len(), 1);
        assert_eq!(effects.more[0].0, "timeline of strongbox/transit-keys/k");
    }

    #[test]
    fn nothing_changed_is_said() {
        let effects = effects(r#"[{"path":"a/b","effect":"unchanged"}]"#).unwrap();
        assert_eq!(effects.summary(false), "nothing changed");
        assert_eq!(effects.summary(true), "valid: nothing would change");
    }

    #[test]
    fn other_shapes_are_not_guessed_at() {
        for json in ["{}", "1", r#"[{"path":"a"}]"#, r#"{"documents":3}"#] {
            assert_eq!(effects(json), None, "{json}");
        }
    }
}
