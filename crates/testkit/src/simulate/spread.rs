//! What one node has, all have soon.

use super::{
    Size,
    blocks::{Blocks, Source},
    percentile, seconds,
    talk::transfer,
    world::{Links, World},
};
use crate::Outcome;
use starling_primitives::{NodeKey, TxHash, U256};
use std::time::Duration;

/// 99 of 100 nodes have it by then.
const TIME_MAX: Duration = Duration::from_secs(3);
/// Time for the network to form.
const FORMING: Duration = Duration::from_secs(60);

pub(super) fn run(size: Size, seed: u64) -> Outcome {
    let (count, rounds) = if size == Size::Small { (40, 5) } else { (200, 50) };
    let mut world = World::new(seed, Links::default());
    world.add_many(count, Duration::from_millis(50));
    world.run(FORMING);
    let mut peers: Vec<_> = world.nodes.iter().map(|node| node.connected().count()).collect();
    println!(
        "  {count} nodes, peers least {} median {}",
        peers.iter().min().copied().unwrap_or_default(),
        percentile(&mut peers, 50).unwrap_or_default()
    );
    let blocks = tell_blocks(&mut world, count, rounds)?;
    let mut transactions = Vec::new();
    for _ in 0..rounds {
        let from = world.any(count);
        let hash = submit(&mut world, from)?;
        world.run(Duration::from_secs(5));
        transactions.push(reached(&world, &hash, count, 99));
    }
    report("transaction", &mut transactions)?;
    report("block", &mut { blocks })
}

/// One node after the other makes the next block of a chain that all follow.
fn tell_blocks(world: &mut World, count: usize, rounds: usize) -> Outcome<Vec<Option<Duration>>> {
    let source = Source::load()?;
    for node in &mut world.nodes {
        let mut blocks = Blocks::new(source.follower()?, 1);
        node.connected().copied().collect::<Vec<_>>().into_iter().for_each(|peer| blocks.joined(peer, world.now));
        node.blocks = Some(blocks);
    }
    let mut times = Vec::new();
    for (block, total) in source.blocks.iter().take(rounds) {
        let (from, now) = (world.any(count), world.now);
        if let Some(blocks) = &mut world.nodes[from].blocks {
            blocks.sealed(block.clone(), *total, now)?;
        }
        world.settle(from);
        world.run(Duration::from_secs(5));
        times.push(reached(world, &block.hash, count, 99));
    }
    Ok(times)
}

/// A user gives a node a transaction.
pub(super) fn submit(world: &mut World, index: usize) -> Outcome<TxHash> {
    let key = NodeKey::random(&mut world.rng);
    let tx = transfer(&key, 0, U256::from(1));
    let hash = *tx.tx_hash();
    let now = world.now;
    world.nodes[index].submit(tx, now).map_err(|refusal| format!("an honest transaction is refused: {refusal}"))?;
    world.settle(index);
    Ok(hash)
}

/// How long it took until so many percent of the first `count` nodes had a transaction; none if they do not.
pub(super) fn reached(world: &World, hash: &TxHash, count: usize, percent: usize) -> Option<Duration> {
    let seen = world.seen.get(hash)?;
    let first = *seen.values().min()?;
    let mut times: Vec<_> = seen.iter().filter(|(node, _)| **node < count).map(|(_, at)| *at - first).collect();
    let wanted = (count * percent).div_ceil(100);
    times.sort_unstable();
    times.get(wanted - 1).copied()
}

/// Prints the times of many rounds; fails if one took too long.
pub(super) fn report(what: &str, times: &mut [Option<Duration>]) -> Outcome {
    let missed = times.iter().filter(|time| time.is_none()).count();
    if missed > 0 {
        return Err(format!("{missed} of {} {what}s did not reach 99% of the nodes", times.len()));
    }
    let (median, most) = (percentile(times, 50).flatten(), percentile(times, 100).flatten());
    let (median, most) = (median.unwrap_or_default(), most.unwrap_or_default());
    println!(
        "  99% of the nodes have a {what} after {} (median of {}), at most {}",
        seconds(median),
        times.len(),
        seconds(most)
    );
    if most <= TIME_MAX {
        Ok(())
    } else {
        Err(format!("a {what} took {}, should be at most {TIME_MAX:?}", seconds(most)))
    }
}
