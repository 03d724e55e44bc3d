use super::*;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
struct Outer {
    name: String,
    #[serde(default)]
    flag: bool,
    #[serde(default)]
    small: u8,
    #[serde(default)]
    signed: i32,
    #[serde(default)]
    ratio: f64,
    inner: Option<Inner>,
    #[serde(default)]
    list: Vec<Inner>,
    #[serde(default)]
    map: BTreeMap<String, Inner>,
    #[serde(default)]
    ports: BTreeMap<u16, Word>,
    word: Option<Word>,
    shape: Option<Shape>,
    wrapped: Option<Wrapped>,
    pair: Option<(u8, u8)>,
    checked: Option<Checked>,
    #[serde(alias = "older-name")]
    newer_name: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
struct Inner {
    rotate_after: String,
    #[serde(default)]
    deeper: Option<Box<Inner>>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Word {
    All,
    Sites,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Shape {
    Plain,
    Named(String),
    Pair(u8, u8),
    Full { inner: Inner },
}

#[derive(Debug, Deserialize, PartialEq)]
struct Wrapped(Inner);

#[derive(Debug, Deserialize, PartialEq)]
#[serde(try_from = "String")]
struct Checked(String);

impl TryFrom<String> for Checked {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "good" { Ok(Self(text)) } else { Err(format!("`{text}`: not good; write `good`")) }
    }
}

fn read(value: Value) -> Result<Outer, FieldError> {
    from_value(&value)
}

/// The refusal of a document that has, beside its name, one field.
fn refusal(field: &str, value: Value) -> String {
    let mut document = json!({"name": "x"});
    document[field] = value;
    let error = read(document.clone()).unwrap_err();
    let Value::Object(fields) = document else { panic!() };
    assert_eq!(from_fields::<Outer>(&fields, true).unwrap_err(), error);
    error.to_string()
}

#[test]
fn everything_that_fits_passes_through() {
    let value = json!({
        "name": "x", "flag": true, "small": 255, "signed": -3, "ratio": 1,
        "inner": {"rotate-after": "30d", "deeper": {"rotate-after": "1d"}},
        "list": [{"rotate-after": "1d"}], "map": {"a": {"rotate-after": "1d"}}, "ports": {"80": "all"},
        "word": "sites", "shape": {"full": {"inner": {"rotate-after": "1d"}}}, "wrapped": {"rotate-after": "1d"},
        "pair": [1, 2], "checked": "good", "older-name": "y",
    });
    let strict = read(value.clone()).unwrap();
    assert_eq!(strict, serde_json::from_value::<Outer>(value).unwrap());
    assert_eq!(strict.newer_name.as_deref(), Some("y"));
    for shape in [json!("plain"), json!({"named": "x"}), json!({"pair": [1, 2]}), json!({"plain": null})] {
        let value = json!({"name": "x", "shape": shape});
        assert_eq!(read(value.clone()).unwrap(), serde_json::from_value(value).unwrap());
    }
    assert_eq!(read(json!({"name": "x", "inner": null})).unwrap().inner, None);
}

#[test]
fn unknown_fields_are_refused_at_every_level() {
    let known = "`rotate-after`, `deeper`";
    let bad = json!({"rotate-after": "1d", "roatte-after": "1d"});
    let ending = format!("unknown; write `rotate-after`, or one of {known}");
    for (field, value, place) in [
        ("inner", bad.clone(), "inner.roatte-after"),
        ("inner", json!({"rotate-after": "1d", "deeper": bad}), "inner.deeper.roatte-after"),
        ("list", json!([{"rotate-after": "1d"}, bad]), "list[1].roatte-after"),
        ("map", json!({"a.b": bad}), "map[\"a.b\"].roatte-after"),
        ("shape", json!({"full": {"inner": bad}}), "shape.full.inner.roatte-after"),
        ("wrapped", bad.clone(), "wrapped.roatte-after"),
    ] {
        assert_eq!(refusal(field, value), format!("field `{place}`: {ending}"));
    }
    assert_eq!(
        refusal("shape", json!({"full": {"inner": {"rotate-after": "1d"}, "x": 1}})),
        "field `shape.full.x`: unknown; remove it, or write one of `inner`"
    );
    assert!(
        refusal("colour", json!(1)).starts_with("field `colour`: unknown; remove it, or write one of `name`, `flag`")
    );
    assert!(lenient::<Outer>(json!({"name": "x", "colour": 1}).as_object().unwrap()).is_ok());
}

#[test]
fn a_field_by_two_of_its_names_is_refused() {
    let value = json!({"name": "n", "older-name": "a", "newer-name": "b"});
    assert_eq!(read(value).unwrap_err().to_string(), "field `newer-name`: there by two of its names; remove one");
}

#[test]
fn types_and_ranges_are_refused_in_plain_words() {
    for (field, value, text) in [
        ("name", json!(12), "a whole number where text belongs; write it in quotes"),
        ("name", json!(null), "nothing where text belongs; write text, or leave the field out"),
        ("flag", json!("yes"), "text where `true` or `false` belongs; write `true`"),
        ("flag", json!("off"), "text where `true` or `false` belongs; write `false`"),
        ("flag", json!(1), "a whole number where `true` or `false` belongs; write `true` or `false`"),
        ("small", json!(256), "out of range; write a whole number from 0 to 255"),
        ("small", json!(-1), "out of range; write a whole number from 0 to 255"),
        ("small", json!("7"), "text where a whole number from 0 to 255 belongs; write it without quotes"),
        (
            "small",
            json!(1.5),
            "a number with a fraction where a whole number from 0 to 255 belongs; write a whole number from 0 to 255",
        ),
        ("signed", json!(2_147_483_648_u32), "out of range; write a whole number from -2147483648 to 2147483647"),
        ("ratio", json!([]), "a list where a number belongs; write a number"),
        (
            "inner",
            json!("30d"),
            "text where a block of fields belongs; write fields, one indented `name: value` per line or `{\"name\": value}`",
        ),
        (
            "inner",
            json!(["30d"]),
            "a list where a block of fields belongs; write fields, one indented `name: value` per line or `{\"name\": value}`",
        ),
        ("list", json!("a"), "text where a list belongs; write a list, one `- item` per line or `[item, item]`"),
        (
            "list",
            json!({}),
            "a block of fields where a list belongs; write a list, one `- item` per line or `[item, item]`",
        ),
        (
            "map",
            json!([]),
            "a list where a block of fields belongs; write fields, one indented `name: value` per line or `{\"name\": value}`",
        ),
        ("word", json!("nowhere"), "`nowhere`: not a known word here; write one of `all`, `sites`"),
        ("word", json!("sties"), "`sties`: not a known word here; write `sites`, or one of `all`, `sites`"),
        ("word", json!(3), "a whole number where one of the known words belongs; write one of the known words"),
        ("shape", json!("named"), "`named`: more belongs to it; write it as a field with a value"),
        ("shape", json!({"a": 1, "b": 2}), "2 fields where exactly one belongs; keep one"),
        ("pair", json!([1]), "a list of 1; write a list"),
        ("pair", json!([1, 2, 3]), "a list that is too long; remove items"),
        ("checked", json!("bad"), "`bad`: not good; write `good`"),
    ] {
        assert_eq!(refusal(field, value), format!("field `{field}`: {text}"));
    }
    assert_eq!(refusal("inner", json!({})), "field `inner.rotate-after`: missing; add it");
    assert_eq!(read(json!({})).unwrap_err().to_string(), "field `name`: missing; add it");
    assert_eq!(
        refusal("shape", json!({"plain": 1})),
        "field `shape.plain`: nothing belongs to it; write the word alone"
    );
    assert!(refusal("ports", json!({"http": "all"})).starts_with("field `ports.http`: text where a whole number"));
    assert!(refusal("ports", json!({"80": "none"})).starts_with("field `ports.80`: `none`: not a known word"));
}

#[test]
fn values_are_not_shown_when_their_type_is_wrong() {
    let text = refusal("small", json!("hunter2-secret"));
    assert!(!text.contains("hunter2"), "{text}");
    let text = refusal("name", json!(48_151_623_u32));
    assert!(!text.contains("48151623"), "{text}");
}

#[test]
fn field_lists_are_found() {
    assert!(fields_of::<Outer>().unwrap().contains(&"older-name"));
    assert_eq!(fields_of::<Wrapped>(), Some(["rotate-after", "deeper"].as_slice()));
    assert_eq!(fields_of::<Option<Inner>>(), Some(["rotate-after", "deeper"].as_slice()));
    assert_eq!(fields_of::<String>(), None);
    assert_eq!(fields_of::<BTreeMap<String, String>>(), None);
    assert_eq!(fields_of::<Value>(), None);
}
