//! Nodes that are told of one boot node find each other.

mod common;

use common::*;
use starling_discovery::NodeUrl;
use starling_network::{Bootnode, BootnodeConfig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_find_each_other_through_one() {
    let (first, _events) = start(discovering(10, vec![])).await;
    let boot = NodeUrl::Record(first.record());
    let mut nodes = vec![(first, _events)];
    for seed in 11..14 {
        nodes.push(start(discovering(seed, vec![boot.clone()])).await);
    }
    until("each has three peers", || nodes.iter().all(|(node, _)| node.peer_count() == 3)).await;
    for (node, _) in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_boot_node_brings_strangers_together() {
    let listen = config(20).listen;
    let boot = Bootnode::start(BootnodeConfig {
        key: key(20),
        listen,
        external: None,
        discovery: starling_network::DiscoveryConfig { v4: true, v5: true, lists: vec![], bootnodes: vec![] },
        database: starling_discovery::NodeDb::new(),
    })
    .await
    .unwrap();
    assert_eq!(boot.local().record().tcp4(), None);
    let url = NodeUrl::Record(boot.local().record());
    let (a, _of_a) = start(discovering(21, vec![url.clone()])).await;
    let (b, _of_b) = start(discovering(22, vec![url])).await;
    until("they meet", || a.peer_count() == 1 && b.peer_count() == 1).await;
}
