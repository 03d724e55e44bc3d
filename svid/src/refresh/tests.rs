use proptest::prelude::*;

use super::stored::Stored;
use super::*;

fn start() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000)
}

fn seconds(n: i64) -> Duration {
    Duration::seconds(n)
}

fn machine() -> Refresher<u32> {
    Refresher::new(RefreshOptions::default(), start()).unwrap()
}

#[track_caller]
fn fetch(machine: &mut Refresher<u32>, now: OffsetDateTime) -> Ticket {
    match machine.poll(now) {
        Due::Fetch(ticket) => ticket,
        Due::Wait(until) => panic!("it waits for {}", until - now),
    }
}

#[track_caller]
fn waits(machine: &mut Refresher<u32>, now: OffsetDateTime) -> Duration {
    match machine.poll(now) {
        Due::Fetch(_) => panic!("it fetches"),
        Due::Wait(until) => until - now,
    }
}

/// A machine that fetched at the start.
fn fetched(hint: Option<i64>) -> Refresher<u32> {
    let mut machine = machine();
    let ticket = fetch(&mut machine, start());
    assert!(machine.succeeded(ticket, 1, hint.map(seconds), start()));
    machine
}

#[test]
fn it_polls_at_the_hint_within_bounds() {
    for (hint, interval) in
        [(None, 300), (Some(300), 300), (Some(0), 60), (Some(59), 60), (Some(3601), 3600), (Some(i64::MAX), 3600)]
    {
        assert_eq!(waits(&mut fetched(hint), start()), seconds(interval), "{hint:?}");
    }
    // Where the age runs out soon, more often.
    let mut machine = Refresher::new(RefreshOptions { max_age: seconds(800), ..RefreshOptions::default() }, start());
    let machine = machine.as_mut().unwrap();
    let ticket = fetch(machine, start());
    assert!(machine.succeeded(ticket, 1, None, start()));
    assert_eq!(waits(machine, start()), seconds(200));
}

#[test]
fn a_failure_waits_for_the_next_interval() {
    let mut machine = fetched(Some(600));
    let at = start() + seconds(600);
    let ticket = fetch(&mut machine, at);
    assert!(machine.failed(ticket, "refused", at + seconds(3)));
    assert_eq!(waits(&mut machine, at + seconds(3)), seconds(600));
    assert_eq!(machine.last_error().unwrap().reason, "refused");
    assert_eq!(machine.current(at), Some(&1));
    let ticket = fetch(&mut machine, at + seconds(603));
    assert!(machine.failed(ticket, "refused again", at + seconds(604)));
    let failure = Failure { at: at + seconds(604), reason: "refused again".to_owned(), count: 2 };
    assert_eq!(machine.last_error(), Some(&failure));
    let ticket = fetch(&mut machine, at + seconds(1204));
    assert!(machine.succeeded(ticket, 2, None, at + seconds(1204)));
    assert_eq!((machine.current(at), machine.last_error()), (Some(&2), None));
}

#[test]
fn without_a_document_it_comes_again_sooner() {
    let mut machine = machine();
    let ticket = fetch(&mut machine, start());
    assert!(machine.failed(ticket, "refused", start()));
    assert_eq!(waits(&mut machine, start()), seconds(60));
    assert_eq!((machine.current(start()), machine.age(start())), (None, None));
}

#[test]
fn an_old_document_is_served_until_its_maximum_age_and_not_longer() {
    let machine = fetched(None);
    let end = start() + Duration::DAY;
    assert_eq!(machine.current(end - seconds(1)), Some(&1));
    assert_eq!(machine.current(end), None);
    assert!(machine.is_expired(end));
    assert_eq!(
        (machine.latest(), machine.age(end), machine.fetched_at()),
        (Some(&1), Some(Duration::DAY), Some(start()))
    );
}

