//! Networks that speak with each other and with strangers.

mod common;

use common::*;
use starling_devp2p::{
    DisconnectReason,
    eth::{
        BlockRange, CELL_BYTES, CellMask, Cells, EthMessage, EthVersion, GetBlockHeaders, GetCells, HashOrNumber,
        Request, Response, Status, encode_cells, ids,
    },
};
use starling_network::{NetworkEvent, NetworkHandle, Overview, SendFailure};
use starling_peers::{DropReason, Offence};
use starling_primitives::{B256, Bytes};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

/// The overview once so many connections have ended: a stranger hears of its end before the books are closed.
async fn after_drops(node: &NetworkHandle, count: usize) -> Overview {
    let started = Instant::now();
    loop {
        let overview = node.overview().await.unwrap();
        if overview.recent.len() >= count {
            return overview;
        }
        assert!(started.elapsed() < WAIT, "{} of {count} drops", overview.recent.len());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn ask(id: u64) -> EthMessage {
    let request = GetBlockHeaders { start: HashOrNumber::Number(1), limit: 1, skip: 0, reverse: false };
    EthMessage::Request { id, request: Request::BlockHeaders(request) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_meet_ask_and_part() {
    let (a, mut of_a) = start(config(1)).await;
    let (b, mut of_b) = start(config(2)).await;
    a.add_static(enode(&b)).await.unwrap();
    let (NetworkEvent::Ready { peer: b_id, version, .. }, NetworkEvent::Ready { peer: a_id, status, .. }) =
        (next(&mut of_a).await, next(&mut of_b).await)
    else {
        panic!("first a peer is ready")
    };
    assert_eq!((a_id, b_id, version), (a.local().id(), b.local().id(), EthVersion::V71));
    assert_eq!(status.head(), a.status().range.latest_hash);
    a.send(&b_id, &ask(7)).unwrap();
    match next(&mut of_b).await {
        NetworkEvent::Message { message: EthMessage::Request { id: 7, .. }, .. } => {}
        other => panic!("{other:?}"),
    }
    let header = Bytes::from_static(&[0xc1, 0x01]);
    let answer = EthMessage::Response { id: 7, response: Response::BlockHeaders(vec![header]) };
    b.send(&a_id, &answer).unwrap();
    // Asked once, answered once: the second copy does not come through.
    b.send(&a_id, &answer).unwrap();
    match next(&mut of_a).await {
        NetworkEvent::Message { message, .. } => assert_eq!(message, answer),
        other => panic!("{other:?}"),
    }
    b.stop().await;
    match next(&mut of_a).await {
        NetworkEvent::Gone { reason, .. } => assert_eq!(reason, DropReason::Remote(DisconnectReason::ClientQuitting)),
        other => panic!("{other:?}"),
    }
    assert_eq!(a.send(&b_id, &ask(8)), Err(SendFailure::NotConnected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_merge_only_eth_68_is_offered() {
    let unmerged = || starling_network::ChainStatus { is_merged: false, ..status() };
    let (a, mut of_a) = starling_network::start(config(3), unmerged()).await.unwrap();
    let (b, _of_b) = starling_network::start(config(4), unmerged()).await.unwrap();
    a.add_static(enode(&b)).await.unwrap();
    match next(&mut of_a).await {
        NetworkEvent::Ready { version, status, .. } => {
            assert_eq!(version, EthVersion::V68);
            assert_eq!(status.total_difficulty(), Some(unmerged().total_difficulty));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_speaks_eth_72_with_whoever_may_too() {
    let with_cells = || starling_network::ChainStatus { version_max: EthVersion::V72, ..status() };
    let (a, mut of_a) = starling_network::start(config(70), with_cells()).await.unwrap();
    let (b, mut of_b) = starling_network::start(config(71), with_cells()).await.unwrap();
    let (c, mut of_c) = start(config(72)).await;
    a.add_static(enode(&c)).await.unwrap();
    match (next(&mut of_a).await, next(&mut of_c).await) {
        (NetworkEvent::Ready { version, .. }, NetworkEvent::Ready { version: same, .. }) => {
            assert_eq!((version, same), (EthVersion::V71, EthVersion::V71));
        }
        other => panic!("{other:?}"),
    }
    a.add_static(enode(&b)).await.unwrap();
    match (next(&mut of_a).await, next(&mut of_b).await) {
        (NetworkEvent::Ready { peer, version: EthVersion::V72, .. }, NetworkEvent::Ready { .. }) => {
            assert_eq!(peer, b.local().id());
        }
        other => panic!("{other:?}"),
    }
    // A question for cells and its answer find each other like all others.
    let (mask, hashes) = (CellMask::of([1, 100]), vec![B256::repeat_byte(7)]);
    let request = Request::Cells(GetCells { hashes: hashes.clone(), mask });
    let asked = EthMessage::Request { id: 5, request };
    a.send(&b.local().id(), &asked).unwrap();
    match next(&mut of_b).await {
        NetworkEvent::Message { message, .. } => assert_eq!(message, asked),
        other => panic!("{other:?}"),
    }
    let cells = [[1; CELL_BYTES], [2; CELL_BYTES]];
    let response = Response::Cells(Cells { hashes, lists: vec![encode_cells(cells.iter())], mask });
    let answer = EthMessage::Response { id: 5, response };
    b.send(&a.local().id(), &answer).unwrap();
    match next(&mut of_a).await {
        NetworkEvent::Message { message, .. } => assert_eq!(message, answer),
        other => panic!("{other:?}"),
    }
    assert!(matches!(a.send(&c.local().id(), &asked), Err(SendFailure::NotInVersion(_))), "eth/71 has no such message");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_wrong_is_told_why() {
    let (node, _events) = start(config(5)).await;
    let version = EthVersion::V69;
    let ours = || match status_of(version) {
        Status::V69(status) => status,
        Status::V68(_) => unreachable!("asked for 69"),
    };
    let wrong: [(u64, Status, DropReason); 4] = [
        (50, Status::V69(starling_devp2p::eth::Status69 { network_id: 1, ..ours() }), DropReason::WrongNetwork),
        (51, Status::V69(starling_devp2p::eth::Status69 { genesis: B256::ZERO, ..ours() }), DropReason::WrongGenesis),
        (
            52,
            Status::V69(starling_devp2p::eth::Status69 {
                fork_id: starling_chainspec::ForkId { hash: starling_chainspec::ForkHash([1; 4]), next: 0 },
                ..ours()
            }),
            DropReason::WrongFork,
        ),
        (
            53,
            Status::V69(starling_devp2p::eth::Status69 {
                range: BlockRange { earliest: 5, latest: 4, latest_hash: B256::ZERO },
                ..ours()
            }),
            DropReason::BadStatus,
        ),
    ];
    for (seed, status, expect) in wrong {
        let mut stranger = Stranger::dial(&enode(&node), seed, &[version]).await;
        stranger.greet(version, status).await;
        assert_eq!(stranger.farewell().await, Some(DisconnectReason::Subprotocol), "{expect}");
        let overview = after_drops(&node, seed as usize - 49).await;
        assert_eq!(overview.recent[0].drop.reason, expect);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn breaches_end_the_session_and_repeated_ones_ban() {
    let (node, _events) = start(config(6)).await;
    let version = EthVersion::V69;
    let range = EthMessage::BlockRangeUpdate(BlockRange { earliest: 10, latest: 8, latest_hash: B256::repeat_byte(1) });
    let mut stranger = Stranger::dial(&enode(&node), 60, &[version]).await;
    stranger.greet(version, status_of(version)).await;
    stranger.send(version, &range).await;
    assert_eq!(stranger.farewell().await, Some(DisconnectReason::ProtocolBreach));
    let overview = after_drops(&node, 1).await;
    assert_eq!(overview.recent[0].drop.reason, DropReason::ProtocolBreach);
    assert_eq!(overview.banned.len(), 1);
    let mut again = Stranger::dial(&enode(&node), 60, &[version]).await;
    assert_eq!(again.farewell().await, Some(DisconnectReason::UselessPeer));
    // Another sends what does not decode.
    let mut stranger = Stranger::dial(&enode(&node), 61, &[version]).await;
    stranger.greet(version, status_of(version)).await;
    stranger.send_raw(version, ids::TRANSACTIONS, &[0xff; 10]).await;
    assert_eq!(stranger.farewell().await, Some(DisconnectReason::ProtocolBreach));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_penalty_drops() {
    let (node, mut events) = start(config(7)).await;
    let version = EthVersion::V70;
    let mut stranger = Stranger::dial(&enode(&node), 70, &[version]).await;
    stranger.greet(version, status_of(version)).await;
    let NetworkEvent::Ready { peer, .. } = next(&mut events).await else { panic!("a peer") };
    node.penalise(peer, Offence::BadData);
    assert_eq!(stranger.farewell().await, Some(DisconnectReason::Subprotocol));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_that_say_nothing_or_noise_do_not_disturb() {
    let (node, _events) = start(config(8)).await;
    let addr = ("127.0.0.1", enode(&node).tcp);
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(tokio::net::TcpStream::connect(addr).await.unwrap());
    }
    let mut noisy = tokio::net::TcpStream::connect(addr).await.unwrap();
    let _ = noisy.write_all(&[0x55; 4096]).await;
    // Handshakes are bounded in time: afterwards there is room for the honest.
    let started = Instant::now();
    let version = EthVersion::V69;
    loop {
        let mut honest = Stranger::dial(&enode(&node), 80, &[version]).await;
        if honest.event().await.is_some() {
            break;
        }
        assert!(started.elapsed() < WAIT, "silent strangers keep the door");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let counts = node.overview().await.unwrap().drops;
    assert!(counts.iter().any(|(reason, _)| *reason == DropReason::HandshakesFull), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_range_is_told_every_32_blocks() {
    let (node, mut events) = start(config(9)).await;
    let version = EthVersion::V69;
    let mut stranger = Stranger::dial(&enode(&node), 90, &[version]).await;
    stranger.greet(version, status_of(version)).await;
    next(&mut events).await;
    for latest in [20, 41, 42, 74] {
        let mut status = status();
        status.range.latest = latest;
        node.set_status(status);
        // Each must be seen by itself.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for expect in [42, 74] {
        match stranger.message().await {
            EthMessage::BlockRangeUpdate(range) => assert_eq!(range.latest, expect),
            other => panic!("{other:?}"),
        }
    }
}
