//! Repairs what others change.

use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyward_nft_marks::Transaction;
use tokio::signal::unix::{SignalKind, signal};

use super::apply::{Applied, apply};
use super::nft::Nft;
use super::place::{Place, pause};
use super::plan::differences;
use super::source::Origin;
use super::wanted::Wanted;
use super::{Session, note_out};
use crate::error::Error;

/// How long nothing must happen before the table is looked at.
const QUIET: Duration = Duration::from_millis(300);
/// How long it is waited for at most.
const LONGEST: Duration = Duration::from_secs(2);
/// So many repairs in this time are a quarrel.
const QUARREL: (usize, Duration) = (3, Duration::from_secs(60));
/// How long it is left alone then: twice as long each time.
const LEAVE: Duration = Duration::from_secs(10);
const LEAVE_AT_MOST: Duration = Duration::from_secs(300);
/// When `nft monitor` is started again.
const RESTART: Duration = Duration::from_secs(30);
/// How long what should have undone a change is waited for.
const AFTER: Duration = Duration::from_secs(1);
/// How long after a look because of a change of which nothing is told there is no other one for that.
const UNTOLD: Duration = Duration::from_secs(5);
/// How many differences are told.
const TOLD: usize = 5;

enum Event {
    /// Something of our table changed.
    Changed,
    /// Something changed, and nobody knows what.
    Untold,
    /// There is an answer to what was asked.
    Said,
    /// It is over.
    Stop,
}

/// Stays until SIGTERM or SIGINT.
///
/// # Errors
/// The signals cannot be listened to. Whatever else goes wrong is told and tried again.
pub(crate) fn watch(
    session: &Session<'_>,
    place: &Place,
    origin: Origin,
    mut wanted: Wanted,
    interval: Duration,
) -> Result<(), Error> {
    let (send, events) = mpsc::channel();
    let monitor = Monitor::start(session.nft.clone(), send.clone());
    let mut asking = Asking::start(origin, send.clone());
    let mut asked = session.clock.uptime();
    stop_on_signal(send)?;
    note_out("watching");
    let mut quarrel = Quarrel::default();
    let mut doubt = Doubt::default();
    loop {
        let left = interval.saturating_sub(session.clock.uptime().saturating_sub(asked));
        let wait = doubt.wait(session.clock.uptime(), until_next(session, place, left));
        match events.recv_timeout(wait) {
            Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            Ok(Event::Untold) if doubt.arises(session.clock.uptime()) => continue,
            Ok(Event::Changed | Event::Untold) => {
                if !settle(&events) {
                    break;
                }
            }
            Ok(Event::Said) | Err(RecvTimeoutError::Timeout) => {}
        }
        if session.clock.uptime().saturating_sub(asked) >= interval {
            asked = session.clock.uptime();
            asking.ask();
        }
        match asking.said() {
            Some(Ok(Some(newer))) => {
                newer.notes.iter().for_each(|note| note_out(note));
                wanted = newer;
            }
            Some(Ok(None)) | None => {}
            Some(Err(error)) => note_out(&format!("the firewall stays as it is: {error}")),
        }
        doubt.ends(session.clock.uptime());
        match repair(session, place, &wanted) {
            Ok(false) => {}
            Ok(true) => {
                if let Some(leave) = quarrel.repaired(session.clock.uptime()) {
                    note_out(&format!("somebody keeps changing the table: left alone for {} seconds", leave.as_secs()));
                    if !leave_alone(&events, leave) {
                        break;
                    }
                    // What happened meanwhile was not listened to.
                    doubt = Doubt { there: true, until: Duration::ZERO };
                }
            }
            Err(error) => note_out(&format!("not repaired, and tried again: {error}")),
        }
    }
    monitor.stop();
    Ok(())
}

/// When to look again: after the interval, or when a change that waits to be confirmed should have been undone.
fn until_next(session: &Session<'_>, place: &Place, interval: Duration) -> Duration {
    let pending = place.pending().ok().flatten();
    let left = pending.and_then(|pending| Duration::try_from(pending.deadline - session.clock.now()).ok());
    left.map_or(interval, |left| left.saturating_add(AFTER).min(interval))
}