#[test]
fn one_fetch_at_a_time_and_none_for_ever() {
    let mut machine = machine();
    let lost = fetch(&mut machine, start());
    assert_eq!(waits(&mut machine, start() + seconds(10)), seconds(20));
    assert!(machine.is_fetching());
    // Given up; then the wait after a failure.
    assert_eq!(waits(&mut machine, start() + seconds(30)), seconds(60));
    assert_eq!(machine.last_error().unwrap().reason, "no answer within 30 seconds");
    let ticket = fetch(&mut machine, start() + seconds(90));
    // The late answer does not count, and does not end the fetch that is under way.
    assert!(!machine.succeeded(lost, 7, None, start() + seconds(91)));
    assert!(machine.is_fetching() && machine.latest().is_none());
    assert!(machine.succeeded(ticket, 8, None, start() + seconds(92)));
    assert_eq!(machine.latest(), Some(&8));
}

#[test]
fn what_was_cleared_or_replaced_makes_answers_void() {
    let mut machine = fetched(None);
    let at = start() + seconds(300);
    let ticket = fetch(&mut machine, at);
    machine.clear(at);
    assert!(!machine.succeeded(ticket, 2, None, at));
    assert_eq!((machine.latest(), machine.last_error()), (None, None));
    let ticket = fetch(&mut machine, at);
    machine.replace(3, None, at);
    assert!(!machine.failed(ticket, "late", at));
    assert_eq!((machine.current(at), machine.last_error()), (Some(&3), None));
    assert_eq!(waits(&mut machine, at), seconds(300));
}

#[test]
fn an_unknown_key_fetches_once_per_cooldown() {
    let mut machine = fetched(None);
    assert!(!machine.on_unknown_key(start() + seconds(29)));
    let at = start() + seconds(30);
    assert!(machine.on_unknown_key(at));
    let ticket = fetch(&mut machine, at);
    assert!(!machine.on_unknown_key(at + seconds(1)), "one is under way");
    assert!(machine.failed(ticket, "refused", at + seconds(2)));
    assert!(!machine.on_unknown_key(at + seconds(29)));
    assert!(machine.on_unknown_key(at + seconds(30)));
}

#[test]
fn a_clock_that_goes_back() {
    let mut machine = fetched(None);
    let later = start() + Duration::hours(23);
    let ticket = fetch(&mut machine, later);
    assert!(machine.failed(ticket, "refused", later));
    // A year back: the age stays, and so does the wait.
    let back = later - Duration::days(365);
    assert_eq!(waits(&mut machine, back), seconds(300));
    assert_eq!(machine.age(back), Some(Duration::hours(23)));
    assert_eq!(waits(&mut machine, back + seconds(100)), seconds(200));
    assert_eq!(machine.current(back + Duration::HOUR - seconds(1)), Some(&1));
    assert_eq!(machine.current(back + Duration::HOUR), None);
    // A fetch that was under way when the clock went back is given up after its time.
    let ticket = fetch(&mut machine, back + seconds(300));
    let further = back - Duration::days(9);
    assert_eq!(waits(&mut machine, further), seconds(30));
    assert_eq!(waits(&mut machine, further + seconds(30)), seconds(300));
    assert!(!machine.succeeded(ticket, 2, None, further + seconds(31)));
}

#[test]
fn callers_in_disorder_do_not_make_time_run() {
    let mut machine = fetched(None);
    // In one second ten thousand callers, each with a reading that is up to a second old.
    let mut cooled = 0;
    for n in 0..10_000_i64 {
        let now = start() + seconds(1) - Duration::milliseconds(n * 7919 % 1000);
        cooled += i32::from(machine.on_unknown_key(now));
    }
    assert_eq!((cooled, machine.age(start() + seconds(1))), (0, Some(seconds(1))));
    // Set back by a little, it stands still for as long.
    assert_eq!(waits(&mut machine, start() - seconds(58)), seconds(299));
    assert_eq!(waits(&mut machine, start() + seconds(2)), seconds(298));
    // Set back by more, it goes on.
    assert_eq!(waits(&mut machine, start() - seconds(59)), seconds(298));
    assert_eq!(waits(&mut machine, start() - seconds(58)), seconds(297));
}

