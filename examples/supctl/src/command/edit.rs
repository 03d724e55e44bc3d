//! `supctl create|replace|merge|delete PATH`

use reqwest::Method;

use super::Context;
use crate::body;
use crate::cli::{Delete, Edit, Format};
use crate::client::{Answer, Content, Payload};
use crate::error::Error;
use crate::path::{DocumentPath, Target};
use crate::value::{Object, Value};

/// POST on the collection, the body named as the path says.
pub(super) fn create(context: &Context<'_>, args: &Edit) -> Result<(), Error> {
    let path = DocumentPath::parse(&args.path)?;
    let (collection, field, name) = path.in_collection()?;
    let mut object = body::read(&args.body)?.unwrap_or_default();
    match object.get(field) {
        None => object.put_first(field, Value::from(name)),
        Some(Value::String(given)) if given == name => {}
        Some(given) => {
            let given = serde_json::to_string(given).unwrap_or_default();
            return Err(Error::usage(
                format!("the path ends in `{name}`, and the body says {field}: {given}"),
                format!("make them equal, or leave `{field}` out of the body"),
            ));
        }
    }
    let edit = Request { method: Method::POST, target: collection, if_match: args.if_match.as_deref() };
    edit.run(context, &path, Some(object), args.validate, "created")
}

/// PUT
pub(super) fn replace(context: &Context<'_>, args: &Edit) -> Result<(), Error> {
    edit(context, args, Method::PUT, "replaced")
}

/// PATCH
pub(super) fn merge(context: &Context<'_>, args: &Edit) -> Result<(), Error> {
    edit(context, args, Method::PATCH, "merged")
}

/// DELETE
pub(super) fn delete(context: &Context<'_>, args: &Delete) -> Result<(), Error> {
    let path = DocumentPath::parse(&args.path)?;
    let request = Request { method: Method::DELETE, target: path.target(), if_match: args.if_match.as_deref() };
    request.run(context, &path, None, args.validate, "deleted")
}

fn edit(context: &Context<'_>, args: &Edit, method: Method, effect: &'static str) -> Result<(), Error> {
    let path = DocumentPath::parse(&args.path)?;
    let object = body::read(&args.body)?.ok_or_else(|| {
        Error::usage("there is no body", format!("give it as `-f FILE`, `-f -`, or as fields: {path} name=value"))
    })?;
    let request = Request { method, target: path.target(), if_match: args.if_match.as_deref() };
    request.run(context, &path, Some(object), args.validate, effect)
}

struct Request<'a> {
    method: Method,
    target: Target,
    if_match: Option<&'a str>,
}

impl Request<'_> {
    fn run(
        self,
        context: &Context<'_>,
        path: &DocumentPath,
        object: Option<Object>,
        validate: bool,
        effect: &'static str,
    ) -> Result<(), Error> {
        let body = object.map(Value::Object);
        let payload = body.as_ref().map_or(Payload::None, Payload::Json);
        let answer = context.client()?.send(self.method, &self.target.validate(validate), payload, self.if_match)?;
        if validate {
            context.screen.answer(&answer)?;
            context.screen.note("valid: nothing was stored");
            return Ok(());
        }
        done(context, path, &answer, effect)
    }
}

/// A line for people; for programs what the tower said, or the same line as data when it said nothing.
fn done(context: &Context<'_>, path: &DocumentPath, answer: &Answer, effect: &str) -> Result<(), Error> {
    let said = answer.content.as_json().and_then(Value::as_object).and_then(|body| body.text("effect"));
    let effect = said.unwrap_or(if answer.status == 201 { "created" } else { effect });
    if context.screen.format() != Format::Table && answer.content != Content::Empty {
        return context.screen.answer(answer);
    }
    if let Some(body) = answer.content.as_json() {
        context.screen.warnings(body);
    }
    let path = path.to_string();
    if context.screen.format() == Format::Table {
        let line = if effect == "unchanged" { format!("nothing changed  {path}") } else { format!("{effect}  {path}") };
        return context.screen.data(&crate::output::plain(&line));
    }
    let done = [("path", Value::from(path.as_str())), ("effect", Value::from(effect))];
    context.screen.value(&Value::Object(done.into_iter().collect()))
}
