//! Two towers on one store.

use keyward_keys::Signer;
use keyward_transit::{Cipher, Command, FirstActivation};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use crate::world::{START, Tower, config, perform, schedules, start};

#[derive(Debug, Clone, Copy)]
enum Step {
    Wait(i64),
    /// The tower asks its ring what to do.
    Ask(usize),
    /// It does what the ring answered, as late as that may be.
    Act(usize),
    Refresh(usize),
    Restart(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..400_000i64).prop_map(Step::Wait),
        4 => (0..90i64).prop_map(Step::Wait),
        6 => (0..2usize).prop_map(Step::Ask),
        6 => (0..2usize).prop_map(Step::Act),
        3 => (0..2usize).prop_map(Step::Refresh),
        1 => (0..2usize).prop_map(Step::Restart),
    ];
    prop::collection::vec(step, 1..120)
}

struct Server {
    tower: Tower,
    /// Unanswered commands and when they were given.
    commands: Vec<(Command, OffsetDateTime)>,
}

proptest! {
    #[test]
    fn two_towers_make_one_version(schedule in schedules(), skew in -30..30i64, steps in steps()) {
        let (mut store, tower) = start(config(Cipher::EcdsaP256, Some(schedule)), FirstActivation::AtOnce);
        let server = |tower| Server { tower, commands: Vec::new() };
        let second = Tower::start(&store);
        let mut servers = [server(tower), server(second)];
        let mut now = START;
        for step in steps {
            let clock = |index: usize| if index == 0 { now } else { now + Duration::seconds(skew) };
            match step {
                Step::Wait(seconds) => now += Duration::seconds(seconds),
                Step::Ask(index) => {
                    let at = clock(index);
                    let server = &mut servers[index];
                    server.commands = server.tower.ring.advance(at).into_iter().map(|command| (command, at)).collect();
                }
                Step::Act(index) => {
                    let at = clock(index);
                    let server = &mut servers[index];
                    let commands = std::mem::take(&mut server.commands);
                    if !commands.is_empty() {
                        // The loser of the race starts over from what is stored.
                        let done = server.tower.change(&mut store, |ring| {
                            for (command, asked) in commands {
                                perform(ring, command, at.max(asked));
                            }
                        });
                        if done.is_err() {
                            server.tower.refresh(&store);
                        }
                    }
                }
                Step::Refresh(index) => {
                    servers[index].commands.clear();
                    servers[index].tower.refresh(&store);
                }
                Step::Restart(index) => servers[index] = server(Tower::start(&store)),
            }

            let stored = Tower::start(&store).ring;
            // 6: nothing was created twice.
            let created = (1..=stored.newest_version()).map(|version| stored.transitions(version).unwrap().created);
            let created: Vec<_> = created.collect();
            let apart = created.windows(2).all(|pair| pair[1] - pair[0] >= schedule.rotate_after.to_time());
            prop_assert!(apart, "{created:?}");
            prop_assert!(stored.published(now).len() <= 2);
            // Towers that know what is stored sign with the same version at the same instant.
            let knowing = servers.iter().filter(|server| server.tower.ring.newest_version() == stored.newest_version());
            let signers: Vec<_> = knowing.filter_map(|server| server.tower.ring.signer(now).ok()).collect();
            prop_assert!(signers.windows(2).all(|pair| pair[0].kid() == pair[1].kid()));
        }
    }
}