#[test]
fn a_clock_that_jumped_ahead_and_came_back_recovers() {
    let mut machine = fetched(None);
    let ahead = start() + Duration::days(3650);
    assert_eq!(machine.current(ahead), None);
    let ticket = fetch(&mut machine, ahead);
    // What was fetched then is fresh, and goes on being fetched at the hint after the clock is right again.
    assert!(machine.succeeded(ticket, 2, None, ahead));
    let back = start() + seconds(10);
    assert_eq!(waits(&mut machine, back), seconds(300));
    assert_eq!(machine.current(back), Some(&2));
    assert!(matches!(machine.poll(back + seconds(300)), Due::Fetch(_)));
}

#[test]
fn it_outlives_the_program() {
    let mut machine = fetched(Some(600));
    let at = start() + seconds(600);
    let ticket = fetch(&mut machine, at);
    assert!(machine.failed(ticket, "refused", at));
    let restore =
        |stored: Stored, value, now| Refresher::restore(RefreshOptions::default(), stored, value, now).unwrap();
    let record = serde_json::to_string(&machine.store()).unwrap();
    let stored = || serde_json::from_str::<Stored>(&record).unwrap();

    let mut again = restore(stored(), Some(1), at + seconds(100));
    assert_eq!(waits(&mut again, at + seconds(100)), seconds(500));
    assert_eq!((again.last_error(), again.fetched_at()), (machine.last_error(), Some(start())));
    assert_eq!(again.age(at + seconds(100)), Some(seconds(701)), "rounded up");
    assert_eq!(again.current(start() + Duration::DAY - seconds(1)), None);
    assert_eq!(again.current(start() + Duration::DAY - seconds(2)), Some(&1));

    // Away for long: due at once, and too old.
    let mut again = restore(stored(), Some(1), at + Duration::DAY);
    assert!(matches!(again.poll(at + Duration::DAY), Due::Fetch(_)));
    assert_eq!(again.current(at + Duration::DAY), None);

    // The clock is behind the record: due at once, and no younger.
    let behind = at - Duration::days(7);
    let mut again = restore(stored(), Some(1), behind);
    assert_eq!(again.age(behind), Some(seconds(601)));
    assert!(matches!(again.poll(behind), Due::Fetch(_)));

    // Another machine's clock is behind by a little: nothing is due sooner.
    let mut again = restore(stored(), Some(1), at - seconds(60));
    assert_eq!(waits(&mut again, at - seconds(60)), seconds(600));

    // Without a document too, what failed is waited for: no restart makes a storm of fetches.
    let mut failed = super::tests::machine();
    let ticket = fetch(&mut failed, start());
    assert!(failed.failed(ticket, "refused", start()));
    let mut again = restore(failed.store(), None, start() + seconds(1));
    assert_eq!(waits(&mut again, start() + seconds(1)), seconds(59));
    assert!(!again.on_unknown_key(start() + seconds(1)));
    assert!(matches!(again.poll(start() + seconds(60)), Due::Fetch(_)));

    // A fetch under way is forgotten; without a document, due at once.
    let mut empty = super::tests::machine();
    let _ = fetch(&mut empty, start());
    let mut again = restore(empty.store(), None, start() + seconds(1));
    assert!(matches!(again.poll(start() + seconds(1)), Due::Fetch(_)));
}

#[test]
fn other_options_for_the_same_document() {
    let mut machine = fetched(Some(3600));
    let at = start() + seconds(10);
    machine.set_options(RefreshOptions::every(seconds(20)), at).unwrap();
    assert_eq!(waits(&mut machine, at), seconds(20));
    assert_eq!(machine.current(at), Some(&1));
    let error = machine.set_options(RefreshOptions::every(Duration::ZERO), at).unwrap_err();
    assert_eq!(error.to_string(), "the shortest interval of 0s is below a second");
    assert_eq!(machine.options(), &RefreshOptions::every(seconds(20)));
}