/// Whether something was to be repaired. While a change waits to be confirmed nothing is.
fn repair(session: &Session<'_>, place: &Place, wanted: &Wanted) -> Result<bool, Error> {
    let table = session.nft.table()?;
    let wanted_table = wanted.table(table.as_ref());
    if table.as_ref().is_some_and(|table| Transaction::between(Some(table), &wanted_table).is_empty()) {
        return Ok(false);
    }
    if place.pending()?.is_some_and(|pending| pending.deadline > session.clock.now()) {
        return Ok(false);
    }
    let changes = differences(table.as_ref(), &wanted_table);
    match apply(session, place, wanted, None)? {
        Applied::Nothing => Ok(false),
        Applied::Changed { .. } => {
            note_out(&format!("repaired {} differences:", changes.len()));
            changes.iter().take(TOLD).for_each(|change| note_out(&format!("  {change}")));
            if changes.len() > TOLD {
                note_out("  …");
            }
            Ok(true)
        }
    }
}

/// Waits until it is quiet; says whether to go on.
fn settle(events: &Receiver<Event>) -> bool {
    let mut waited = Duration::ZERO;
    while waited < LONGEST {
        match events.recv_timeout(QUIET) {
            Ok(Event::Changed | Event::Untold | Event::Said) => waited += QUIET / 30,
            Err(RecvTimeoutError::Timeout) => return true,
            Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    true
}

/// Lets others be; says whether to go on.
fn leave_alone(events: &Receiver<Event>, leave: Duration) -> bool {
    let steps = u32::try_from(leave.as_millis() / QUIET.as_millis()).unwrap_or(u32::MAX);
    for _ in 0..steps {
        pause(QUIET);
        loop {
            match events.try_recv() {
                Ok(Event::Changed | Event::Untold | Event::Said) => {}
                Ok(Event::Stop) | Err(mpsc::TryRecvError::Disconnected) => return false,
                Err(mpsc::TryRecvError::Empty) => break,
            }
        }
    }
    true
}

/// What the firewall should be, if that changed.
type Said = Result<Option<Wanted>, Error>;

/// Whoever says what the firewall should be, asked beside the repairs: an answer may take long.
struct Asking {
    ask: Sender<()>,
    said: Arc<Mutex<Option<Said>>>,
    waits: bool,
}

impl Asking {
    fn start(mut origin: Origin, events: Sender<Event>) -> Self {
        let (ask, asked) = mpsc::channel();
        let said = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&said);
        std::thread::spawn(move || {
            for () in asked {
                let again = origin.again();
                *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(again);
                if events.send(Event::Said).is_err() {
                    return;
                }
            }
        });
        Self { ask, said, waits: false }
    }

    /// Asks, unless an answer is still waited for.
    fn ask(&mut self) {
        if !self.waits {
            self.waits = self.ask.send(()).is_ok();
        }
    }

    /// The answer, once.
    fn said(&mut self) -> Option<Said> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.waits &= said.is_none();
        said
    }
}

/// Whether something changed of which nobody knows what it was. Such changes may be others', and many.
#[derive(Default)]
struct Doubt {
    there: bool,
    until: Duration,
}

impl Doubt {
    /// Whether to wait with the look that it needs.
    fn arises(&mut self, now: Duration) -> bool {
        self.there = true;
        now < self.until
    }

    /// How long to wait for what happens next.
    fn wait(&self, now: Duration, wait: Duration) -> Duration {
        if self.there { self.until.saturating_sub(now).min(wait) } else { wait }
    }

    /// The table is looked at.
    fn ends(&mut self, now: Duration) {
        if std::mem::take(&mut self.there) {
            self.until = now.saturating_add(UNTOLD);
        }
    }
}

/// What a line of `nft monitor` tells. It ends each change with a line, and tells nothing before that where it does not know a set:
/// version 1.0.6 knows no set of intervals whose elements go.
fn told(line: &[u8], untold: &mut bool) -> Option<Event> {
    if line.starts_with(b"# new generation") {
        return std::mem::replace(untold, true).then_some(Event::Untold);
    }
    *untold = false;
    line.windows(12).any(|words| words == b"inet keyward").then_some(Event::Changed)
}

