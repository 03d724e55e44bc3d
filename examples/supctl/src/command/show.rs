//! `supctl show PATH`

use super::Context;
use crate::cli::Show;
use crate::error::Error;
use crate::path::Target;

/// Reads configuration or state.
pub(super) fn show(context: &Context<'_>, args: &Show) -> Result<(), Error> {
    let target = Target::to_show(&args.path)?;
    let answer = context.client()?.get(&target)?;
    context.screen.answer(&answer)?;
    if let Some(revision) = answer.revision.as_deref().filter(|_| args.revision) {
        context.screen.note(&format!("revision: {revision}"));
    }
    Ok(())
}
