//! Cutting the network in two: each half is started knowing only itself, and later all know all again.

use super::{
    check,
    folder::{Member, Network},
};
use crate::{cli::PartitionArgs, commands::say, failure::Failure};
use std::fs;

/// Parts the network for a while; ends when it is one again.
pub(super) fn run(args: &PartitionArgs) -> Result<(), Failure> {
    let network = Network::existing(&args.folder.dir)?;
    if network.members.len() < 2 {
        return Err(Failure::usage("one node cannot be parted")
            .remedy(format_args!("add one with `{}`", network.command("add-node"))));
    }
    if network.settings.pos {
        return Err(Failure::usage("a network under proof of stake has one consensus client, which tells all nodes")
            .remedy("make one of sealers: `starling testnet up` without --pos, in another --dir"));
    }
    network.stop()?;
    forget(&network);
    // Every second one, so that sealers are on both sides.
    let (odd, even): (Vec<_>, Vec<_>) = network.members.iter().cloned().partition(|member| member.number % 2 == 1);
    network.start_among(&odd)?;
    network.start_among(&even)?;
    say(&format!("parted: {} | {}", names(&odd), names(&even)))?;
    std::thread::sleep(args.time);
    for half in [&odd, &even] {
        let heads: Vec<_> =
            half.iter().map(|member| check::head(member).map_or("?".into(), |head| head.to_string())).collect();
        say(&format!("{}: heads {}", names(half), heads.join(", ")))?;
    }
    network.stop()?;
    network.start()?;
    say("one network again")?;
    check::agree(&network)
}

/// Nobody remembers whom it knew.
fn forget(network: &Network) {
    for member in &network.members {
        // One that was never written is as good as removed.
        let _ = fs::remove_file(member.data().join("nodes.json"));
    }
}

fn names(members: &[Member]) -> String {
    members.iter().map(|member| member.name.as_str()).collect::<Vec<_>>().join(" ")
}
