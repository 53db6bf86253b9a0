//! The same with real nodes on loopback that speak discv5. Whoever walks knows only the node at which it begins, and
//! shares no code with them but the library.

use super::{Size, percentile};
use crate::Outcome;
use discv5::{ConfigBuilder, Discv5, Enr, ListenConfig};
use enr::{CombinedKey, NodeId};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use starling_discovery::{NodeDb, NodeUrl};
use starling_network::{Bootnode, BootnodeConfig, DiscoveryConfig, Listen};
use starling_primitives::NodeKey;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

/// Answers that may lead to a node, in 99 of 100 walks.
const HOPS_MAX: u8 = 5;
/// Nodes asked on one walk, at most.
const ASKED_MAX: usize = 32;
/// Distances named in one question.
const DISTANCES: u64 = 3;

pub(super) fn run(size: Size, seed: u64) -> Outcome {
    let (count, walks, forming) = if size == Size::Small { (10, 20, 10) } else { (50, 300, 40) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(async {
        let mut rng = StdRng::seed_from_u64(seed);
        let nodes = start(count, &mut rng).await?;
        tokio::time::sleep(Duration::from_secs(forming)).await;
        let records: Vec<Enr> =
            nodes.iter().filter_map(|node| node.local().record().to_string().parse().ok()).collect();
        let stranger = stranger().await?;
        let mut hops = Vec::new();
        for _ in 0..walks {
            let from = rng.random_range(0..count);
            let to = (from + rng.random_range(1..count)) % count;
            hops.extend(walk(&stranger, &records[from], records[to].node_id()).await);
        }
        let found = hops.len();
        let (p50, p99) = (percentile(&mut hops, 50), percentile(&mut hops, 99));
        println!(
            "  {count} real nodes, {walks} walks: {found} found, hops p50 {} p99 {} most {}",
            p50.unwrap_or_default(),
            p99.unwrap_or_default(),
            hops.last().copied().unwrap_or_default()
        );
        if found * 100 < walks * 99 {
            return Err(format!("only {found} of {walks} walks found their node"));
        }
        match p99 {
            Some(p99) if p99 <= HOPS_MAX => Ok(()),
            p99 => Err(format!("{p99:?} hops at p99, should be at most {HOPS_MAX}")),
        }
    })
}

async fn start(count: usize, rng: &mut StdRng) -> Outcome<Vec<Bootnode>> {
    let mut nodes: Vec<Bootnode> = Vec::new();
    for _ in 0..count {
        let bootnodes = nodes.first().map(|first| NodeUrl::Record(first.local().record())).into_iter().collect();
        let config = BootnodeConfig {
            key: NodeKey::random(rng),
            listen: Listen { addr: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), tcp_port: 0, udp_port: None },
            external: None,
            discovery: DiscoveryConfig { v4: false, v5: true, lists: Vec::new(), bootnodes },
            database: NodeDb::new(),
        };
        nodes.push(Bootnode::start(config).await.map_err(|error| format!("a node does not start: {error}"))?);
    }
    Ok(nodes)
}

/// Who walks: nobody that is asked back.
async fn stranger() -> Outcome<Discv5> {
    let key = CombinedKey::generate_secp256k1();
    let record = Enr::builder().build(&key).map_err(|error| format!("a record: {error}"))?;
    let listen = ListenConfig::Ipv4 { ip: Ipv4Addr::LOCALHOST, port: 0 };
    let mut discv5 = Discv5::new(record, key, ConfigBuilder::new(listen).build())?;
    discv5.start().await.map_err(|error| format!("discv5: {error:?}"))?;
    Ok(discv5)
}

/// From one node towards another, the nearest known first; how many answers led there.
async fn walk(discv5: &Discv5, from: &Enr, target: NodeId) -> Option<u8> {
    let mut known: BTreeMap<[u8; 32], (Enr, u8, bool)> = BTreeMap::new();
    known.insert(away(from.node_id(), target), (from.clone(), 0, false));
    for _ in 0..ASKED_MAX {
        let (node, hops) = known.values_mut().find(|(.., asked)| !*asked).map(|(node, hops, asked)| {
            *asked = true;
            (node.clone(), *hops)
        })?;
        let wanted = distances(node.node_id(), target);
        // Who does not answer led nowhere.
        for record in discv5.find_node_designated_peer(node, wanted).await.unwrap_or_default() {
            if record.node_id() == target {
                return Some(hops + 1);
            }
            known.entry(away(record.node_id(), target)).or_insert((record, hops + 1, false));
        }
    }
    None
}

fn away(one: NodeId, other: NodeId) -> [u8; 32] {
    std::array::from_fn(|at| one.raw()[at] ^ other.raw()[at])
}

/// The distances at which a node keeps what is near the target: its own first, then those beside it.
fn distances(node: NodeId, target: NodeId) -> Vec<u64> {
    let away = away(node, target);
    let zeros: u32 = match away.iter().position(|byte| *byte != 0) {
        Some(at) => at as u32 * 8 + away[at].leading_zeros(),
        None => 256,
    };
    let distance = 256 - u64::from(zeros);
    let beside = (1..=DISTANCES).flat_map(|step| [distance + step, distance.saturating_sub(step)]);
    let all = std::iter::once(distance).chain(beside);
    all.filter(|distance| (1..=256).contains(distance)).take(DISTANCES as usize).collect()
}
