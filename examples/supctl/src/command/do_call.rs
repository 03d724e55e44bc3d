//! `supctl do PATH [k=v…]`

use super::Context;
use crate::body::{self, Field};
use crate::cli::{Do, Format};
use crate::client::{Content, Payload};
use crate::error::Error;
use crate::path::Target;
use crate::value::Value;

/// The account of a cloud is a text of twelve digits, which the command line would take for a number.
const TEXTS: [(&str, &str); 1] = [("/v1/state/strongbox/aws-trust-policy", "account")];

/// Calls an operation and shows what comes back.
pub(super) fn call(context: &Context<'_>, args: &Do) -> Result<(), Error> {
    let target = Target::to_call(&args.path)?;
    let answer = if args.get {
        let mut target = target;
        for text in &args.body.fields {
            let (key, value) = Field::parse(text)?.into_query()?;
            target = target.with_query(&key, &value);
        }
        context.client()?.get(&target)?
    } else {
        let mut object = body::read(&args.body)?.unwrap_or_default();
        for (path, field) in TEXTS {
            if let Some(Value::Number(number)) = object.get(field).filter(|_| target.as_str() == path) {
                let text = number.to_string();
                object.set(field, Value::String(text));
            }
        }
        context.client()?.post(&target, Payload::Json(&Value::Object(object)))?
    };
    // For a person an answer without a word is none.
    let is_shown = context.screen.format() != Format::Table && answer.content != Content::Empty;
    if answer.content.says_nothing() && !is_shown {
        context.screen.note(&format!("done: {}", args.path));
        return Ok(());
    }
    context.screen.answer(&answer)?;
    if let Some(digest) = &answer.script_digest {
        context.screen.note(&format!("SHA-256 of the script: {digest}"));
    }
    Ok(())
}
