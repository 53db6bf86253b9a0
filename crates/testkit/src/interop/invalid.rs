//! A chain with an invalid block in its middle, served by a peer and named by a consensus client.
//!
//! Nobody but this peer has such a chain, so it is made here: blocks of a fixture, one of them spoilt and those above it
//! linked anew. The node is told the head, fetches what it does not know, and finds the fault. From then on whatever of
//! the chain the consensus client names (the spoilt block, those above it, one that it builds on top) is INVALID, with the
//! last valid block as `latestValidHash`, as the specification's *payload validation* and *sync* want it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Decodable;
use serde_json::{Value, json};
use starling_devp2p::eth::{EthMessage, EthVersion, Request, Response};
use starling_primitives::Block;

use super::peer::{Blocks, Incoming, Peer, Target};
use super::sync::QUIET;
use super::wait_for;
use crate::Outcome;
use crate::fixtures;
use crate::http::Client;
use crate::node::{Home, Node};

/// Blocks of the chain.
const LENGTH: usize = 60;
/// How long the node may take to find the fault.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How a block is spoilt.
#[derive(Debug, Clone, Copy)]
enum Spoil {
    /// It runs to another state than it says.
    StateRoot,
    /// A signature that leads to no sender: the block cannot even be prepared.
    Signature,
    /// Bytes that are no transaction, under a header that names them.
    Transaction,
}

/// Every way to spoil a block.
pub fn run() -> Outcome {
    let files = (
        fixtures::find("devp2p-chain/hive-sync/genesis.json"),
        fixtures::read_bytes("devp2p-chain/hive-sync/chain.rlp"),
    );
    let (Some(genesis), Some(stream)) = files else { return Ok(()) };
    let good: Vec<Block> = fixtures::blocks(&stream)
        .into_iter()
        .take(LENGTH + 1)
        .map(|rlp| Block::decode(&mut rlp.as_ref()).map_err(|error| format!("chain.rlp: {error}")))
        .collect::<Outcome<_>>()?;
    for spoil in [Spoil::StateRoot, Spoil::Signature, Spoil::Transaction] {
        let home = Home::with_genesis(&genesis)?;
        let node = Node::start_among_peers(&home, QUIET)?;
        check(&node, &good, spoil)
            .map_err(|error| format!("{spoil:?}: {error}\nthe node said:\n{}", node.log_tail()))?;
        node.stop()?;
    }
    Ok(())
}

fn check(node: &Node, good: &[Block], spoil: Spoil) -> Outcome {
    let spoilt_at = (LENGTH / 2..LENGTH)
        .find(|index| !good[*index].body.transactions.is_empty())
        .ok_or("no block with a transaction to be spoilt")?;
    let chain = spoilt(good, spoilt_at, spoil);
    let last_valid = good[spoilt_at - 1].header.hash_slow();
    let server = Server::start(node, &chain[..LENGTH])?;

    let payload = |index: usize| chain[index].payload();
    let (head, above) = (LENGTH - 1, LENGTH);
    expect(&new_payload(&node.engine, payload(head))?, "SYNCING", None)?;
    expect(&forkchoice(&node.engine, chain[head].hash)?, "SYNCING", None)?;
    wait_for(
        "the fault to be found",
        TIMEOUT,
        || Ok(new_payload(&node.engine, payload(head))?["status"] != "SYNCING"),
    )?;

    for index in [head, spoilt_at + 1, spoilt_at, head] {
        expect(&forkchoice(&node.engine, chain[index].hash)?, "INVALID", Some(last_valid))
            .map_err(|error| format!("forkchoiceUpdated to block {}: {error}", index + 1))?;
    }
    for index in [above, head, spoilt_at + 1] {
        expect(&new_payload(&node.engine, payload(index))?, "INVALID", Some(last_valid))
            .map_err(|error| format!("newPayload of block {}: {error}", index + 1))?;
    }
    // geth names no valid block where the bytes are no block.
    let named = (!matches!(spoil, Spoil::Transaction)).then_some(last_valid);
    expect(&new_payload(&node.engine, payload(spoilt_at))?, "INVALID", named)?;
    expect(&forkchoice(&node.engine, chain[above].hash)?, "INVALID", Some(last_valid))?;
    expect(&forkchoice(&node.engine, last_valid)?, "VALID", Some(last_valid))?;
    server.stop()
}

/// A block whose transactions may be no transactions.
struct RawBlock {
    hash: B256,
    header: starling_primitives::Header,
    transactions: Vec<Bytes>,
    withdrawals: Vec<alloy_eips::eip4895::Withdrawal>,
}

/// The chain with one block spoilt, and all above it linked to it.
fn spoilt(good: &[Block], at: usize, spoil: Spoil) -> Vec<RawBlock> {
    let mut chain: Vec<RawBlock> = Vec::new();
    for (index, block) in good.iter().enumerate() {
        let mut header = block.header.clone();
        let mut transactions: Vec<Bytes> =
            block.body.transactions.iter().map(|tx| Bytes::from(tx.encoded_2718())).collect();
        if let Some(parent) = chain.last() {
            header.parent_hash = parent.hash;
        }
        if index == at {
            match spoil {
                Spoil::StateRoot => header.state_root = B256::repeat_byte(1),
                // The last 32 bytes are `s`, now above the order of the curve.
                Spoil::Signature => {
                    let mut tx = transactions[0].to_vec();
                    let start = tx.len() - 32;
                    tx[start..].fill(0xff);
                    transactions[0] = tx.into();
                }
                Spoil::Transaction => transactions[0] = Bytes::from_static(&[0x7f, 1, 2, 3]),
            }
            header.transactions_root =
                alloy_consensus::proofs::ordered_trie_root_with_encoder(&transactions, |tx, out| {
                    out.extend_from_slice(tx);
                });
        }
        let withdrawals = block.body.withdrawals.clone().unwrap_or_default().into_inner();
        chain.push(RawBlock { hash: header.hash_slow(), header, transactions, withdrawals });
    }
    chain
}

