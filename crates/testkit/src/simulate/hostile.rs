//! A hundred who mean ill cost no good peer.

use super::{
    Size,
    inhabitant::Conduct,
    spread::{reached, report, submit},
    world::{Links, Settings, World},
};
use crate::Outcome;
use starling_peers::DropReason;
use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

/// Honest peers that each honest node has at the end, at least.
const GOOD_PEERS_MIN: usize = 8;
/// A knocker forgets what it was told this often.
const KNOCK_EVERY: Duration = Duration::from_secs(5);

pub(super) fn run(size: Size, seed: u64) -> Outcome {
    let (good, bad, time) =
        if size == Size::Small { (24, 12, Duration::from_secs(60)) } else { (100, 100, Duration::from_secs(20 * 60)) };
    let mut world = World::new(seed, Links::default());
    world.add_many(good, Duration::from_millis(50));
    world.run(Duration::from_secs(30));
    for number in 0..bad {
        let conduct = Conduct::HOSTILE[number % Conduct::HOSTILE.len()];
        let mut settings = Settings { peers_max: 3 * good, conduct, ..world.ordinary() };
        if conduct == Conduct::Knocker {
            settings.ip = Ipv4Addr::new(66, 6, 6, (number / Conduct::HOSTILE.len()) as u8 + 1);
        }
        world.add(settings);
        world.run(Duration::from_millis(50));
    }
    let mut times = Vec::new();
    let (end, every) = (world.age() + time, time / 10);
    let mut next = world.age() + every;
    while world.age() < end {
        world.run(KNOCK_EVERY);
        for index in good..good + bad {
            if world.nodes[index].conduct() == Conduct::Knocker {
                world.kill(index);
                world.revive(index);
            }
        }
        if world.age() >= next {
            next += every;
            let from = world.any(good);
            let hash = submit(&mut world, from)?;
            world.run(Duration::from_secs(4));
            times.push(reached(&world, &hash, good, 99));
            eprintln!("  {} of 10 parts of {time:?}", times.len());
        }
    }
    let (lost, ended) = drops(&world, good);
    let good_peers = |index: &usize| {
        let peers = world.nodes[*index].connected().filter_map(|peer| world.named(peer));
        peers.filter(|peer| *peer < good).count()
    };
    let least = (0..good).map(|index| good_peers(&index)).min().unwrap_or_default();
    let left = (0..good).map(|index| world.nodes[index].connected().count() - good_peers(&index)).sum::<usize>();
    println!(
        "  {good} good nodes and {bad} hostile ones for {time:?}: least good peers of a good node {least}, hostile ones left {left}"
    );
    println!("  connections with hostile peers ended for {ended:?}");
    report("transaction", &mut times)?;
    if !lost.is_empty() {
        return Err(format!("good peers were dropped for {lost:?}"));
    }
    if least < GOOD_PEERS_MIN.min(good / 2) { Err(format!("a good node has only {least} good peers")) } else { Ok(()) }
}

type Tally = BTreeMap<&'static str, usize>;

/// Why good nodes let good peers go, but for reasons that blame nobody; and why they let hostile ones go.
fn drops(world: &World, good: usize) -> (Tally, Tally) {
    let (mut lost, mut ended) = (Tally::new(), Tally::new());
    for node in &world.nodes[..good] {
        for drop in node.peers.drops().recent().filter(|drop| drop.was_ready) {
            let Some(peer) = drop.peer.and_then(|id| world.named(&id)) else { continue };
            let blameless =
                matches!(drop.reason, DropReason::Rotated | DropReason::AlreadyConnected) || drop.reason.is_remote();
            if peer >= good {
                *ended.entry(drop.reason.label()).or_default() += 1;
            } else if !blameless {
                *lost.entry(drop.reason.label()).or_default() += 1;
            }
        }
    }
    (lost, ended)
}
