//! The login as a machine: each step consumes the one before, and says what to store and what comes next.

mod advance;
mod begin;
mod enrol;
mod external;
mod outcome;
mod passkey;
mod password;
mod prompt;
mod record;
mod second;
mod states;

pub use self::begin::{Audience, Start, Typed};
pub use self::external::Exchange;
pub use self::outcome::{LoggedIn, Next, Outcome, Write};
pub use self::password::{NewPasswordAttempt, PasswordAttempt};
pub use self::prompt::Prompt;
pub use self::record::CeremonyRecord;
pub use self::states::{
    AnyFlow, AtProvider, Begun, Choosing, EnrollingPasskey, EnrollingTotp, Flow, Identified, Ready, Second,
    SettingPassword,
};

pub(crate) use self::begin::matches;
