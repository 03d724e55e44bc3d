//! Reads YAML (1.2.2, core schema) into JSON values that know their lines.
//!
//! Aliases are followed within a budget. Tags that change a type, merge keys and directives of
//! foreign versions have no meaning in a document and are refused with what to write instead.

pub(crate) mod scalar;
mod syntax;

use crate::error::{Error, Place, Reason};
use crate::limits::{Budget, MAX_DEPTH, MAX_DOCUMENTS, Size, check_depth};
use crate::marks::{Inside, Mark, Marks};
use crate::text::excerpt;
use crate::{Field, Path};
use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashMap;

/// One document of a text: its fields, and where they stand.
#[derive(Debug)]
pub(crate) struct Located {
    /// Its number in the text, counted from 1; empty documents count.
    pub(crate) number: usize,
    pub(crate) fields: Map<String, Value>,
    pub(crate) marks: Marks,
}

/// All documents of a text that are not empty.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Located>, Error> {
    let text = crate::utf8::check(bytes)?;
    let options = granit_parser::options! {
        // A little more than we read, so that the refusal is ours where it can be.
        flow_nesting_limit: MAX_DEPTH + 2,
        block_nesting_limit: MAX_DEPTH + 2,
    };
    let mut reader = Reader {
        parser: Parser::new_from_str_with_options(text, options),
        budget: Budget::default(),
        started: 0,
        open: false,
        stack: Vec::new(),
        anchors: HashMap::new(),
        root: None,
    };
    reader.documents()
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    budget: Budget,
    /// How many documents began.
    started: usize,
    /// Whether one is being read.
    open: bool,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Node, Size)>,
    root: Option<Node>,
}

/// A list or a block of fields that is not complete yet.
struct Frame {
    at: Mark,
    anchor: usize,
    size: Size,
    content: Content,
}

enum Content {
    Items(Vec<Value>, Vec<Marks>),
    Fields { fields: Map<String, Value>, marks: Vec<(String, Marks)>, name: Option<(String, Mark)> },
}

#[derive(Debug, Clone)]
struct Node {
    value: Value,
    marks: Marks,
}

type Failure = (Mark, Reason);

impl<'t> Reader<'t> {
    fn documents(&mut self) -> Result<Vec<Located>, Error> {
        let mut documents = Vec::new();
        while let Some(event) = self.parser.next_event() {
            let (event, span) = event.map_err(|error| self.scan_error(&error))?;
            let at = mark(span.start);
            if let Event::DocumentEnd = event {
                documents.extend(self.finish()?);
            } else {
                self.event(event, at).map_err(|failure| self.error(failure))?;
            }
        }
        Ok(documents)
    }

    /// The document that ends here; none, if it is empty.
    fn finish(&mut self) -> Result<Option<Located>, Error> {
        let located = match self.root.take() {
            Some(Node { value: Value::Object(fields), marks }) => Some(Located { number: self.started, fields, marks }),
            None | Some(Node { value: Value::Null, .. }) => None,
            Some(Node { marks, .. }) => {
                let reason = Reason::Unsupported {
                    found: "a document is fields with values",
                    remedy: "write lines such as `name: payments`",
                };
                return Err(self.error((marks.at, reason)));
            }
        };
        self.open = false;
        Ok(located)
    }

