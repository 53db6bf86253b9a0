//! A network that falls in two grows together again.

use super::{
    Size, seconds,
    spread::{reached, submit},
    world::{Links, World},
};
use crate::Outcome;
use std::time::Duration;

/// How long nothing passes between the halves.
const PARTED: Duration = Duration::from_secs(20 * 60);
/// By then they are one network again.
const HEALED_AFTER_MAX: Duration = Duration::from_secs(10 * 60);

pub(super) fn run(size: Size, seed: u64) -> Outcome {
    let count = if size == Size::Small { 16 } else { 100 };
    let mut world = World::new(seed, Links::default());
    world.add_many(count, Duration::from_millis(50));
    world.run(Duration::from_secs(60));
    let parted = if size == Size::Small { PARTED / 10 } else { PARTED };
    world.part(is_left);
    world.run(parted);
    if across(&world) > 0 {
        return Err(format!("{} connections cross a cut", across(&world)));
    }
    let [left, right] = [submit(&mut world, 0)?, submit(&mut world, 1)?];
    world.run(Duration::from_secs(10));
    for (hash, side) in [(left, true), (right, false)] {
        let seen = &world.seen[&hash];
        if let Some(node) = seen.keys().find(|node| is_left(**node) != side) {
            return Err(format!("node {node} has what was told on the other side of the cut"));
        }
        if seen.len() * 100 < count / 2 * 99 {
            return Err(format!("only {} of {} nodes have their side's transaction", seen.len(), count / 2));
        }
    }
    world.heal();
    let has_all = |world: &World| [left, right].iter().all(|hash| world.seen[hash].len() * 100 >= count * 99);
    let Some(healed) = world.run_until(HEALED_AFTER_MAX, has_all) else {
        let seen = [left, right].map(|hash| world.seen[&hash].len());
        return Err(format!("{HEALED_AFTER_MAX:?} after the cut {seen:?} of {count} nodes have what each side had"));
    };
    let next = submit(&mut world, 0)?;
    world.run(Duration::from_secs(5));
    let again = reached(&world, &next, count, 99);
    println!(
        "  {count} nodes parted for {parted:?}: each side has the other's transaction after {}, {} connections cross; a new one is everywhere after {}",
        seconds(healed),
        across(&world),
        again.map_or("never".into(), seconds)
    );
    again.map(drop).ok_or_else(|| "a new transaction does not reach 99% of the nodes".into())
}

fn is_left(node: usize) -> bool {
    node.is_multiple_of(2)
}

/// Connections between the halves, counted at both ends.
fn across(world: &World) -> usize {
    let ends = world.nodes.iter().enumerate().flat_map(|(index, node)| node.connected().map(move |peer| (index, peer)));
    ends.filter(|(index, peer)| world.named(peer).is_some_and(|other| is_left(other) != is_left(*index))).count()
}
