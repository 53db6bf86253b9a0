//! What a network must show before it counts as up.

use super::{
    folder::{Member, Network},
    rpc::quantity,
};
use crate::{commands::say, failure::Failure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Time to find each other, to seal and to agree.
const AGREE_TIME_MAX: Duration = Duration::from_secs(90);
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Waits until all nodes have peers, and one block on top of the genesis that is the same for all.
pub(super) fn agree(network: &Network) -> Result<(), Failure> {
    let since = Instant::now();
    let periods = Duration::from_secs(network.settings.period) * 4;
    loop {
        if let Some((number, hash)) = common_head(network) {
            return say(&format!("all nodes have block {number} ({hash})"));
        }
        if since.elapsed() > AGREE_TIME_MAX + periods {
            let lines: Vec<_> = network.members.iter().map(line).collect();
            return Err(Failure::new(format_args!("the nodes do not agree: {}", lines.join(" | ")))
                .remedy(format_args!("see the logs in {}", network.dir.display())));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The block at the lowest head, if all have the same there, it is not the genesis, and nobody is far behind.
pub(super) fn common_head(network: &Network) -> Option<(u64, String)> {
    /// Nodes are never asked in the same moment.
    const BEHIND_MAX: u64 = 3;
    let heads: Option<Vec<u64>> = network.members.iter().map(head).collect();
    let heads = heads?;
    let (lowest, highest) = (*heads.iter().min()?, *heads.iter().max()?);
    let alone = network.members.len() == 1;
    let lonely = network.members.iter().any(|member| peers(member).unwrap_or_default() == 0);
    if lowest == 0 || highest - lowest > BEHIND_MAX || (lonely && !alone) {
        return None;
    }
    let hashes: Option<Vec<String>> = network.members.iter().map(|member| hash_at(member, lowest)).collect();
    let hashes = hashes?;
    let first = hashes.first()?.clone();
    hashes.iter().all(|hash| *hash == first).then_some((lowest, first))
}

/// Sends a transfer through the last node and sees it mined on the first.
pub(super) fn transfer(network: &Network) -> Result<(), Failure> {
    let (Some(first), Some(last)) = (network.members.first(), network.members.last()) else { return Ok(()) };
    let hash = super::load::send_one(network, last)?;
    let since = Instant::now();
    // A consensus client that goes on where it was first counts up to now.
    let start = if network.settings.pos { AGREE_TIME_MAX } else { Duration::ZERO };
    let time_max = start + Duration::from_secs(30 + 4 * network.settings.period);
    while since.elapsed() < time_max {
        let receipt = first.ask("eth_getTransactionReceipt", &[json!(hash)]);
        if let Some(number) = receipt.as_ref().and_then(|receipt| quantity(&receipt["blockNumber"])) {
            return say(&format!("a transfer sent through {} is in block {number} of {}", last.name, first.name));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let why = last.ask("txpool_explain", &[json!(hash)]).unwrap_or_default();
    Err(Failure::new(format_args!("transfer {hash} is not mined after {time_max:?}: {why}"))
        .remedy(format_args!("see the logs in {}", network.dir.display())))
}

/// A node in one line.
pub(super) fn line(member: &Member) -> String {
    let Some(url) = member.http().filter(|_| member.is_running()) else {
        return format!("{:<9} does not run; its log is {}", member.name, member.log().display());
    };
    let show = |number: Option<u64>| number.map_or("?".into(), |number| number.to_string());
    let waiting = member.ask("txpool_status", &[]).and_then(|status| quantity(&status["pending"]));
    format!(
        "{:<9} {:<8} {url:<28} {:<10} {:<6} {}",
        member.name,
        member.pid().unwrap_or_default(),
        show(head(member)),
        show(peers(member)),
        show(waiting)
    )
}

pub(super) fn head(member: &Member) -> Option<u64> {
    quantity(&member.ask("eth_blockNumber", &[])?)
}

fn peers(member: &Member) -> Option<u64> {
    quantity(&member.ask("net_peerCount", &[])?)
}

fn hash_at(member: &Member, number: u64) -> Option<String> {
    let block: Value = member.ask("eth_getBlockByNumber", &[json!(format!("{number:#x}")), json!(false)])?;
    Some(block["hash"].as_str()?.into())
}
