//! The service: an identity is called for, and kept renewed, until somebody says that it is over.

use std::time::Duration;

use keyward_base::data_dir::DataDirError;
use keyward_callhome_cert::{CallHomeAnswer, RENEW_PATH, RenewRequest};
use time::OffsetDateTime;
use tokio::signal::unix::{SignalKind, signal};

use crate::call_home::{Host, Patience};
use crate::client::{Failure, Later};
use crate::config::{Config, Until};
use crate::error::Error;
use crate::identity::Identity;
use crate::notify::Notify;
use crate::retry::{Backoff, renewal};
use crate::standing::{self, Standing};
use crate::state::Trouble;
use crate::state_dir::StateDir;
use crate::voice::{Voice, length, moment};

/// How often the clock is looked at: it may be set, and the machine may sleep.
const TICK: Duration = Duration::from_secs(1);

/// `edge-agent run`
pub(crate) async fn command(config: &Config) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::System)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::System)?;
    let notify = Notify::new(&config.notify);
    notify.ready();
    // What is written is written between two waits, and whole: whatever waits may be dropped.
    let ended = tokio::select! {
        ended = live(config, &notify) => ended,
        () = notify.live() => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    notify.stopping();
    if ended.is_ok() {
        tracing::info!("stopped");
    }
    ended
}

/// Ends when the tower refuses the host for good.
async fn live(config: &Config, notify: &Notify) -> Result<(), Error> {
    let directory = take_over(config, notify).await?;
    let mut host = Host::open(directory, config, Voice::Log)?;
    // What was found may be from long ago.
    let mut ask = host.clock.now();
    loop {
        match host.identity()? {
            None => host.call_home(Until::Claimed, &Patience::new(None), |line| notify.status(line)).await?,
            Some(identity) => keep(&mut host, &identity, ask, notify).await?,
        }
        ask = later(host.clock.now(), standing::pause(&mut rand::rng()));
    }
}

/// The state directory, when whoever calls home by hand has done so.
async fn take_over(config: &Config, notify: &Notify) -> Result<StateDir, Error> {
    let mut is_told = false;
    loop {
        match StateDir::open(&config.state_dir) {
            Err(error @ DataDirError::Locked { .. }) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!("{error}: waiting for it");
                    notify.status(&error.to_string());
                }
                tokio::time::sleep(TICK).await;
            }
            result => return Ok(result?),
        }
    }
}

/// Waits until an identity is to be renewed, and renews it; comes back when there is another one, or none. From `ask` on, and when an
/// install script was run, the tower is asked whether it holds.
async fn keep(host: &mut Host, identity: &Identity, mut ask: OffsetDateTime, notify: &Notify) -> Result<(), Error> {
    let expires = identity.svid().not_after();
    let mut next = renewal(host.state.renew_at, host.clock.now(), expires, &mut rand::rng());
    let mut backoff = Backoff::default();
    loop {
        host.state.next_try = Some(next);
        host.record()?;
        let line = format!("{} until {}, to be renewed at {}", identity.id(), moment(expires), moment(next));
        tracing::info!("{line}");
        notify.status(&line);
        while host.clock.now() < next.min(expires) {
            let now = host.clock.now();
            if now >= ask || standing::is_prepared(host.files()) {
                match host.standing().await {
                    Standing::Ended(refusal) => return host.given_up(refusal),
                    Standing::Holds => host.state.last_contact = Some(now),
                    Standing::Unknown => {}
                }
                host.use_up_certificate()?;
                host.record()?;
                ask = later(now, standing::pause(&mut rand::rng()));
            }
            tokio::time::sleep(TICK).await;
        }
        if !identity.is_valid(host.clock.now()) {
            return Ok(());
        }
        let answer = match host.api() {
            Ok(tower) => tower.ask(RENEW_PATH, &RenewRequest::new(host.csr())).await,
            Err(error) => Err(Failure::Later(Later { why: error.to_string(), asked: None })),
        };
        let now = host.clock.now();
        let problem = match answer {
            Ok(CallHomeAnswer::Claimed(claimed)) => match host.renewed(&claimed, now)? {
                Ok(()) => return Ok(()),
                Err(why) => Later { why, asked: None },
            },
            Ok(_) => Later { why: "the tower answered no identity".to_owned(), asked: None },
            Err(Failure::Later(problem)) => problem,
            Err(Failure::Refused(refusal)) if refusal.ends_identity() => return host.given_up(refusal),
            Err(Failure::Refused(refusal)) => Later { why: refusal.to_string(), asked: None },
        };
        let pause = backoff.after_failure(problem.asked, &mut rand::rng());
        next = later(now, pause);
        let left = length(expires - now);
        tracing::warn!(
            "cannot renew the identity, which expires in {left}: {}; next try at {}",
            problem.why,
            moment(next)
        );
        host.state.last_error = Some(Trouble { at: now, code: None, message: problem.why });
    }
}

fn later(now: OffsetDateTime, pause: Duration) -> OffsetDateTime {
    now.saturating_add(time::Duration::try_from(pause).unwrap_or_default())
}
