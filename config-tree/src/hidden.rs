//! Fields that somebody cannot see: left out when a document is read, and kept when it is written.

use crate::error::Reason;
use crate::field::Step;
use crate::strict::FieldError;
use crate::{Document, Field, Value};
use serde_json::Map;

/// Whether the field at the end of a way is hidden. Lists are passed through: the way has no numbers.
type Hides<'a> = &'a dyn Fn(&[&str]) -> bool;

/// A value without what is hidden.
///
/// ```
/// use keyward_config_tree::without_hidden;
/// let value = serde_json::json!({"name": "north", "hosts": [{"id": "s3cret", "up": true}]});
/// let shown = without_hidden(value, &|way| way.ends_with(&["id"]));
/// assert_eq!(shown, serde_json::json!({"name": "north", "hosts": [{"up": true}]}));
/// ```
#[must_use]
pub fn without_hidden(value: Value, hides: &dyn Fn(&[&str]) -> bool) -> Value {
    visible(&value, hides, &mut Vec::new())
}

impl Document {
    /// This document without what is hidden.
    #[must_use]
    pub fn without_hidden(&self, hides: &dyn Fn(&[&str]) -> bool) -> Document {
        Self::from_fields(visible_fields(self.fields(), hides, &mut Vec::new()))
    }

    /// What becomes of this document when somebody who does not see all of it wrote `sent`, and `after` came of it: what is hidden
    /// stays as it is.
    ///
    /// # Errors
    /// A field of `sent` is hidden; or a field is hidden in a list that `sent` changes, or in something that it removes, so that it
    /// cannot stay.
    pub(crate) fn keeping_hidden(
        &self,
        sent: &Document,
        after: Document,
        hides: Hides<'_>,
    ) -> Result<Document, FieldError> {
        refuse_hidden(sent, hides)?;
        let mut after = after;
        let fields = after.fields_mut();
        restore(self.fields(), fields, hides, &mut Vec::new())?;
        Ok(after)
    }
}

/// Refuses a document that names a field that is hidden from whoever wrote it.
pub(crate) fn refuse_hidden(sent: &Document, hides: Hides<'_>) -> Result<(), FieldError> {
    match first_hidden(sent.fields(), hides, &mut Vec::new()) {
        Some(way) => Err(FieldError::because(field(&way), Reason::Hidden)),
        None => Ok(()),
    }
}

fn visible<'v>(value: &'v Value, hides: Hides<'_>, way: &mut Vec<&'v str>) -> Value {
    match value {
        Value::Object(fields) => Value::Object(visible_fields(fields, hides, way)),
        Value::Array(items) => Value::Array(items.iter().map(|item| visible(item, hides, way)).collect()),
        other => other.clone(),
    }
}

fn visible_fields<'v>(fields: &'v Map<String, Value>, hides: Hides<'_>, way: &mut Vec<&'v str>) -> Map<String, Value> {
    let mut shown = Map::new();
    for (name, value) in fields {
        way.push(name);
        if !hides(way) {
            shown.insert(name.clone(), visible(value, hides, way));
        }
        way.pop();
    }
    shown
}

/// The way to the first field that is hidden.
fn first_hidden<'v>(fields: &'v Map<String, Value>, hides: Hides<'_>, way: &mut Vec<&'v str>) -> Option<Vec<&'v str>> {
    for (name, value) in fields {
        way.push(name);
        let found = if hides(way) { Some(way.clone()) } else { hidden_in(value, hides, way) };
        way.pop();
        if found.is_some() {
            return found;
        }
    }
    None
}

fn hidden_in<'v>(value: &'v Value, hides: Hides<'_>, way: &mut Vec<&'v str>) -> Option<Vec<&'v str>> {
    match value {
        Value::Object(fields) => first_hidden(fields, hides, way),
        Value::Array(items) => items.iter().find_map(|item| hidden_in(item, hides, way)),
        _ => None,
    }
}

/// Puts into `after` what is hidden in `before`.
fn restore<'v>(
    before: &'v Map<String, Value>,
    after: &mut Map<String, Value>,
    hides: Hides<'_>,
    way: &mut Vec<&'v str>,
) -> Result<(), FieldError> {
    for (name, was) in before {
        way.push(name);
        if hides(way) {
            after.insert(name.clone(), was.clone());
        } else if hidden_in(was, hides, way).is_some() {
            match (was, after.get_mut(name)) {
                (Value::Object(was), Some(Value::Object(now))) => restore(was, now, hides, way)?,
                (Value::Object(was), None) => {
                    let mut kept = Map::new();
                    restore(was, &mut kept, hides, way)?;
                    after.insert(name.clone(), Value::Object(kept));
                }
                // A list stays as a whole, or is not touched: nothing says which of its items is which.
                (Value::Array(_), Some(now)) if now == was || *now == visible(was, hides, way) => *now = was.clone(),
                _ => return Err(FieldError::because(field(way), Reason::HiddenInside)),
            }
        }
        way.pop();
    }
    Ok(())
}

