//! Those that become peers and then lie: about headers, about bodies, or by saying nothing.

use std::time::Duration;

use alloy_primitives::Bytes;
use starling_devp2p::eth::{EthMessage, Receipts, Request, Response};

use super::super::peer::{Blocks, Incoming, Peer};
use super::{Fate, Kind, Siege, visit};

pub(super) const KINDS: &[Kind] = &[
    ("the same header again and again", |siege| lie(siege, 31, same_header)),
    ("headers of nowhere", |siege| lie(siege, 32, forged_headers)),
    ("bodies of other blocks", |siege| lie(siege, 33, other_bodies)),
    ("always empty", |siege| lie(siege, 34, |_, request| Some(empty(request)))),
    ("never an answer", |siege| lie(siege, 35, |_, _| None)),
    ("megabytes of nothing", |siege| lie(siege, 36, megabytes)),
    ("requests of ten megabytes", oversize_requests),
];

/// How long a wait for the next request lasts before it looks whether the siege is over.
const LOOK: Duration = Duration::from_secs(1);

/// What a liar answers; nothing if it keeps silent.
type Lie = fn(&Blocks, &Request) -> Option<Response>;

/// Connects with a head like the good peer's, and answers with lies until it is thrown out; again and again.
fn lie(siege: &Siege, kind: u64, answer: Lie) -> Fate {
    visit(siege, kind, |status| siege.blocks.claim(status), |peer, fate| serve(siege, peer, answer, fate))
}

fn serve(siege: &Siege, peer: &mut Peer, answer: Lie, fate: &mut Fate) {
    while !siege.is_over() {
        match peer.next(LOOK) {
            Ok(Incoming::Message(EthMessage::Request { id, request })) => {
                if let Some(response) = answer(&siege.blocks, &request)
                    && peer.send(&EthMessage::Response { id, response }).is_err()
                {
                    return fate.note("could not answer");
                }
            }
            Ok(Incoming::Message(_) | Incoming::Silence) => {}
            Ok(Incoming::Closed(closed)) => return fate.ended(&closed),
            Err(error) => return fate.note(error),
        }
    }
    fate.note("left open");
}

fn empty(request: &Request) -> Response {
    match request {
        Request::BlockHeaders(_) => Response::BlockHeaders(Vec::new()),
        Request::BlockBodies(_) => Response::BlockBodies(Vec::new()),
        Request::PooledTransactions(_) => Response::PooledTransactions(Vec::new()),
        Request::BlockAccessLists(_) => Response::BlockAccessLists(Vec::new()),
        Request::Cells(_) => Response::Cells(Default::default()),
        Request::Receipts(_) => Response::Receipts(Receipts { last_block_incomplete: false, lists: Vec::new() }),
    }
}

fn same_header(blocks: &Blocks, request: &Request) -> Option<Response> {
    Some(match request {
        Request::BlockHeaders(wanted) => {
            let first = blocks.answer_headers(wanted).into_iter().next()?;
            Response::BlockHeaders(vec![first; usize::try_from(wanted.limit).unwrap_or(1).min(1024)])
        }
        other => empty(other),
    })
}

/// Headers that decode, but that lead nowhere: a byte of each state root is another.
fn forged_headers(blocks: &Blocks, request: &Request) -> Option<Response> {
    Some(match request {
        Request::BlockHeaders(wanted) => {
            let forge = |header: Bytes| {
                let mut header = header.to_vec();
                if let Some(byte) = header.get_mut(100) {
                    *byte ^= 1;
                }
                header.into()
            };
            Response::BlockHeaders(blocks.answer_headers(wanted).into_iter().map(forge).collect())
        }
        other => empty(other),
    })
}

fn other_bodies(blocks: &Blocks, request: &Request) -> Option<Response> {
    Some(match request {
        Request::BlockHeaders(wanted) => Response::BlockHeaders(blocks.answer_headers(wanted)),
        Request::BlockBodies(hashes) => {
            let neighbour = |hash| blocks.position(hash).and_then(|index| blocks.bodies.get(index.checked_sub(1)?));
            Response::BlockBodies(hashes.iter().filter_map(neighbour).cloned().collect())
        }
        other => empty(other),
    })
}

/// Items that are RLP, and large, and nothing else.
fn megabytes(_: &Blocks, request: &Request) -> Option<Response> {
    const ITEM_BYTES: usize = 1 << 20;
    let mut item = Vec::new();
    alloy_rlp::Header { list: true, payload_length: ITEM_BYTES }.encode(&mut item);
    item.resize(item.len() + ITEM_BYTES, 0x01);
    let items = vec![Bytes::from(item); 8];
    Some(match request {
        Request::BlockHeaders(_) => Response::BlockHeaders(items),
        Request::BlockBodies(_) => Response::BlockBodies(items),
        other => empty(other),
    })
}

/// As many hashes as a message holds, asked for as fast as the node takes them.
fn oversize_requests(siege: &Siege) -> Fate {
    const HASHES: usize = 300_000;
    let hashes: Vec<_> = siege.blocks.hashes.iter().copied().cycle().take(HASHES).collect();
    let request = EthMessage::Request { id: 1, request: Request::BlockBodies(hashes) };
    visit(
        siege,
        37,
        |_| {},
        |peer, fate| {
            while !siege.is_over() {
                if peer.send(&request).is_err() {
                    return fate.note("could not send");
                }
                match peer.next(Duration::from_millis(50)) {
                    Ok(Incoming::Closed(closed)) => return fate.ended(&closed),
                    Ok(_) => {}
                    Err(error) => return fate.note(error),
                }
            }
            fate.note("left open");
        },
    )
}