impl RawBlock {
    fn header_rlp(&self) -> Bytes {
        alloy_rlp::encode(&self.header).into()
    }

    /// `[transactions, ommers, withdrawals]`
    fn body_rlp(&self) -> Bytes {
        let mut items = Vec::new();
        for tx in &self.transactions {
            // A typed transaction is a string of its bytes.
            match tx.first() {
                Some(first) if *first >= 0xc0 => items.extend_from_slice(tx),
                _ => alloy_rlp::Encodable::encode(tx, &mut items),
            }
        }
        let list = |payload_length| alloy_rlp::Header { list: true, payload_length };
        let mut content = Vec::new();
        list(items.len()).encode(&mut content);
        content.extend_from_slice(&items);
        list(0).encode(&mut content);
        alloy_rlp::Encodable::encode(&self.withdrawals, &mut content);
        let mut body = Vec::new();
        list(content.len()).encode(&mut body);
        body.extend_from_slice(&content);
        body.into()
    }

    /// The arguments of `engine_newPayloadV3`.
    fn payload(&self) -> Value {
        let header = &self.header;
        let number = |number: u64| json!(format!("{number:#x}"));
        let withdrawals: Vec<Value> = self
            .withdrawals
            .iter()
            .map(|it| {
                json!({ "index": number(it.index), "validatorIndex": number(it.validator_index),
                    "address": it.address, "amount": number(it.amount) })
            })
            .collect();
        let payload = json!({
            "parentHash": header.parent_hash, "feeRecipient": header.beneficiary, "stateRoot": header.state_root,
            "receiptsRoot": header.receipts_root, "logsBloom": header.logs_bloom, "prevRandao": header.mix_hash,
            "blockNumber": number(header.number), "gasLimit": number(header.gas_limit),
            "gasUsed": number(header.gas_used), "timestamp": number(header.timestamp),
            "extraData": header.extra_data, "baseFeePerGas": number(header.base_fee_per_gas.unwrap_or_default()),
            "blockHash": self.hash, "transactions": self.transactions, "withdrawals": withdrawals,
            "blobGasUsed": number(header.blob_gas_used.unwrap_or_default()),
            "excessBlobGas": number(header.excess_blob_gas.unwrap_or_default()),
        });
        let hashes: [B256; 0] = [];
        json!([payload, hashes, header.parent_beacon_block_root])
    }
}

fn new_payload(engine: &Client, params: Value) -> Outcome<Value> {
    engine.result("engine_newPayloadV3", params)
}

fn forkchoice(engine: &Client, head: B256) -> Outcome<Value> {
    let state = json!({ "headBlockHash": head, "safeBlockHash": B256::ZERO, "finalizedBlockHash": B256::ZERO });
    Ok(engine.result("engine_forkchoiceUpdatedV3", json!([state, null]))?["payloadStatus"].clone())
}

fn expect(status: &Value, name: &str, latest_valid: Option<B256>) -> Outcome {
    match status["status"] == name && status["latestValidHash"] == json!(latest_valid) {
        true => Ok(()),
        false => Err(format!("{status}, expected {name} and latestValidHash {latest_valid:?}")),
    }
}

/// The peer that serves the chain, on a thread of its own.
struct Server {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Outcome>,
}

impl Server {
    fn start(node: &Node, chain: &[RawBlock]) -> Outcome<Self> {
        let blocks = Blocks {
            hashes: chain.iter().map(|block| block.hash).collect(),
            headers: chain.iter().map(RawBlock::header_rlp).collect(),
            bodies: chain.iter().map(RawBlock::body_rlp).collect(),
        };
        let target = Target::parse(node.enode()?)?;
        let peer = Peer::connect(&target, &[EthVersion::V69], 7, |status| blocks.claim(status))?;
        let peer = peer.map_err(|closed| format!("the node takes no peer: {closed:?}"))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let stop = is_over.clone();
        let thread = std::thread::spawn(move || serve(peer, &blocks, &stop));
        Ok(Self { is_over, thread })
    }

    /// Ends it. An honest peer is kept to the end: it served what it was asked for.
    fn stop(self) -> Outcome {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the peer itself failed".to_owned())?
    }
}

fn serve(mut peer: Peer, blocks: &Blocks, is_over: &AtomicBool) -> Outcome {
    while !is_over.load(Ordering::Relaxed) {
        match peer.next(Duration::from_millis(200))? {
            Incoming::Message(EthMessage::Request { id, request }) => {
                let response = match &request {
                    Request::BlockHeaders(wanted) => Response::BlockHeaders(blocks.answer_headers(wanted)),
                    Request::BlockBodies(hashes) => Response::BlockBodies(blocks.answer_bodies(hashes)),
                    other => return Err(format!("a request that a sync has no use for: {other:?}")),
                };
                peer.send(&EthMessage::Response { id, response })?;
            }
            Incoming::Message(_) | Incoming::Silence => {}
            Incoming::Closed(closed) => return Err(format!("the node closed the connection: {closed:?}")),
        }
    }
    Ok(())
}
