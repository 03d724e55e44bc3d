//! The text of such a policy. HCL and JSON differ in what may be left out: one grammar reads both.

use super::{Capabilities, MAX_PATHS, MAX_TEXT, Stanza, VaultPathProblem, VaultPolicyError};

/// The deepest nesting.
const MAX_DEPTH: usize = 8;

/// The paths in the order of the text, each once.
pub(super) fn stanzas(text: &str) -> Result<Vec<Stanza>, VaultPolicyError> {
    if text.len() > MAX_TEXT {
        return Err(VaultPolicyError::TooLong { limit: MAX_TEXT, of: "bytes" });
    }
    let mut reader = Reader { rest: text, line: 1 };
    reader.skip()?;
    let in_braces = reader.take('{');
    let items = reader.items(in_braces, 0)?;
    if !reader.rest.is_empty() {
        return Err(reader.expected("the end"));
    }
    let mut stanzas: Vec<Stanza> = Vec::new();
    for item in items {
        match item.key.as_str() {
            "name" => {}
            "path" => add(&mut stanzas, item.line, item.value)?,
            _ => return Err(VaultPolicyError::Unknown { field: excerpt(&item.key) }),
        }
    }
    Ok(stanzas)
}

/// What stands for a path: an object of them, or a list of such.
fn add(stanzas: &mut Vec<Stanza>, line: usize, value: Value) -> Result<(), VaultPolicyError> {
    match value {
        Value::Object(items) => {
            for Item { key, line, value } in items {
                one(stanzas, line, &key, value)?;
            }
            Ok(())
        }
        Value::List(values) => values.into_iter().try_for_each(|value| add(stanzas, line, value)),
        _ => Err(VaultPolicyError::Syntax { line, expected: "a path and `{`" }),
    }
}

fn one(stanzas: &mut Vec<Stanza>, line: usize, path: &str, value: Value) -> Result<(), VaultPolicyError> {
    let fields = match value {
        Value::Object(fields) => fields,
        // JSON may have each in a list.
        Value::List(values) => return values.into_iter().try_for_each(|value| one(stanzas, line, path, value)),
        _ => return Err(VaultPolicyError::Syntax { line, expected: "`{`" }),
    };
    let refuse = |problem| VaultPolicyError::Path { path: excerpt(path), problem };
    let mut capabilities = Capabilities::default();
    for Item { key, line, value } in fields {
        match (key.as_str(), value) {
            ("comment", _) => {}
            ("capabilities", Value::List(words)) => {
                for word in words {
                    let Value::Text(word) = word else {
                        return Err(VaultPolicyError::Syntax { line, expected: "a list of texts" });
                    };
                    let found = capability(&word);
                    let found = found.ok_or_else(|| refuse(VaultPathProblem::Capability(excerpt(&word))))?;
                    capabilities = capabilities.merge(found);
                }
            }
            ("capabilities", _) => return Err(VaultPolicyError::Syntax { line, expected: "a list of texts" }),
            ("policy", Value::Text(word)) => {
                let found = level(&word).ok_or_else(|| refuse(VaultPathProblem::Level(excerpt(&word))))?;
                capabilities = capabilities.merge(found);
            }
            ("policy", _) => return Err(VaultPolicyError::Syntax { line, expected: "a text" }),
            _ => return Err(refuse(VaultPathProblem::Field(excerpt(&key)))),
        }
    }
    let path = path.strip_prefix('/').unwrap_or(path);
    let full = stanzas.len() == MAX_PATHS;
    match stanzas.iter_mut().find(|stanza| stanza.path == path) {
        Some(stanza) => stanza.capabilities = stanza.capabilities.merge(capabilities),
        None if full => {
            return Err(VaultPolicyError::TooLong { limit: MAX_PATHS, of: "paths" });
        }
        None => stanzas.push(Stanza { path: path.to_owned(), capabilities }),
    }
    Ok(())
}

fn capability(word: &str) -> Option<Capabilities> {
    let mut one = Capabilities::default();
    match word {
        "deny" => one.deny = true,
        "create" => one.create = true,
        "read" => one.read = true,
        "update" => one.update = true,
        "delete" => one.delete = true,
        "list" => one.list = true,
        "sudo" => one.sudo = true,
        // Nothing here asks for them.
        "patch" | "scan" => {}
        _ => return None,
    }
    Some(one)
}

/// The words from before there were capabilities.
fn level(word: &str) -> Option<Capabilities> {
    let words: &[&str] = match word {
        "deny" => &["deny"],
        "read" => &["read", "list"],
        "write" => &["create", "read", "update", "delete", "list"],
        "sudo" => &["create", "read", "update", "delete", "list", "sudo"],
        _ => return None,
    };
    words.iter().try_fold(Capabilities::default(), |all, word| Some(all.merge(capability(word)?)))
}

