//! `supctl create|replace|merge|delete PATH`

use reqwest::Method;

use super::Context;
use crate::body;
use crate::cli::{Delete, Edit, Format};
use crate::client::{Answer, Content, Payload};
use crate::error::Error;
use crate::output::{Effects, plain};
use crate::path::{Creation, DocumentPath, Target};
use crate::value::{Object, Value};

/// POST on the collection, the body named as the path says.
pub(super) fn create(context: &Context<'_>, args: &Edit) -> Result<(), Error> {
    let path = DocumentPath::parse(&args.path)?;
    let Creation { target, name } = path.to_create()?;
    let mut object = body::read(&args.body)?.unwrap_or_default();
    if let Some((field, name)) = name {
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
    }
    let edit = Request { method: Method::POST, target, if_match: args.if_match.as_deref() };
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
    let target = path.target().force(args.force);
    let request = Request { method: Method::DELETE, target, if_match: args.if_match.as_deref() };
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
        match (Effects::of(&answer), &answer.content) {
            (Some(effects), Content::Json(body)) if validate => context.screen.effects(&effects, body, true),
            (_, _) if validate => {
                context.screen.answer(&answer)?;
                context.screen.note("valid: nothing was stored");
                Ok(())
            }
            (effects, _) => done(context, path, &answer, effects.as_ref(), effect),
        }
    }
}

/// A line for people; for programs what the tower said, or the same line as data when it said nothing.
fn done(
    context: &Context<'_>,
    path: &DocumentPath,
    answer: &Answer,
    effects: Option<&Effects>,
    otherwise: &str,
) -> Result<(), Error> {
    let screen = context.screen;
    if screen.format() != Format::Table && answer.content != Content::Empty {
        return screen.answer(answer);
    }
    for warning in effects.map(|effects| effects.warnings.as_slice()).unwrap_or_default() {
        screen.warning(warning);
    }
    let by_status = if answer.status == 201 { "created" } else { otherwise };
    let effect = effects.and_then(Effects::only).unwrap_or(by_status);
    let path = path.to_string();
    if screen.format() == Format::Table {
        let line = if effect == "unchanged" { format!("nothing changed  {path}") } else { format!("{effect}  {path}") };
        return screen.data(&plain(&line));
    }
    let done = [("path", Value::from(path.as_str())), ("effect", Value::from(effect))];
    screen.value(&Value::Object(done.into_iter().collect()))
}