    fn event(&mut self, event: Event<'t>, at: Mark) -> Result<(), Failure> {
        let fail = |reason: Reason| (at, reason);
        match event {
            Event::DocumentStart(..) => {
                self.started += 1;
                self.open = true;
                self.anchors.clear();
                self.stack.clear();
                if self.started > MAX_DOCUMENTS {
                    return Err(fail(Reason::TooLarge { what: "documents", limit: MAX_DOCUMENTS }));
                }
            }
            Event::SequenceStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), "seq").map_err(fail)?;
                self.begin(at, anchor, Content::Items(Vec::new(), Vec::new())).map_err(fail)?;
            }
            Event::MappingStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), "map").map_err(fail)?;
                let content = Content::Fields { fields: Map::new(), marks: Vec::new(), name: None };
                self.begin(at, anchor, content).map_err(fail)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end().map_err(fail)?,
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(text, style, anchor, tag.as_deref(), at)?;
            }
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(fail(Reason::Unsupported {
                        found: "an alias inside what it names",
                        remedy: "write the value out",
                    }));
                };
                if self.expects_name() {
                    return Err(fail(Reason::Unsupported {
                        found: "an alias as the name of a field",
                        remedy: "write the name out",
                    }));
                }
                self.budget.take(size).map_err(fail)?;
                check_depth(self.stack.len() + depth(&node.value)).map_err(fail)?;
                // What it repeats stands where the alias does.
                self.place(Node { value: node.value, marks: Marks { at, ..node.marks } }, size, 0).map_err(fail)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Opens a list or a block of fields.
    fn begin(&mut self, at: Mark, anchor: usize, content: Content) -> Result<(), Reason> {
        if self.expects_name() {
            return Err(Reason::Unsupported {
                found: "a list or fields where the name of a field belongs",
                remedy: "write a word as name; a value that begins with `{` or `[` goes in quotes",
            });
        }
        check_depth(self.stack.len() + 1)?;
        let size = Size::of(0);
        self.budget.take(size)?;
        self.stack.push(Frame { at, anchor, size, content });
        Ok(())
    }

    /// Completes the innermost list or block of fields.
    fn end(&mut self) -> Result<(), Reason> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let node = match frame.content {
            Content::Items(items, marks) => {
                Node { value: Value::Array(items), marks: Marks { at: frame.at, inside: Inside::Items(marks) } }
            }
            Content::Fields { fields, marks, .. } => {
                Node { value: Value::Object(fields), marks: Marks { at: frame.at, inside: Inside::Fields(marks) } }
            }
        };
        self.place(node, frame.size, frame.anchor)
    }

    fn scalar(
        &mut self,
        text: Cow<'t, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        at: Mark,
    ) -> Result<(), Failure> {
        let fail = |reason: Reason| (at, reason);
        let size = Size::of(text.len());
        self.budget.take(size).map_err(fail)?;
        let plain = matches!(style, ScalarStyle::Plain);
        if self.expects_name() {
            let name = scalar::name(text, plain, tag).map_err(fail)?;
            return self.name(name, at);
        }
        let value = if is_text_tag(tag) {
            Value::String(text.into_owned())
        } else {
            check_tag(tag, "").map_err(fail)?;
            if plain { scalar::plain(text).map_err(fail)? } else { Value::String(text.into_owned()) }
        };
        self.place(Node { value, marks: Marks { at, inside: Inside::Nothing } }, size, anchor).map_err(fail)
    }

    /// Whether the next thing is the name of a field.
    fn expects_name(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { content: Content::Fields { name: None, .. }, .. }))
    }

    fn name(&mut self, text: String, at: Mark) -> Result<(), Failure> {
        if let Some(Frame { content: Content::Fields { fields, marks, name }, size, .. }) = self.stack.last_mut() {
            if fields.contains_key(&text) {
                let first_line = marks.iter().find(|(field, _)| *field == text).map(|(_, marks)| marks.at.line);
                *name = Some((text, at));
                return Err((at, Reason::Duplicate { first_line }));
            }
            size.bytes = size.bytes.saturating_add(text.len());
            *name = Some((text, at));
        }
        Ok(())
    }

    /// Puts a complete value where it belongs, and keeps it if an alias may name it.
    fn place(&mut self, mut node: Node, size: Size, anchor: usize) -> Result<(), Reason> {
        if anchor != 0 {
            // A copy is kept: it counts too.
            self.budget.take(size)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.size.add(size);
        match &mut frame.content {
            Content::Items(items, marks) => {
                items.push(node.value);
                marks.push(node.marks);
            }
            Content::Fields { fields, marks, name } => {
                if let Some((name, at)) = name.take() {
                    node.marks.at = at;
                    marks.push((name.clone(), node.marks));
                    fields.insert(name, node.value);
                }
            }
        }
        Ok(())
    }

    /// The document that a failure belongs to.
    fn number(&self) -> usize {
        if self.open { self.started } else { self.started + 1 }
    }

    /// The field that is being read.
    fn field(&self) -> Field {
        let mut field = Field::root();
        for frame in &self.stack {
            match &frame.content {
                Content::Items(items, _) => field = field.index(items.len()),
                Content::Fields { name: Some((name, _)), .. } => field = field.key(name.as_str()),
                Content::Fields { name: None, .. } => break,
            }
        }
        field
    }

    /// The path that the document says it has, as far as it was read.
    fn path(&self) -> Option<String> {
        match self.stack.first() {
            Some(Frame { content: Content::Fields { fields, .. }, .. }) if self.open => {
                let text = fields.get("x-path").and_then(Value::as_str)?;
                Some(text.parse().map_or_else(|_| excerpt(text), |path: Path| path.to_string()))
            }
            _ => None,
        }
    }

    fn error(&self, (at, reason): Failure) -> Error {
        let place = Place {
            document: Some(self.number()),
            line: Some(at.line),
            column: Some(at.column),
            path: self.path(),
            field: self.field(),
        };
        Error::new(place, reason)
    }

    fn scan_error(&self, error: &ScanError) -> Error {
        if let granit_parser::ErrorKind::RecursionLimitExceeded = error.kind() {
            let reason = Reason::TooLarge { what: "levels of nesting", limit: MAX_DEPTH };
            return self.error((mark(*error.marker()), reason));
        }
        let message = format!("not valid YAML: {}", error.info());
        let place = Place {
            document: Some(self.number()),
            line: Some(error.marker().line()),
            column: Some(error.marker().col() + 1),
            path: self.path(),
            field: self.field(),
        };
        Error::new(place, Reason::Syntax { message, remedy: syntax::remedy(error.kind()) })
    }
}

fn mark(marker: Marker) -> Mark {
    Mark { line: marker.line().max(1), column: marker.col() + 1 }
}

/// `!!str`: the scalar is text, whatever it looks like.
fn is_text_tag(tag: Option<&Tag>) -> bool {
    tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"))
}

fn check_tag(tag: Option<&Tag>, natural: &str) -> Result<(), Reason> {
    match tag {
        None => Ok(()),
        Some(tag) if !natural.is_empty() && tag.is_yaml_core_schema_tag(natural) => Ok(()),
        Some(_) => Err(Reason::Unsupported { found: "a YAML tag", remedy: "remove it" }),
    }
}

/// How many levels a value has; a text or number has none.
fn depth(value: &Value) -> usize {
    // Bounded: what was read is at most `MAX_DEPTH` deep.
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
