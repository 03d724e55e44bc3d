//! Calling home: the same question, until the tower knows the host, or somebody claims it.

use std::io::Write as _;
use std::time::Duration;

use keyward_base::clock::Clock;
use keyward_base::data_dir::DataDirError;
use keyward_callhome_cert::{CALL_HOME_PATH, CallHomeAnswer, CallHomeRequest, HostHash, HostIdentity};
use keyward_config_values::config::HostId;
use keyward_keys::PrivateKey;
use keyward_svid::x509::authority::CertificateRequest;
use time::OffsetDateTime;

use crate::client::{self, Client, Failure, Later, Refusal};
use crate::config::{CallHome, Config, Until};
use crate::error::Error;
use crate::host_id;
use crate::identity::Identity;
use crate::package::Package;
use crate::retry::Backoff;
use crate::standing::Standing;
use crate::state::{Phase, State, Trouble};
use crate::state_dir::{Files, StateDir};
use crate::voice::{Voice, length, moment};

/// `edge-agent call-home`
pub(crate) async fn command(arguments: &CallHome, config: &Config) -> Result<(), Error> {
    if arguments.print_csr {
        let directory = StateDir::open(&config.state_dir)?;
        let request = client::certificate_request(&directory.call_home_key()?)?;
        return std::io::stdout().write_all(request.to_pem().as_bytes()).map_err(Error::System);
    }
    let patience = Patience::new(arguments.wait);
    let Some(directory) = follow(arguments.until, config, &patience).await? else { return Ok(()) };
    let mut host = Host::open(directory, config, Voice::Screen)?;
    if let Some(identity) = host.identity()? {
        match host.standing().await {
            Standing::Ended(refusal) => host.given_up(refusal)?,
            Standing::Holds | Standing::Unknown => {
                host.use_up_certificate()?;
                Voice::Screen.say(&already(&identity));
                return Ok(());
            }
        }
    }
    host.call_home(arguments.until, &patience, |_| ()).await
}

