//! Text that means harm: refused at once, in bounded memory, with a reason.

use keyward_config_tree::{Bulk, Document, limits};

fn yaml(text: &str) -> String {
    let bulk = Bulk::parse(text).unwrap_err();
    // One document alone is refused for the same reason.
    assert!(Document::from_yaml(text.as_bytes()).is_err(), "{bulk}: {text}");
    bulk.to_string()
}

fn json(text: &str) -> String {
    Document::from_json(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn deep_nesting_is_refused() {
    let blocks: String = (0..10_000).map(|depth| format!("{}a:\n", " ".repeat(depth % 600))).take(600).collect();
    for text in [
        "[".repeat(10_000),
        "{a: ".repeat(10_000),
        "- ".repeat(10_000),
        blocks,
        format!("a: {}1{}", "[".repeat(64), "]".repeat(64)),
    ] {
        let error = yaml(&text);
        assert!(error.contains("more than 64 levels of nesting; split it"), "{error}");
    }
    let just = format!("x-path: a\nx-operation: replace\na: {}1{}", "[".repeat(63), "]".repeat(63));
    assert!(Bulk::parse(just).is_ok());
    for text in
        ["[".repeat(10_000), "{\"a\":".repeat(10_000), format!("{{\"a\":{}1{}}}", "[".repeat(64), "]".repeat(64))]
    {
        let error = json(&text);
        assert!(error.contains("more than 64 levels of nesting; split it"), "{error}");
    }
    assert!(Document::from_json(format!("{{\"a\":{}1{}}}", "[".repeat(63), "]".repeat(63)).as_bytes()).is_ok());
    let mut value = serde_json::json!(1);
    for _ in 0..100 {
        value = serde_json::json!({"a": value});
    }
    assert!(Document::from_value(value).unwrap_err().to_string().contains("levels of nesting"));
}

#[test]
fn alias_bombs_are_refused() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for n in 1..12 {
        let before = format!("*a{}", n - 1);
        laughs += &format!("a{n}: &a{n} [{}]\n", [before.as_str(); 9].join(", "));
    }
    let error = yaml(&laughs);
    assert!(error.contains("more than 100000 values; split it"), "{error}");
    // Few values with much text.
    let text = format!("a: &a {}\nb: [{}]", "x".repeat(100_000), ["*a"; 1000].join(", "));
    let error = yaml(&text);
    assert!(error.contains(&format!("more than {} bytes of text; split it", limits::MAX_TEXT)), "{error}");
    // Copies that are kept for aliases which never come.
    let nested = format!("a: {}[{}1]{}", "&x [".repeat(60), "1, ".repeat(2_000), "]".repeat(60));
    let error = yaml(&nested);
    assert!(error.contains("more than 100000 values; split it"), "{error}");
    // Depth that adds up.
    let mut deep = "a0: &a0 [1]\n".to_owned();
    for n in 1..70 {
        deep += &format!("a{n}: &a{n} [*a{}]\n", n - 1);
    }
    let error = yaml(&deep);
    assert!(error.contains("more than 64 levels of nesting; split it"), "{error}");
    // One that holds itself.
    let error = yaml("a: &a [*a]");
    assert_eq!(error, "document 1, line 1, column 8: field `a[0]`: an alias inside what it names; write the value out");
    let error = yaml("a: *nowhere");
    assert!(error.contains("not valid YAML") && error.contains("define the anchor earlier"), "{error}");
    // An anchor ends with its document.
    assert!(
        yaml("{x-path: a, x-operation: delete, name: &n a}\n---\n{x-path: *n, x-operation: delete}").contains("line 3")
    );
}

#[test]
fn too_much_is_refused() {
    let long = format!("a: {}", "x".repeat(limits::MAX_BYTES));
    assert_eq!(yaml(&long), format!("more than {} bytes; split it", limits::MAX_BYTES));
    assert_eq!(json(&long), format!("more than {} bytes; split it", limits::MAX_BYTES));
    let many = format!("a: [{}]", "1,".repeat(100_001));
    assert!(yaml(&many).contains("more than 100000 values"));
    let many = format!("{{\"a\": [{}1]}}", "1,".repeat(100_001));
    assert!(json(&many).contains("more than 100000 values"));
    let documents = "---\n{x-path: a, x-operation: delete}\n".repeat(1_001);
    let error = Bulk::parse(documents).unwrap_err();
    assert_eq!(error.to_string(), "document 1001, line 2001: more than 1000 documents; split it");
}

#[test]
fn other_encodings_are_refused_where_they_stop_being_utf_8() {
    let error = Bulk::parse(b"name: a\nlabel: g\xf6teborg\n").unwrap_err();
    assert_eq!(error.to_string(), "line 2, column 9: the text is not UTF-8; save it as UTF-8");
    let error = Document::from_json(b"{\"a\": \"\xff\"}").unwrap_err();
    assert_eq!(error.to_string(), "line 1, column 8: the text is not UTF-8; save it as UTF-8");
    assert!(Document::from_json(br#"{"a": "\ud800"}"#).is_err());
}

#[test]
fn fields_that_are_there_twice_are_refused_in_json_too() {
    assert_eq!(json("{\"a\": 1,\n \"a\": 2}"), "line 2: field `a`: there twice; remove one");
    assert_eq!(json(r#"{"x": [1, {"a": 1, "\u0061": 2}]}"#), "line 1: field `x[1].a`: there twice; remove one");
    assert_eq!(
        yaml("x: [1, {a: 1, 'a': 2}]"),
        "document 1, line 1: field `x[1].a`: there twice, first on line 1; remove one"
    );
}

#[test]
fn numbers_that_cannot_be_kept_are_refused() {
    for number in ["18446744073709551616", "1e16", "1e999", "-9223372036854775809", "1e308"] {
        let error = yaml(&format!("a: {{b: {number}}}"));
        assert!(
            error.contains("field `a.b`: a number out of range; write a smaller one")
                || error.contains("not a finite number"),
            "{number}: {error}"
        );
        let error = json(&format!("{{\"a\": {{\"b\": {number}}}}}"));
        assert!(error.contains("number out of range; write a smaller one"), "{number}: {error}");
    }
    for number in [".inf", "-.inf", ".NaN"] {
        let error = yaml(&format!("a: [{number}]"));
        assert!(error.contains("field `a[0]`: not a finite number; write a number"), "{number}: {error}");
    }
    let error = yaml("mode: 0755");
    assert_eq!(
        error,
        "document 1, line 1, column 7: field `mode`: a number that begins with `0`; leave the `0` out, or write it in quotes if it is text"
    );
    assert!(json("{\"a\": 01}").contains("not valid JSON"));
    assert!(json("{\"a\": NaN}").contains("not valid JSON"));
}

#[test]
fn what_has_no_meaning_in_a_document_is_refused() {
    for (text, message) in [
        (
            "just text",
            "document 1, line 1, column 1: a document is fields with values; write lines such as `name: payments`",
        ),
        (
            "- a list",
            "document 1, line 1, column 1: a document is fields with values; write lines such as `name: payments`",
        ),
        ("a: !!binary aGk=", "document 1, line 1, column 13: field `a`: a YAML tag; remove it"),
        ("a: !mine {b: 1}", "document 1, line 1, column 10: field `a`: a YAML tag; remove it"),
        ("a: {<<: {b: 1}}", "document 1, line 1, column 5: field `a`: a merge key `<<`; write the fields out"),
        (
            "{a: 1}: 2",
            "document 1, line 1, column 1: a list or fields where the name of a field belongs; write a word as name; a value that begins with `{` or `[` goes in quotes",
        ),
        (": 2", "document 1, line 1, column 1: a value without the name of a field; write `name: value`"),
        ("a: &n b\n*n : c", "document 1, line 2, column 1: an alias as the name of a field; write the name out"),
    ] {
        assert_eq!(yaml(text), message, "{text}");
    }
    let error = Bulk::parse("# nothing\n---\n").unwrap_err();
    assert_eq!(error.to_string(), "there is no document; write one with `x-path`, `x-operation` and its fields");
    for (text, message) in [
        ("[1]", "a document is fields with values; write `{\"name\": …}`"),
        ("", "line 1, column 1: not valid JSON: EOF while parsing a value; close every bracket and quote"),
        (
            "{\"a\": 1} x",
            "line 1, column 10: not valid JSON: trailing characters; send one document and nothing after it",
        ),
        ("{a: 1}", "line 1, column 2: not valid JSON: key must be a string; write names of fields in double quotes"),
    ] {
        assert_eq!(json(text), message, "{text}");
    }
    // Tags that change nothing are let pass.
    let tagged = Document::from_yaml(b"a: !!str 12\nb: !!seq [1]\nc: !!map {}\n!!str d: '1'").unwrap();
    assert_eq!(tagged.to_string(), r#"{"a":"12","b":[1],"c":{},"d":"1"}"#);
}

#[test]
fn errors_stay_short() {
    let name = "n".repeat(1_000);
    let path = "p".repeat(1_000_000);
    for text in [
        format!("x-path: {path}\nx-operation: replace"),
        format!("x-path: a\nx-operation: {path}"),
        format!("x-path: a\nx-operation: replace\n{name}: 1\n{name}: 2"),
        format!("x-path: {path}\nx-operation: [\u{1b}"),
    ] {
        let error = Bulk::parse(text).unwrap_err().to_string();
        assert!(error.len() < 500, "{error}");
        assert!(!error.contains('\u{1b}'), "{error}");
    }
}
