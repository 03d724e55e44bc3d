//! `supctl bulk -f FILE`

use super::Context;
use crate::body;
use crate::cli::Bulk;
use crate::client::{Content, Payload, Source};
use crate::error::Error;
use crate::output::Effects;
use crate::path::Target;

/// Sends the file as it is; its lines stay what the tower's errors speak of.
pub(super) fn bulk(context: &Context<'_>, args: &Bulk) -> Result<(), Error> {
    let text = body::text(&args.file)?;
    let target = Target::fixed("/v1/bulk").validate(args.validate).force(args.force);
    let payload = Payload::Yaml(text.clone().into_bytes());
    let answer = context.client()?.post(&target, payload).map_err(|error| with_source(error, args, text))?;
    match (Effects::of(&answer), &answer.content) {
        (Some(effects), Content::Json(body)) => context.screen.effects(&effects, body, args.validate),
        _ => context.screen.answer(&answer),
    }
}

fn with_source(mut error: Error, args: &Bulk, text: String) -> Error {
    if let Error::Refused(refusal) = &mut error {
        let name =
            if body::is_stdin(&args.file) { "standard input".to_owned() } else { args.file.display().to_string() };
        refusal.source = Some(Source { name, text });
    }
    error
}
