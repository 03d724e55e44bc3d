//! One file per noun of the command line; each makes one request and shows what came back.

mod bulk;
mod completions;
mod do_call;
mod edit;
mod login;
mod show;
mod unseal;

use crate::cli::{Cli, Command};
use crate::client::Client;
use crate::environment::Environment;
use crate::error::Error;
use crate::output::Screen;
use crate::secret::Secret;
use crate::session::{Session, SessionFile};
use crate::tower::{Ca, TowerUrl};

/// Does what the command line says.
pub(crate) fn run(cli: Cli, environment: &Environment, screen: &Screen) -> Result<(), Error> {
    let Cli { tower, ca, output: _, command } = cli;
    let context = Context { tower, ca, environment, screen };
    match command {
        Command::Login(args) => login::login(&context, args),
        Command::Logout => login::logout(&context),
        Command::Show(args) => show::show(&context, &args),
        Command::Create(args) => edit::create(&context, &args),
        Command::Replace(args) => edit::replace(&context, &args),
        Command::Merge(args) => edit::merge(&context, &args),
        Command::Delete(args) => edit::delete(&context, &args),
        Command::Bulk(args) => bulk::bulk(&context, &args),
        Command::Do(args) => do_call::call(&context, &args),
        Command::Unseal(args) => unseal::unseal(&context, &args),
        Command::Completions(args) => completions::print(screen, args.shell),
    }
}

/// What every command stands on.
struct Context<'a> {
    tower: Option<String>,
    ca: Option<String>,
    environment: &'a Environment,
    screen: &'a Screen,
}

impl Context<'_> {
    /// The saved login.
    fn session(&self) -> Result<Option<Session>, Error> {
        // Without a configuration directory there is no saved login either, and a token may be in the environment.
        match &self.environment.config_dir {
            Some(_) => SessionFile::of(self.environment)?.load(),
            None => Ok(None),
        }
    }

    /// The tower and the CA: from the flags, else from the saved login, else the default.
    fn place(&self, session: Option<&Session>) -> Result<(TowerUrl, Option<Ca>), Error> {
        let tower = match (&self.tower, session) {
            (Some(text), _) => TowerUrl::parse(text)?,
            (None, Some(session)) => session.tower.clone(),
            (None, None) => TowerUrl::parse(TowerUrl::DEFAULT)?,
        };
        let saved = session.filter(|session| session.tower == tower).and_then(|session| session.ca.clone());
        let ca = self.ca.as_deref().map(Ca::from_text).or(saved);
        Ok((tower, ca))
    }

    /// A client with the token of the environment, else of the saved login; a saved token goes to its own tower only.
    fn client(&self) -> Result<Client, Error> {
        let session = self.session()?;
        let (tower, ca) = self.place(session.as_ref())?;
        let token = match &self.environment.token {
            Some(token) => Some(Secret::new(token.expose().to_owned())),
            None => session.filter(|session| session.tower == tower).and_then(|session| session.token),
        };
        Client::new(tower, ca.as_ref(), token)
    }
}
