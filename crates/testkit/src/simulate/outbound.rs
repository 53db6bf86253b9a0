//! A node that nobody can dial keeps its peers, while others come and go.

use super::{
    Size, percentile,
    world::{Links, Settings, World},
};
use crate::Outcome;
use rand::RngExt;
use std::time::Duration;

/// Peers that it keeps, at least.
const PEERS_MIN: usize = 8;
/// Time to find them at first.
const FORMING: Duration = Duration::from_secs(120);
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// A node lives this long, on average, before it goes away for [`AWAY`].
const LIFE: Duration = Duration::from_secs(2 * 60 * 60);
const AWAY: Duration = Duration::from_secs(10 * 60);
/// Peers at most of all others: so few that most have no room left.
const OTHERS_PEERS_MAX: usize = 12;

pub(super) fn run(size: Size, seed: u64) -> Outcome {
    let (count, time) =
        if size == Size::Small { (24, Duration::from_secs(15 * 60)) } else { (40, Duration::from_secs(24 * 60 * 60)) };
    let mut world = World::new(seed, Links::default());
    for _ in 0..count {
        let settings = Settings { peers_max: OTHERS_PEERS_MAX, ..world.ordinary() };
        world.add(settings);
        world.run(Duration::from_millis(50));
    }
    let node = world.add(Settings { reachable: false, ..world.ordinary() });
    world.run(FORMING);
    let (mut peers, mut away, mut deaths) = (Vec::new(), Vec::new(), 0);
    let end = world.age() + time;
    while world.age() < end {
        world.run(LOOK_EVERY);
        peers.push(world.nodes[node].connected().count());
        if peers.len() % 60 == 0 {
            eprintln!("  {} of {} hours", peers.len() / 60, time.as_secs() / 3600);
        }
        let now = world.age();
        away.retain(|(index, back)| {
            let comes_back = *back <= now;
            if comes_back {
                world.revive(*index);
            }
            !comes_back
        });
        // the first is the only one that newcomers are told of: it stays
        for index in 1..count {
            let is_up = world.nodes[index].is_up;
            if is_up && world.rng.random_bool(LOOK_EVERY.div_duration_f64(LIFE)) {
                world.kill(index);
                away.push((index, now + AWAY));
                deaths += 1;
            }
        }
    }
    let least = peers.iter().min().copied().unwrap_or_default();
    println!(
        "  {count} others with {OTHERS_PEERS_MAX} peers each, {deaths} of them gone and back; in {time:?} the node has least {least}, median {} peers",
        percentile(&mut peers, 50).unwrap_or_default()
    );
    if least >= PEERS_MIN { Ok(()) } else { Err(format!("only {least} peers, should be at least {PEERS_MIN}")) }
}
