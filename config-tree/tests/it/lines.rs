//! The line of a field, however it is written.

use crate::schema::{Documents, done, path, run, schema};
use keyward_config_tree::{Bulk, Field, Item, Operation, plan};

#[test]
fn lines_are_found_in_every_style() {
    let text = "\
# a comment before everything

x-path: a/b   # and one behind
x-operation: replace

# block style
outer:
  # deeper

  inner:
    leaf: 1
flow: {one: 1,
  two: {three: 3,
    four: 4}}
list:
  - a
  - b: 1
    c: 2
  # between
  - [x,
     y]
text: |
  several
  lines
folded: >-
  and
  more
\"quoted key\": 'quoted'
? explicit
: value
last: 1
";
    let bulk = Bulk::parse(text).unwrap();
    let item = &bulk.items()[0];
    assert_eq!(item.line(), Some(3));
    for (field, line) in [
        (Field::root(), 3),
        ("outer".into(), 7),
        ("outer.inner".into(), 10),
        ("outer.inner.leaf".into(), 11),
        ("flow".into(), 12),
        ("flow.one".into(), 12),
        ("flow.two".into(), 13),
        ("flow.two.three".into(), 13),
        ("flow.two.four".into(), 14),
        ("list".into(), 15),
        (Field::from("list").index(0), 16),
        (Field::from("list").index(1), 17),
        (Field::from("list").index(1).key("c"), 18),
        (Field::from("list").index(2).index(1), 21),
        ("text".into(), 22),
        ("folded".into(), 25),
        (Field::root().key("quoted key"), 28),
        ("explicit".into(), 29),
        ("last".into(), 31),
        // What is not there is missing in what is.
        ("outer.inner.other".into(), 10),
        ("other".into(), 3),
        (Field::from("list").index(9), 15),
        ("last.deeper".into(), 31),
    ] {
        assert_eq!(item.line_of(&field), Some(line), "{field}");
    }
    assert_eq!(item.document().get(&"text".into()).unwrap(), "several\nlines\n");
    assert_eq!(item.document().get(&Field::from("list").index(1).key("c")).unwrap(), 2);
    assert_eq!(item.document().get(&Field::root()), None);
}

#[test]
fn documents_are_counted_as_they_are_separated() {
    let text = "# a comment alone is no document\n---\nx-path: a\nx-operation: delete\n---\n# empty, and counted\n---\n\
                {x-path: b, x-operation: delete}\n...\n---\nx-path: c\nx-operation: delete\n---\n";
    let bulk = Bulk::parse(text).unwrap();
    let found: Vec<_> =
        bulk.items().iter().map(|i| (i.number().unwrap(), i.line().unwrap(), i.path().as_str())).collect();
    assert_eq!(found, [(1, 3, "a"), (3, 8, "b"), (4, 11, "c")]);
    let error = Bulk::parse(format!("{text}x: [")).unwrap_err();
    assert_eq!(error.document(), Some(5));
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_count_right() {
    let text =
        "\u{feff}x-path: strongbox/transit-keys/k\r\nx-operation: replace\r\nauto-rotate:\r\n  rotate-after: 30\r\n";
    let error = run(&mut Documents::new(), text).unwrap_err();
    assert_eq!(error.line(), Some(4), "{error}");
    assert_eq!(error.field().unwrap().to_string(), "auto-rotate.rotate-after");
}

#[test]
fn aliases_stand_for_what_they_name() {
    let text = "\
x-path: strongbox/transit-keys/k
x-operation: replace
auto-rotate:
  rotate-after: 30d
  activate-after: &two 2d
  deprecate-after: *two
  invalidate-after: *two
";
    let mut documents = Documents::new();
    done(&mut documents, text);
    let key = &documents[&path("strongbox/transit-keys/k")];
    assert_eq!(key.get(&"auto-rotate.invalidate-after".into()).unwrap(), "2d");
    let error =
        run(&mut documents, &text.replace("&two 2d", "&two 2").replace("deprecate-after: *two", "deprecate-after: 2d"))
            .unwrap_err();
    assert_eq!(error.line(), Some(5), "the first place that fails: {error}");
}

#[test]
fn one_document_alone_has_lines_and_no_number() {
    let key = path("strongbox/transit-keys/k");
    let item = Item::from_yaml(key.clone(), Operation::Replace, b"cipher: rsa-2048\nexportable: maybe\n").unwrap();
    let error = plan(&Documents::new(), &item.into(), &schema()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 2, `strongbox/transit-keys/k`: field `exportable`: text where `true` or `false` belongs; write `true` or `false`"
    );
    let item = Item::from_json(key.clone(), Operation::Replace, br#"{"exportable": 1}"#).unwrap();
    let error = plan(&Documents::new(), &item.into(), &schema()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`strongbox/transit-keys/k`: field `exportable`: a whole number where `true` or `false` belongs; write `true` or `false`"
    );
    let error = Item::from_yaml(key.clone(), Operation::Replace, b"a: 1\n---\nb: 2").unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 3, column 1, `strongbox/transit-keys/k`: a second document; send several documents as a bulk"
    );
    let error = Item::from_yaml(key.clone(), Operation::Replace, b"# nothing").unwrap_err();
    assert!(error.to_string().starts_with("`strongbox/transit-keys/k`: the document is empty; write"), "{error}");
    let error = Item::from_yaml(key.clone(), Operation::Replace, b"a: [").unwrap_err();
    assert!(
        error.to_string().starts_with("line 1, column 4, `strongbox/transit-keys/k`: field `a[0]`: not valid YAML: "),
        "{error}"
    );
    let error = Item::from_json(key, Operation::Replace, b"{\n\"a\": 1,\n}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 3, column 1, `strongbox/transit-keys/k`: not valid JSON: trailing comma; remove the comma"
    );
}