#[test]
fn contradictions_are_refused() {
    let default = RefreshOptions::default;
    for (options, text) in [
        (RefreshOptions { timeout: Duration::ZERO, ..default() }, "the timeout of 0s is below a second"),
        (RefreshOptions { cooldown: -Duration::HOUR, ..default() }, "the cooldown of -1h is below a second"),
        (
            RefreshOptions { min_interval: seconds(301), ..default() },
            "the shortest interval of 5m1s is longer than the default interval of 5m",
        ),
        (
            RefreshOptions { max_interval: seconds(299), ..default() },
            "the default interval of 5m is longer than the longest interval of 4m59s",
        ),
        (
            RefreshOptions { cooldown: seconds(61), ..default() },
            "the cooldown of 1m1s is longer than the shortest interval of 1m",
        ),
        (
            RefreshOptions { max_age: seconds(119), ..default() },
            "the shortest interval of 1m is longer than half of the maximum age of 59s500ms",
        ),
    ] {
        let error = Refresher::<u32>::new(options, start()).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(error.kind(), keyward_keys::ErrorKind::Misconfigured);
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// The clock moves by so many seconds.
    Clock(i64),
    UnknownKeys(u8),
    Succeed(Option<u32>),
    Fail,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..400_i64).prop_map(Step::Clock),
        1 => (-90..0_i64).prop_map(Step::Clock),
        1 => (-40_000_000..40_000_000_i64).prop_map(Step::Clock),
        3 => any::<u8>().prop_map(Step::UnknownKeys),
        4 => any::<Option<u32>>().prop_map(Step::Succeed),
        2 => Just(Step::Fail),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the clock does: never two fetches within the cooldown of time that went forward, never a wait beyond
    /// the longest interval, never a document older than the maximum age.
    #[test]
    fn no_storm_no_standstill_nothing_stale(steps in prop::collection::vec(step(), 1..120)) {
        let options = RefreshOptions::default();
        let mut machine = machine();
        let mut now = start();
        // What the clock moved forward, as the test counts it.
        let (mut forward, mut behind) = (0, 0);
        let (mut under_way, mut last_fetch, mut fetched): (Option<Ticket>, Option<i64>, Option<i64>) = (None, None, None);
        for step in steps {
            let mut restarted = false;
            match step {
                Step::Clock(by) => {
                    now += seconds(by);
                    // Behind by a minute at most, the clock has to catch up first.
                    forward += (by - behind).max(0);
                    behind = (behind - by).max(0);
                    if behind > 60 {
                        behind = 0;
                    }
                }
                Step::UnknownKeys(n) => for _ in 0..n {
                    let _ = machine.on_unknown_key(now);
                },
                Step::Succeed(hint) => if let Some(ticket) = under_way.take()
                    && machine.succeeded(ticket, 1, hint.map(|hint| seconds(hint.into())), now)
                {
                    fetched = Some(forward);
                },
                Step::Fail => if let Some(ticket) = under_way.take() {
                    let _ = machine.failed(ticket, "refused", now);
                },
                Step::Restart => {
                    let value = machine.latest().copied();
                    machine = Refresher::restore(options.clone(), machine.store(), value, now).unwrap();
                    under_way = None;
                    restarted = true;
                }
            }
            match machine.poll(now) {
                Due::Fetch(ticket) => {
                    // Only a restart forgets what was tried a moment ago.
                    let since = last_fetch.map(|last| seconds(forward - last));
                    prop_assert!(restarted || since.is_none_or(|since| since >= options.cooldown), "{since:?}");
                    under_way = Some(ticket);
                    last_fetch = Some(forward);
                }
                Due::Wait(until) => {
                    prop_assert!(until > now);
                    prop_assert!(until - now <= options.max_interval);
                }
            }
            let age = fetched.map(|fetched| seconds(forward - fetched));
            prop_assert!(machine.current(now).is_none() || age.unwrap() < options.max_age);
            if let (Some(age), Some(shown)) = (age, machine.age(now)) {
                prop_assert!(shown >= age, "{shown} < {age}");
            }
        }
    }
}