/// Counts repairs.
#[derive(Default)]
struct Quarrel {
    repairs: Vec<Duration>,
    times: u32,
}

impl Quarrel {
    /// How long to leave the table alone after this repair.
    fn repaired(&mut self, now: Duration) -> Option<Duration> {
        let (many, time) = QUARREL;
        self.repairs.retain(|then| now.saturating_sub(*then) < time);
        if self.repairs.is_empty() {
            self.times = 0;
        }
        self.repairs.push(now);
        if self.repairs.len() < many {
            return None;
        }
        let leave = LEAVE.saturating_mul(1 << self.times.min(8)).min(LEAVE_AT_MOST);
        self.times += 1;
        Some(leave)
    }
}

/// `nft monitor`, started again when it ends. Where it does not run, the interval is all there is.
struct Monitor {
    child: Arc<Mutex<Option<Child>>>,
}

impl Monitor {
    fn start(nft: Nft, events: Sender<Event>) -> Self {
        let child = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&child);
        // The monitor ends with this thread, and so with the agent, whatever ends that.
        std::thread::spawn(move || {
            loop {
                if let Ok(mut monitor) = nft.monitor() {
                    let output = monitor.stdout.take();
                    *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(monitor);
                    let mut untold = true;
                    for line in output.into_iter().flat_map(|output| BufReader::new(output).split(b'\n')) {
                        let Ok(line) = line else { break };
                        if told(&line, &mut untold).is_some_and(|event| events.send(event).is_err()) {
                            return;
                        }
                    }
                    if let Some(mut ended) = kept.lock().unwrap_or_else(PoisonError::into_inner).take() {
                        let _ = ended.kill();
                        let _ = ended.wait();
                    }
                }
                // What happened meanwhile was not told.
                pause(RESTART);
                if events.send(Event::Changed).is_err() {
                    return;
                }
            }
        });
        Self { child }
    }

    fn stop(&self) {
        if let Some(mut child) = self.child.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn stop_on_signal(events: Sender<Event>) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::System)?;
    let listening = {
        let _inside = runtime.enter();
        let of = |kind| signal(kind).map_err(Error::System);
        (of(SignalKind::terminate())?, of(SignalKind::interrupt())?)
    };
    std::thread::spawn(move || {
        let (mut terminate, mut interrupt) = listening;
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        let _ = events.send(Event::Stop);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_which_nothing_is_told_is_a_doubt() {
        let mut untold = true;
        let mut lines =
            |lines: &[&str]| lines.iter().filter_map(|line| told(line.as_bytes(), &mut untold)).collect::<Vec<_>>();
        assert!(matches!(lines(&["# new generation 7 by process 1 (nft)"])[..], [Event::Untold]));
        assert!(matches!(
            lines(&["delete rule inet keyward input handle 3", "# new generation 8"])[..],
            [Event::Changed]
        ));
        assert!(lines(&["add table ip other", "# new generation 9"]).is_empty());
        assert!(matches!(lines(&["# new generation 10"])[..], [Event::Untold]));
    }

    #[test]
    fn doubts_are_looked_into_now_and_then() {
        let second = Duration::from_secs;
        let mut doubt = Doubt::default();
        assert_eq!(doubt.wait(second(0), second(60)), second(60));
        assert!(!doubt.arises(second(1)), "at once");
        doubt.ends(second(1));
        assert!(doubt.arises(second(2)));
        assert_eq!(doubt.wait(second(2), second(60)), second(4));
        assert_eq!(doubt.wait(second(7), second(60)), second(0));
        doubt.ends(second(7));
        // A look for another reason delays none of these.
        doubt.ends(second(11));
        assert!(!doubt.arises(second(12)));
    }

    #[test]
    fn a_quarrel_is_left_alone_for_longer_and_longer() {
        let mut quarrel = Quarrel::default();
        let mut at = |seconds| quarrel.repaired(Duration::from_secs(seconds)).map(|leave| leave.as_secs());
        assert_eq!([at(0), at(1), at(2)], [None, None, Some(10)]);
        assert_eq!([at(13), at(34)], [Some(20), Some(40)]);
        assert_eq!([at(200), at(201)], [None, None], "forgotten");
        assert_eq!(at(202), Some(10));
    }
}