/// While another agent of this host is at it nobody else may, but everybody can look. Answers the directory when there is no other, and
/// nothing when the other one has done it.
async fn follow(until: Until, config: &Config, patience: &Patience) -> Result<Option<StateDir>, Error> {
    let files = Files::of(&config.state_dir);
    let mut is_told = false;
    loop {
        match StateDir::open(&config.state_dir) {
            Ok(directory) => return Ok(Some(directory)),
            Err(DataDirError::Locked { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let state = files.state()?;
        let identity = files.identity()?.filter(|identity| identity.is_valid(config.clock.now()));
        let come = match &identity {
            // The other one finds out by itself when the tower gave it up, and calls home anew.
            Some(identity) => {
                let is_over = matches!(Standing::of(&files, &config.clock).await, Standing::Ended(_));
                (!is_over).then(|| already(identity))
            }
            None => (until == Until::Registered && state.waits()).then(|| REGISTERED.to_owned()),
        };
        if let Some(line) = come {
            Voice::Screen.say(&line);
            return Ok(None);
        }
        if !std::mem::replace(&mut is_told, true) {
            Voice::Screen.say("another edge-agent of this host is calling home: waiting for it");
        }
        let why =
            || state.last_error.as_ref().map_or("nobody has claimed the host yet".to_owned(), |it| it.message.clone());
        patience.pause(Duration::from_secs(1), why).await?;
    }
}

const REGISTERED: &str = "registered: the tower knows this host, and an operator has to claim it";

/// What a host that has an identity is told.
fn already(identity: &Identity) -> String {
    format!("this host is {} already, until {}", identity.id(), moment(identity.svid().not_after()))
}

/// For how long to try.
pub(crate) struct Patience {
    wait: Option<keyward_config_values::Duration>,
    ends: Option<tokio::time::Instant>,
}

impl Patience {
    /// So long, or without end.
    pub(crate) fn new(wait: Option<keyward_config_values::Duration>) -> Self {
        let ends = wait.map(|wait| tokio::time::Instant::now() + Duration::from_secs(wait.as_secs()));
        Self { wait, ends }
    }

    async fn pause(&self, pause: Duration, why: impl FnOnce() -> String) -> Result<(), Error> {
        let until = tokio::time::Instant::now() + pause;
        match (self.ends, self.wait) {
            (Some(ends), Some(wait)) if ends <= until => {
                tokio::time::sleep_until(ends).await;
                Err(Error::GaveUp { waited: wait.to_string(), why: why() })
            }
            _ => {
                tokio::time::sleep_until(until).await;
                Ok(())
            }
        }
    }
}

/// The host, with everything that it needs to speak for itself.
pub(crate) struct Host {
    directory: StateDir,
    /// What `status` shows.
    pub(crate) state: State,
    pub(crate) clock: Clock,
    pub(crate) voice: Voice,
    package: Option<Package>,
    host_id: HostId,
    key: PrivateKey,
    csr: CertificateRequest,
}

impl Host {
    /// Opens what there is of it, and makes its key where there is none.
    pub(crate) fn open(directory: StateDir, config: &Config, voice: Voice) -> Result<Self, Error> {
        let mut package = directory.package(config.tower.as_ref())?;
        let state = directory.files().state()?;
        if let (true, Some(tower)) = (config.clock_is_moved, package.as_ref().map(|package| &package.tower))
            && !client::is_loopback(tower)
        {
            return Err(Error::usage(
                format!("--test-clock is refused with the tower `{tower}`"),
                "only a tower on this machine may be tried with a clock that can be moved",
            ));
        }
        if let Some(package) = &mut package
            && state.is_registered()
            && state.used_up.is_some()
            && state.used_up == package.fingerprint()
        {
            // Killed between the state and the removal.
            package.use_up()?;
        }
        let host_id = directory.host_id(config.host_id.as_ref(), host_id::of_this_machine)?;
        let key = directory.key()?;
        let csr = client::certificate_request(&key)?;
        let clock = config.clock.clone();
        Ok(Self { directory, state, clock, voice, package, host_id, key, csr })
    }

    /// The identity, unless there is none or it has expired.
    pub(crate) fn identity(&mut self) -> Result<Option<Identity>, Error> {
        let now = self.clock.now();
        let Some(identity) = self.directory.files().identity()? else { return Ok(None) };
        if identity.is_valid(now) {
            if self.state.phase != Phase::Claimed {
                // Killed between the identity and the state.
                self.state.enter(Phase::Claimed, now);
                self.state.host = Some(HostHash::of(&self.host_id).to_string());
                self.record()?;
            }
            return Ok(Some(identity));
        }
        let until = moment(identity.svid().not_after());
        self.voice.warn(&format!("the identity of this host expired at {until}: calling home again"));
        self.lose_identity(
            Phase::Expired,
            Trouble { at: now, code: None, message: format!("the identity expired at {until}") },
        )?;
        Ok(None)
    }

    /// Whether the tower still holds to the identity.
    pub(crate) async fn standing(&self) -> Standing {
        Standing::by(self.api()).await
    }

    /// Stops using an identity that the tower gave up. A host that was released may call home again, with what an install script has
    /// brought since; one that was removed may not.
    pub(crate) fn given_up(&mut self, refusal: Refusal) -> Result<(), Error> {
        self.voice.warn(&format!("the tower refuses the identity of this host, which stops using it: {refusal}"));
        let (at, code) = (self.clock.now(), refusal.code().map(str::to_owned));
        let phase = if refusal.is_removal() { Phase::Removed } else { Phase::Refused };
        self.lose_identity(phase, Trouble { at, code, message: refusal.to_string() })?;
        if refusal.is_removal() {
            return Err(Error::Refused(Box::new(refusal)));
        }
        self.package = self.directory.package(None)?;
        Ok(())
    }

    /// Where the files of this host are.
    pub(crate) fn files(&self) -> &Files {
        self.directory.files()
    }

    /// Stops using the identity.
    pub(crate) fn lose_identity(&mut self, phase: Phase, trouble: Trouble) -> Result<(), Error> {
        self.directory.forget_identity()?;
        self.state.enter(phase, trouble.at);
        (self.state.renew_at, self.state.last_error) = (None, Some(trouble));
        self.record()
    }

    /// Keeps the state.
    pub(crate) fn record(&self) -> Result<(), Error> {
        self.directory.record(&self.state)
    }

    /// The tower's API, for a host with an identity.
    pub(crate) fn api(&self) -> Result<Client, Error> {
        self.directory.files().way(None, &self.clock)
    }

    /// Takes the answer to a renewal; the inner error says why it is none.
    pub(crate) fn renewed(&mut self, claimed: &HostIdentity, now: OffsetDateTime) -> Result<Result<(), String>, Error> {
        match Identity::received(claimed, &self.key, now) {
            Ok(identity) => {
                self.receive(&identity, claimed, now)?;
                self.voice.say(&format!("renewed: {} until {}", identity.id(), moment(identity.svid().not_after())));
                Ok(Ok(()))
            }
            Err(problem) => Ok(Err(format!("the tower answered no identity: {problem}"))),
        }
    }

    /// The request for a certificate, the same each time.
    pub(crate) fn csr(&self) -> &CertificateRequest {
        &self.csr
    }

    fn package(&self) -> Result<&Package, Error> {
        self.package.as_ref().ok_or_else(|| {
            Error::usage(
                format!("there is no call-home package in `{}`", self.directory.files().directory().display()),
                "run the install script of the tower, or name the tower with --tower-url and --ca",
            )
        })
    }

    /// Calls home until it has come as far as that. `tell` is told how it goes.
    pub(crate) async fn call_home(
        &mut self,
        until: Until,
        patience: &Patience,
        tell: impl Fn(&str),
    ) -> Result<(), Error> {
        let begun = self.clock.now();
        let client = self.call_home_client()?;
        let host = HostHash::of(&self.host_id).to_string();
        if self.state.phase != Phase::Unclaimed {
            self.state.enter(Phase::Calling, begun);
            self.state.host = Some(host.clone());
            self.record()?;
        }
        self.voice.say(&format!("calling home to {} (this host is {host} there)", client.tower()));
        let mut request = CallHomeRequest::new(self.host_id.clone(), &self.csr);
        request.host_name = host_id::name();
        request.agent_version = env!("CARGO_PKG_VERSION").parse().ok();
        let mut backoff = Backoff::default();
        let mut said_unclaimed = None;
        loop {
            let answer = client.ask(CALL_HOME_PATH, &request).await;
            let now = self.clock.now();
            let (pause, why) = match answer {
                Ok(CallHomeAnswer::Claimed(claimed)) => match Identity::received(&claimed, &self.key, now) {
                    Ok(identity) => {
                        self.receive(&identity, &claimed, now)?;
                        let until = moment(identity.svid().not_after());
                        let line =
                            format!("claimed to site {}: this host is {} until {until}", claimed.site, identity.id());
                        self.voice.say(&line);
                        tell(&line);
                        return Ok(());
                    }
                    Err(problem) => self.failed(
                        Later { why: format!("{} answered no identity: {problem}", client.tower()), asked: None },
                        &mut backoff,
                        now,
                    ),
                },
                Ok(CallHomeAnswer::Unclaimed(waiting)) => {
                    self.state.heard(now);
                    self.state.enter(Phase::Unclaimed, now);
                    self.note_certificate();
                    self.record()?;
                    self.use_up_certificate()?;
                    if until == Until::Registered {
                        self.voice.say(REGISTERED);
                        return Ok(());
                    }
                    let since = self.state.since.unwrap_or(now);
                    let why = format!("nobody has claimed this host yet, since {}", moment(since));
                    let asked = Duration::from_secs(waiting.retry_after);
                    let pause = backoff.after_answer(Some(asked), &mut rand::rng());
                    // Each minute is often enough to read.
                    if said_unclaimed.is_none_or(|said| now - said >= time::Duration::MINUTE) {
                        said_unclaimed = Some(now);
                        let (waited, next) = (length(now - since), shown(pause));
                        self.voice.say(&format!("{why} ({waited}); next try in {next}"));
                    }
                    (pause, why)
                }
                Ok(_) => {
                    let why = format!("{} answered what only a newer agent understands", client.tower());
                    self.failed(Later { why, asked: None }, &mut backoff, now)
                }
                Err(Failure::Later(later)) => self.failed(later, &mut backoff, now),
                Err(Failure::Refused(refusal)) => {
                    self.refused(&refusal, now)?;
                    return Err(Error::Refused(Box::new(refusal)));
                }
            };
            tell(&why);
            self.state.next_try = now.checked_add(time::Duration::try_from(pause).unwrap_or_default());
            self.record()?;
            patience.pause(pause, || why).await?;
        }
    }

    fn failed(&mut self, later: Later, backoff: &mut Backoff, now: OffsetDateTime) -> (Duration, String) {
        let pause = backoff.after_failure(later.asked, &mut rand::rng());
        self.voice.warn(&format!("{}; next try in {}", later.why, shown(pause)));
        self.state.last_error = Some(Trouble { at: now, code: None, message: later.why.clone() });
        (pause, later.why)
    }

    /// Keeps what the tower gave: the identity first, which is what counts.
    pub(crate) fn receive(
        &mut self,
        identity: &Identity,
        claimed: &HostIdentity,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        self.directory.keep(identity, claimed.tower_ca.as_deref())?;
        self.state.heard(now);
        self.state.enter(Phase::Claimed, now);
        self.state.site = Some(claimed.site.clone());
        self.state.renew_at = Some(claimed.renew_at);
        self.state.tower_url = Some(claimed.tower_url.clone());
        self.note_certificate();
        self.record()?;
        self.use_up_certificate()
    }

    /// Which certificate is used up by now: a restart has to know it from one that an operator issued later.
    fn note_certificate(&mut self) {
        if let Some(fingerprint) = self.package.as_ref().and_then(Package::fingerprint) {
            self.state.used_up = Some(fingerprint);
        }
    }

    /// The key that this host was given to call home is of no use any more; nobody else shall find it.
    pub(crate) fn use_up_certificate(&mut self) -> Result<(), Error> {
        let Some(package) = &mut self.package else { return Ok(()) };
        Ok(package.use_up()?)
    }

    fn refused(&mut self, refusal: &Refusal, now: OffsetDateTime) -> Result<(), Error> {
        self.state.heard(now);
        self.state.enter(if refusal.is_removal() { Phase::Removed } else { Phase::Refused }, now);
        self.state.last_error =
            Some(Trouble { at: now, code: refusal.code().map(str::to_owned), message: refusal.to_string() });
        self.record()?;
        if refusal.ends_certificate() && self.package.as_ref().is_some_and(|package| package.certificate.is_some()) {
            self.use_up_certificate()?;
            self.voice.warn("the tower refuses the call-home certificate for good: it was removed, with its key");
        }
        Ok(())
    }

    fn call_home_client(&self) -> Result<Client, Error> {
        let package = self.package()?;
        let shown = package.certificate.as_ref().map(|certificate| (certificate.chain.clone(), certificate.key()));
        Client::new(&package.tower, &package.ca, shown)
    }
}

/// A pause in whole seconds; none is shorter than one to a reader.
fn shown(pause: Duration) -> String {
    length(time::Duration::seconds(pause.as_secs().max(1).cast_signed()))
}