fn excerpt(text: &str) -> String {
    text.chars().take(200).flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// `key = value`, or `"key": value`, or `key { … }`.
struct Item {
    key: String,
    line: usize,
    value: Value,
}

enum Value {
    Text(String),
    List(Vec<Value>),
    Object(Vec<Item>),
    /// A number, `true`, `false` or `null`.
    Other,
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn expected(&self, expected: &'static str) -> VaultPolicyError {
        VaultPolicyError::Syntax { line: self.line, expected }
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Space and comments.
    fn skip(&mut self) -> Result<(), VaultPolicyError> {
        loop {
            if self.rest.starts_with('#') || self.rest.starts_with("//") {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.next();
                }
            } else if self.rest.starts_with("/*") {
                while !self.rest.starts_with("*/") {
                    self.next().ok_or_else(|| self.expected("`*/`"))?;
                }
                self.next();
                self.next();
            } else if self.peek().is_some_and(char::is_whitespace) {
                self.next();
            } else {
                return Ok(());
            }
        }
    }

    fn take(&mut self, c: char) -> bool {
        let there = self.peek() == Some(c);
        if there {
            self.next();
        }
        there
    }

    fn items(&mut self, in_braces: bool, depth: usize) -> Result<Vec<Item>, VaultPolicyError> {
        if depth > MAX_DEPTH {
            return Err(self.expected("less nesting"));
        }
        let mut items = Vec::new();
        loop {
            self.skip()?;
            if in_braces && self.take('}') {
                self.skip()?;
                return Ok(items);
            }
            if self.rest.is_empty() && !in_braces {
                return Ok(items);
            }
            items.push(self.item(depth)?);
            self.skip()?;
            self.take(',');
        }
    }

    fn item(&mut self, depth: usize) -> Result<Item, VaultPolicyError> {
        let line = self.line;
        let key = self.key()?;
        self.skip()?;
        let value = match self.peek() {
            Some('=' | ':') => {
                self.next();
                self.skip()?;
                self.value(depth)?
            }
            Some('{') => self.value(depth)?,
            // `path "a" { … }` is `path = { "a" = { … } }`.
            _ if depth > MAX_DEPTH => return Err(self.expected("less nesting")),
            _ => Value::Object(vec![self.item(depth + 1)?]),
        };
        Ok(Item { key, line, value })
    }

    fn key(&mut self) -> Result<String, VaultPolicyError> {
        match self.peek() {
            Some('"') => self.text(),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => Ok(self.word()),
            _ => Err(self.expected("a name")),
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+')) {
            word.push(c);
            self.next();
        }
        word
    }

    fn value(&mut self, depth: usize) -> Result<Value, VaultPolicyError> {
        match self.peek() {
            Some('"') => self.text().map(Value::Text),
            Some('{') => {
                self.next();
                self.items(true, depth + 1).map(Value::Object)
            }
            Some('[') => self.list(depth + 1).map(Value::List),
            Some(c) if c.is_ascii_alphanumeric() || c == '-' => {
                self.word();
                Ok(Value::Other)
            }
            _ => Err(self.expected("a value: a text in quotes, a list or `{`")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Value>, VaultPolicyError> {
        if depth > MAX_DEPTH {
            return Err(self.expected("less nesting"));
        }
        self.next();
        let mut values = Vec::new();
        loop {
            self.skip()?;
            if self.take(']') {
                return Ok(values);
            }
            values.push(self.value(depth)?);
            self.skip()?;
            if !self.take(',') && self.peek() != Some(']') {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    fn text(&mut self) -> Result<String, VaultPolicyError> {
        let unended = VaultPolicyError::Syntax { line: self.line, expected: "the end of the text, `\"`" };
        self.next();
        let mut text = String::new();
        loop {
            match self.next().ok_or_else(|| unended.clone())? {
                '"' => return Ok(text),
                '\n' => return Err(unended),
                '\\' => text.push(self.escape()?),
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, VaultPolicyError> {
        let expected = self.expected("one of `\\\"`, `\\\\`, `\\/`, `\\n`, `\\r`, `\\t` and `\\u` with four digits");
        match self.next() {
            Some(c @ ('"' | '\\' | '/')) => Ok(c),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => {
                let digits: String = (0..4).filter_map(|_| self.next()).collect();
                let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
                let code = digits.and_then(|digits| u32::from_str_radix(&digits, 16).ok());
                code.and_then(char::from_u32).ok_or(expected)
            }
            _ => Err(expected),
        }
    }
}
