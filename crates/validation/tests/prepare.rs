//! Blocks from bytes: what came is what is hashed, and what is not a block is refused with its place.

use alloy_primitives::{Bytes, keccak256};
use alloy_rlp::Header as RlpHeader;
use starling_chainspec::{ChainSpec, Fork};
use starling_primitives::{Block, Header};
use starling_testkit::fixtures;
use starling_validation::PreparedBlock;

fn list(items: &[&[u8]]) -> Vec<u8> {
    let payload = items.concat();
    let mut out = Vec::new();
    RlpHeader { list: true, payload_length: payload.len() }.encode(&mut out);
    [out, payload].concat()
}

fn check(rlp: Vec<u8>, expect: &str) {
    let spec = ChainSpec::up_to(Fork::Osaka);
    match PreparedBlock::from_rlp(&spec, rlp.clone().into()) {
        Ok(block) => assert_eq!(expect, "", "{} was taken", block.at()),
        Err(error) => {
            let error = error.to_string();
            assert!(!expect.is_empty() && error.contains(expect), "expected {expect:?}, got {error:?} for {rlp:02x?}");
        }
    }
}

#[test]
fn malformed_blocks() {
    let header = alloy_rlp::encode(Header::default());
    let (empty, string) = ([0xc0].as_slice(), [0x80].as_slice());
    check(list(&[&header, empty, empty]), "");
    check(list(&[&header, empty, empty, empty]), "");
    check(Vec::new(), "block: input too short");
    check(vec![0x80], "block: unexpected string");
    check(list(&[&header, empty]), "block: unexpected list length");
    check(list(&[&header, empty, empty, empty, empty]), "block: unexpected list length");
    check([list(&[&header, empty, empty]), vec![0]].concat(), "block: unexpected length");
    check(list(&[empty, empty, empty]), "header: ");
    check(list(&[&header, string, empty]), "transactions: unexpected string");
    check(list(&[&header, empty, string]), "ommers: ");
    check(list(&[&header, empty, empty, string]), "withdrawals: ");
    check(list(&[&header, &list(&[empty]), empty]), "transaction 0: ");
    check(list(&[&header, &list(&[string]), empty]), "transactions: unexpected string");
    // A typed transaction of an unknown type, and a list in a string's clothes.
    check(list(&[&header, &list(&[&[0x82, 0x7f, 0xc0]]), empty]), "transaction 0: ");
    check(list(&[&header, &list(&[&[0x81, 0xc0]]), empty]), "transactions: unexpected string");
    let mut cut = list(&[&header, empty, empty]);
    cut.pop();
    check(cut, "input too short");
}

#[test]
fn hashes_and_roots_are_those_of_the_headers() {
    for folder in ["rpc-compat", "devp2p-chain/geth-ethtest"] {
        let genesis = fixtures::read(&format!("{folder}/genesis.json"));
        let Some((genesis, chain)) = genesis.zip(fixtures::read_bytes(&format!("{folder}/chain.rlp"))) else { return };
        let spec = ChainSpec::from_genesis_json(folder, &genesis).expect("a genesis");
        let mut parent = spec.genesis_hash();
        let mut rest = chain.as_slice();
        while !rest.is_empty() {
            let mut after = rest;
            RlpHeader::decode_bytes(&mut after, true).expect("a list");
            let rlp = &rest[..rest.len() - after.len()];
            rest = after;
            let prepared = PreparedBlock::from_rlp(&spec, Bytes::copy_from_slice(rlp)).expect("a block");
            let Block { header, body } = &prepared.block;
            assert_eq!(header.parent_hash, parent, "{folder} {}", prepared.at());
            assert_eq!(prepared.hash, keccak256(alloy_rlp::encode(header)));
            assert_eq!(prepared.transactions_root, header.transactions_root, "{folder} {}", prepared.at());
            assert_eq!(prepared.ommers_hash, header.ommers_hash);
            assert_eq!(prepared.withdrawals_root, header.withdrawals_root);
            let hashes: Vec<_> = body.transactions.iter().map(|tx| *tx.tx_hash()).collect();
            assert_eq!(prepared.tx_hashes, hashes);
            parent = prepared.hash;
        }
    }
}
