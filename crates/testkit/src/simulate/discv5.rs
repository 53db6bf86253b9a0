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
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::task::JoinSet;

/// Answers that may lead to a node, in 99 of 100 walks.
const HOPS_MAX: u8 = 5;
/// Nodes asked on one walk, at most.
const ASKED_MAX: usize = 32;
/// Walks under way.
const WALKS_AT_ONCE: usize = 4;
/// What counts are hops: on a machine that is busy with fifty nodes, an answer may take its time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Distances beside its own, on each side, at which a node is asked when it has nobody at the target's.
const BESIDE: u64 = 2;

pub(super) fn run(size: Size, seed: u64) -> Outcome {
    let (count, walks, forming) = if size == Size::Small { (10, 20, 10) } else { (50, 300, 60) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(async {
        let mut rng = StdRng::seed_from_u64(seed);
        let nodes = start(count, &mut rng).await?;
        tokio::time::sleep(Duration::from_secs(forming)).await;
        let records: Vec<Enr> =
            nodes.iter().filter_map(|node| node.local().record().to_string().parse().ok()).collect();
        let stranger = Arc::new(stranger().await?);
        let (mut hops, unanswered, mut walking) = (Vec::new(), Arc::new(AtomicUsize::new(0)), JoinSet::new());
        for _ in 0..walks {
            let from = rng.random_range(0..count);
            let to = (from + rng.random_range(1..count)) % count;
            let (stranger, unanswered) = (stranger.clone(), unanswered.clone());
            let (from, to) = (records[from].clone(), records[to].node_id());
            walking.spawn(async move { walk(&stranger, &from, to, &unanswered).await });
            if walking.len() >= WALKS_AT_ONCE {
                hops.extend(walking.join_next().await.and_then(Result::ok).flatten());
            }
        }
        hops.extend(walking.join_all().await.into_iter().flatten());
        let found = hops.len();
        let (p50, p99) = (percentile(&mut hops, 50), percentile(&mut hops, 99));
        println!(
            "  {count} real nodes, {walks} walks: {found} found, {} questions unanswered, hops p50 {} p99 {} most {}",
            unanswered.load(Relaxed),
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
    let mut discv5 = Discv5::new(record, key, ConfigBuilder::new(listen).request_timeout(ANSWER_TIMEOUT).build())?;
    discv5.start().await.map_err(|error| format!("discv5: {error:?}"))?;
    Ok(discv5)
}

/// From one node towards another, the nearest known first; how many answers led there.
async fn walk(discv5: &Discv5, from: &Enr, target: NodeId, unanswered: &AtomicUsize) -> Option<u8> {
    let mut known: BTreeMap<[u8; 32], (Enr, u8, bool)> = BTreeMap::new();
    known.insert(away(from.node_id(), target), (from.clone(), 0, false));
    for _ in 0..ASKED_MAX {
        let (node, hops) = known.values_mut().find(|(.., asked)| !*asked).map(|(node, hops, asked)| {
            *asked = true;
            (node.clone(), *hops)
        })?;
        // An answer holds sixteen records, of the smallest distance first: asked for several at once, a node does not come
        // to the target's own. So that one is asked for alone, and those beside it only if nobody is there.
        let distance = distance(node.node_id(), target);
        let Some(mut records) = ask(discv5, &node, vec![distance]).await else {
            unanswered.fetch_add(1, Relaxed);
            continue;
        };
        if records.is_empty() {
            let beside = (1..=BESIDE).flat_map(|step| [distance + step, distance.saturating_sub(step)]);
            let beside = beside.filter(|distance| (1..=256).contains(distance)).collect();
            records = ask(discv5, &node, beside).await.unwrap_or_default();
        }
        for record in records {
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

/// What a node knows at these distances; none if it does not answer, which leads nowhere.
async fn ask(discv5: &Discv5, node: &Enr, distances: Vec<u64>) -> Option<Vec<Enr>> {
    discv5.find_node_designated_peer(node.clone(), distances).await.ok()
}

/// The distance at which a node keeps the target.
fn distance(node: NodeId, target: NodeId) -> u64 {
    let away = away(node, target);
    let zeros = match away.iter().position(|byte| *byte != 0) {
        Some(at) => at as u64 * 8 + u64::from(away[at].leading_zeros()),
        None => 256,
    };
    256 - zeros
}
