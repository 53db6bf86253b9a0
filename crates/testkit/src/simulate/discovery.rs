//! Any node finds any other in few hops, by discv4 and its table.

use super::{
    Size, percentile,
    world::{Links, Settings, World},
};
use crate::Outcome;
use std::time::Duration;

/// Answers that may lead to a node, in 99 of 100 walks.
const HOPS_MAX: u8 = 5;
/// Walks of a hundred that may end without the node: a lost packet may hide one.
const MISSED_PERCENT_MAX: usize = 2;

pub(super) fn run(size: Size, seed: u64) -> Outcome {
    let (count, walks) = if size == Size::Small { (80, 60) } else { (1_000, 1_000) };
    let mut world = World::new(seed, Links::default());
    for _ in 0..count {
        let settings = Settings { dials: false, lookup_every: Some(Duration::from_secs(60)), ..world.ordinary() };
        world.add(settings);
        world.run(Duration::from_millis(50));
    }
    world.run(Duration::from_secs(30));
    let (formed, smallest) = (world.datagrams, world.nodes.iter().map(|node| node.discv4.table().len()).min());

    let mut asked = 0;
    while asked < walks {
        let (from, to) = (world.any(count), world.any(count));
        let target = world.nodes[to].node.id;
        let now = world.now;
        if from != to && world.nodes[from].lookup(target, now) {
            world.settle(from);
            asked += 1;
        }
        world.run(Duration::from_millis(50));
    }
    world.run(Duration::from_secs(30));

    let ended: Vec<_> =
        world.nodes.iter().flat_map(|node| &node.found).filter(|found| world.named(&found.target).is_some()).collect();
    let mut hops: Vec<_> = ended.iter().filter_map(|found| found.hops).collect();
    let found = hops.len();
    let (p50, p99) = (percentile(&mut hops, 50), percentile(&mut hops, 99));
    println!(
        "  {count} nodes, {formed} packets until formed, smallest table {}; {walks} walks: {found} found, hops p50 {} p99 {} most {}, {} packets each",
        smallest.unwrap_or_default(),
        p50.unwrap_or_default(),
        p99.unwrap_or_default(),
        hops.last().copied().unwrap_or_default(),
        (world.datagrams - formed) / walks as u64,
    );
    if found < walks - walks * MISSED_PERCENT_MAX / 100 {
        return Err(format!("only {found} of {walks} walks found their node"));
    }
    match p99 {
        Some(p99) if p99 <= HOPS_MAX => Ok(()),
        p99 => Err(format!("{p99:?} hops at p99, should be at most {HOPS_MAX}")),
    }
}
