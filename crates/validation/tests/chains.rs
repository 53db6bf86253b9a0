//! Real and generated chains, block by block: every block that the world accepted must pass.

mod common;

use alloy_rlp::Header as RlpHeader;
use common::Chain;
use starling_chainspec::ChainSpec;
use starling_primitives::{Bytes, U256};
use starling_testkit::fixtures;
use std::io::Read;

fn check_stream(folder: &str, blocks: usize) {
    let Some(genesis) = fixtures::read(&format!("{folder}/genesis.json")) else { return };
    let Some(stream) = fixtures::read_bytes(&format!("{folder}/chain.rlp")) else { return };
    let mut chain = Chain::new(ChainSpec::from_genesis_json(folder, &genesis).expect("a genesis file"));
    let stream = fixtures::blocks(&stream);
    assert_eq!(stream.len(), blocks);
    for rlp in stream {
        chain.push(rlp);
    }
}

#[test]
fn rpc_compat_passes_through_every_fork() {
    check_stream("rpc-compat", 54);
}

#[test]
fn geth_ethtest_passes() {
    check_stream("devp2p-chain/geth-ethtest", 600);
}

#[test]
fn hive_sync_passes() {
    check_stream("devp2p-chain/hive-sync", 3_000);
}

/// Block RLP and total difficulty of each block of an era1 file: e2store entries of a type, a length, and
/// framed snappy.
fn era1_blocks(file: &[u8]) -> Vec<(Bytes, U256)> {
    let (mut rest, mut header, mut body, mut blocks) = (file, Vec::new(), Vec::new(), Vec::new());
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([head[2], head[3], head[4], head[5]]) as usize;
        let (data, after) = after.split_at(length);
        let unframed = || {
            let mut out = Vec::new();
            snap::read::FrameDecoder::new(data).read_to_end(&mut out).expect("framed snappy");
            out
        };
        match u16::from_le_bytes([head[0], head[1]]) {
            0x03 => header = unframed(),
            0x04 => body = unframed(),
            0x06 => blocks.push((join(&header, &body), U256::from_le_slice(data))),
            _ => {}
        }
        rest = after;
    }
    blocks
}

/// A block's RLP: the header, and the items of the body's list behind it.
fn join(header: &[u8], body: &[u8]) -> Bytes {
    let items = RlpHeader::decode_bytes(&mut &*body, true).expect("a list");
    let mut block = Vec::with_capacity(header.len() + body.len() + 8);
    RlpHeader { list: true, payload_length: header.len() + items.len() }.encode(&mut block);
    block.extend_from_slice(header);
    block.extend_from_slice(items);
    block.into()
}

fn check_era1(network: &str, files: &[&str], last: u64, ommers: usize) {
    let mut chain = Chain::new(ChainSpec::named(network).expect("a built-in network"));
    for name in files {
        let Some(file) = fixtures::read_bytes(&format!("era/{name}")) else { return };
        for (rlp, total_difficulty) in era1_blocks(&file) {
            let genesis = rlp.ends_with(&[0xc0, 0xc0]) && total_difficulty == chain.spec.genesis_header.difficulty;
            if !genesis {
                chain.push(rlp);
            }
            assert_eq!(chain.total_difficulty, total_difficulty);
        }
    }
    assert_eq!((chain.number(), chain.ommers), (last, ommers));
}

#[test]
fn the_first_16384_blocks_of_mainnet_pass_with_their_ommers() {
    check_era1("mainnet", &["mainnet-00000-5ec1ffb8.era1", "mainnet-00001-a5364e9a.era1"], 16_383, 1_972);
}

#[test]
fn the_first_8192_blocks_of_sepolia_pass() {
    check_era1("sepolia", &["sepolia-00000-643a00f7.era1"], 8_191, 0);
}