fn field(way: &[&str]) -> Field {
    Field::from_reversed(way.iter().rev().map(|name| Step::Key((*name).to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn document(value: Value) -> Document {
        Document::from_value(value).unwrap()
    }

    fn hides(way: &[&str]) -> bool {
        way.last() == Some(&"secret") || way.ends_with(&["auto", "after"])
    }

    fn replaced(before: &Value, sent: Value) -> Result<Value, String> {
        let sent = document(sent);
        let kept = document(before.clone()).keeping_hidden(&sent, sent.clone(), &hides);
        kept.map(Document::into_value).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_hidden_stays_when_the_rest_is_replaced() {
        let before = json!({"secret": 1, "a": 2, "auto": {"after": 3, "x": 4}, "in": {"secret": {"b": 5}}});
        assert_eq!(
            replaced(&before, json!({"a": 9, "auto": {"x": 8}, "in": {}})).unwrap(),
            json!({
                "secret": 1, "a": 9, "auto": {"after": 3, "x": 8}, "in": {"secret": {"b": 5}}
            })
        );
        // What is left out goes, but for what is hidden in it.
        assert_eq!(
            replaced(&before, json!({})).unwrap(),
            json!({
                "secret": 1, "auto": {"after": 3}, "in": {"secret": {"b": 5}}
            })
        );
        let scalar = replaced(&before, json!({"auto": "off"})).unwrap_err();
        assert_eq!(
            scalar,
            "field `auto`: has fields that are hidden from you, which would be lost; leave it as it is, or ask somebody who sees them"
        );
    }

    #[test]
    fn what_is_hidden_is_not_written() {
        let before = json!({"secret": 1});
        for sent in [json!({"secret": 2}), json!({"secret": 1}), json!({"secret": null})] {
            assert_eq!(
                replaced(&before, sent).unwrap_err(),
                "field `secret`: is hidden from you, and not for you to write; leave it out: it stays as it is"
            );
        }
        let error = replaced(&before, json!({"l": [[{"x": {"secret": 0}}]]})).unwrap_err();
        assert!(error.starts_with("field `l.x.secret`: is hidden"), "{error}");
    }

    #[test]
    fn a_list_with_something_hidden_stays_as_it_is() {
        let before = json!({"l": [{"secret": 1, "a": 2}, {"a": 3}], "m": [1]});
        let same = json!({"l": [{"a": 2}, {"a": 3}], "m": []});
        assert_eq!(replaced(&before, same).unwrap(), json!({"l": [{"secret": 1, "a": 2}, {"a": 3}], "m": []}));
        for sent in [json!({"l": []}), json!({"l": [{"a": 3}, {"a": 2}]}), json!({}), json!({"l": null})] {
            assert!(replaced(&before, sent).unwrap_err().starts_with("field `l`: has fields that are hidden"));
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!("v")), Just(json!(1)), Just(json!(null))];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                2 => proptest::collection::btree_map("secret|auto|after|a|b", inner.clone(), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
                1 => proptest::collection::vec(inner, 0..3).prop_map(Value::Array),
            ]
        })
    }

    fn fields() -> impl Strategy<Value = Document> {
        proptest::collection::btree_map("secret|auto|after|a|b", value(), 0..5)
            .prop_map(|fields| document(Value::Object(fields.into_iter().collect())))
    }

    /// Everything that is hidden, with its way; items of lists by their numbers.
    fn secrets(value: &Value, way: &mut Vec<String>, all: &mut Vec<(String, Value)>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    way.push(name.clone());
                    let names: Vec<&str> =
                        way.iter().filter(|step| !step.starts_with('#')).map(String::as_str).collect();
                    if hides(&names) {
                        all.push((way.join("/"), value.clone()))
                    } else {
                        secrets(value, way, all)
                    }
                    way.pop();
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    way.push(format!("#{index}"));
                    secrets(item, way, all);
                    way.pop();
                }
            }
            _ => {}
        }
    }

    fn secrets_of(document: &Document) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        secrets(&document.clone().into_value(), &mut Vec::new(), &mut all);
        // Whatever the order of an object's members is.
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_shown_and_nothing_else_is_left_out(before in fields()) {
            let shown = before.without_hidden(&hides);
            prop_assert!(secrets_of(&shown).is_empty());
            // What was read, sent back, changes nothing.
            let written = before.keeping_hidden(&shown, shown.clone(), &hides);
            prop_assert_eq!(written.unwrap(), before);
        }

        #[test]
        fn whatever_is_sent_what_is_hidden_stays(before in fields(), sent in fields(), merge in any::<bool>()) {
            let after = if merge { before.merged(&sent) } else { sent.clone() };
            if let Ok(written) = before.keeping_hidden(&sent, after, &hides) {
                prop_assert!(secrets_of(&sent).is_empty());
                prop_assert_eq!(secrets_of(&written), secrets_of(&before));
            }
        }
    }
}
