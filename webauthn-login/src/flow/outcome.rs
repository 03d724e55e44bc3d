//! What a step comes to.

use super::states::AnyFlow;
use crate::passkey::Signal;
use crate::password::HashJob;
use crate::recovery::RecoveryCodes;
use crate::remembered::{DeviceToken, RememberedLogin};
use crate::session::SessionRecord;
use crate::user::UserRecord;
use crate::{Identity, Key, NextPath, Reason, Token};

/// What a step comes to: all writes go into one commit, and nothing is answered unless it succeeds.
///
/// A commit that conflicts means that somebody else was faster: the same step was taken in parallel, or the user was changed.
/// Answer as to a login that is over, or load everything again and ask again.
#[derive(Debug)]
#[must_use = "a step counts only when its writes are committed"]
pub struct Outcome {
    /// Where the login stands now.
    pub next: Next,
    /// What to store, in this order.
    pub writes: Vec<Write>,
    /// What failed, for the audit log; the person is told [`Reason::told`].
    pub refused: Option<Reason>,
    /// Whom it is about, where that is known, for the audit log.
    pub identity: Option<Identity>,
    /// Recovery codes that were made, to be shown once.
    pub recovery_codes: Option<RecoveryCodes>,
    /// What the page tells the browser's password manager.
    pub signal: Option<Signal>,
    /// The password is right and its hash is old: the job that makes it anew, to be run at leisure and given to
    /// [`UserRecord::set_rehashed`].
    pub rehash: Option<HashJob>,
}

/// Where a login stands.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each step, and it is nearly always the large one")]
pub enum Next {
    /// It goes on: store it with [`AnyFlow::store`] and show its [`AnyFlow::prompt`], or take the next step at once.
    Continue(AnyFlow),
    /// It is through.
    LoggedIn(Box<LoggedIn>),
    /// It is over.
    Over(Reason),
}

/// A login that is through.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoggedIn {
    /// The token of the session, for its cookie. Its record is among the writes.
    pub token: Token,
    /// The session.
    pub session: SessionRecord,
    /// For the cookie by which this browser's guesses are told from strangers'.
    pub device: DeviceToken,
    /// What to remember, if the user wants it so.
    pub remember: RememberedLogin,
    /// Where to go.
    pub next: NextPath,
}

/// One write of a step.
#[derive(Debug)]
#[non_exhaustive]
pub enum Write {
    /// Delete the ceremony's record, guarded by the revision that it was read at: this makes every step happen once.
    EndCeremony(Key),
    /// Delete an enrolment link's record, guarded likewise.
    EndLink(Key),
    /// Replace the user's record, guarded by the revision that it was read at. Where one commit has several, the last one counts.
    PutUser(UserRecord),
    /// Store a session, under a key at which nothing is.
    BeginSession(Box<SessionRecord>),
    /// Delete a session, if it is still there.
    EndSession(Key),
}

impl Outcome {
    pub(crate) fn new(next: Next, writes: Vec<Write>) -> Self {
        Self { next, writes, refused: None, identity: None, recovery_codes: None, signal: None, rehash: None }
    }

    pub(crate) fn refused(self, reason: Reason) -> Self {
        Self { refused: Some(reason), ..self }
    }

    pub(crate) fn about(self, identity: &Identity) -> Self {
        Self { identity: Some(identity.clone()), ..self }
    }
}
