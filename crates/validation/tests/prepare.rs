//! Bytes that are not a block, each refused for its reason; and what preparing computes.

mod common;

use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy};
use alloy_primitives::{Bytes, Signature, U256};
use alloy_rlp::Header as RlpHeader;
use common::forge::{child, seal_body, sign, spec};
use starling_chainspec::Fork;
use starling_primitives::{Block, Header, Transaction};
use starling_validation::{PrepareError, PreparedBlock};

/// A list of items that are RLP already.
fn list(items: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    RlpHeader { list: true, payload_length: items.iter().map(|item| item.len()).sum() }.encode(&mut out);
    items.iter().for_each(|item| out.extend_from_slice(item));
    out
}

fn string(bytes: &[u8]) -> Vec<u8> {
    alloy_rlp::encode(Bytes::copy_from_slice(bytes))
}

/// A block around one transaction's item.
fn around(item: &[u8]) -> Vec<u8> {
    list(&[&header(), &list(&[item]), &list(&[]), &list(&[])])
}

fn header() -> Vec<u8> {
    let spec = spec(Fork::Prague);
    alloy_rlp::encode(child(&spec, &spec.genesis_header).header)
}

fn prepare(fork: Fork, rlp: Vec<u8>) -> Result<PreparedBlock, PrepareError> {
    PreparedBlock::from_rlp(&spec(fork), rlp.into())
}

fn refuse(rlp: Vec<u8>, expected: &str) {
    let error = prepare(Fork::Prague, rlp).map(|_| ()).expect_err(expected).to_string();
    assert!(error.contains(expected), "{error:?} does not say {expected:?}");
}

#[test]
fn malformed_blocks() {
    let legacy = alloy_rlp::encode(sign(TxLegacy::default()));
    let typed = {
        let encoded = alloy_rlp::encode(sign(TxEip1559 { chain_id: 1, ..Default::default() }));
        RlpHeader::decode_bytes(&mut encoded.as_slice(), false).unwrap().to_vec()
    };
    let (none, whole) = (list(&[]), list(&[&header(), &list(&[]), &list(&[]), &list(&[])]));
    assert!(prepare(Fork::Prague, whole.clone()).is_ok());
    assert!(prepare(Fork::Prague, around(&legacy)).is_ok());
    assert!(prepare(Fork::Prague, around(&string(&typed))).is_ok());

    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "block: "),
        (vec![0x80], "block: unexpected string"),
        (whole[..whole.len() - 1].to_vec(), "block: input too short"),
        ([whole.as_slice(), &[0]].concat(), "block: unexpected length"),
        (list(&[&header(), &none]), "block: unexpected list length"),
        (list(&[&header(), &none, &none, &none, &none]), "block: unexpected list length"),
        (list(&[&string(&[1]), &none, &none]), "header: "),
        (list(&[&header(), &string(&[]), &none]), "transactions: unexpected string"),
        (list(&[&header(), &none, &none, &string(&[])]), "withdrawals: "),
        (list(&[&header(), &none, &string(&[])]), "ommers: "),
        (around(&string(&legacy)), "transactions: "),
        (around(&string(&[])), "transactions: "),
        (around(&[0x01]), "transaction 0: "),
        (around(&string(&[5, 0xc0])), "transaction 0: "),
        (around(&string(&[typed.as_slice(), &[0]].concat())), "transaction 0: "),
        (around(&[typed.as_slice()].concat()), "block does not decode"),
        (around(&list(&[&legacy])), "transaction 0: "),
        (around(&sidecar()), "transaction 0: "),
    ];
    for (rlp, expected) in cases {
        refuse(rlp, expected);
    }
}

/// A blob transaction in the form of the network: the transaction, blobs, commitments, proofs.
fn sidecar() -> Vec<u8> {
    let tx = sign(alloy_consensus::TxEip4844 { chain_id: 1, ..Default::default() });
    let encoded = alloy_rlp::encode(tx);
    let payload = RlpHeader::decode_bytes(&mut encoded.as_slice(), false).unwrap();
    let none = list(&[]);
    string(&[&[3], list(&[&payload[1..], &none, &none, &none]).as_slice()].concat())
}

/// Integers with leading zeros, and lengths that could be shorter, are other bytes for the same block.
#[test]
fn what_is_not_canonical() {
    let spec = spec(Fork::Frontier);
    let header = alloy_rlp::encode(child(&spec, &spec.genesis_header).header);
    let number = header.iter().rposition(|byte| *byte == 1).unwrap();
    let block = |header: &[u8]| list(&[header, &list(&[]), &list(&[])]);
    assert!(prepare(Fork::Frontier, block(&header)).is_ok());
    let mut long = header.clone();
    // a single byte below 0x80 in the long form of a string
    long.splice(number..=number, [0x81, 0x01]);
    long[2] += 1;
    assert!(prepare(Fork::Frontier, block(&long)).is_err());
    let mut zeros = header.clone();
    zeros.splice(number..=number, [0x82, 0x00, 0x01]);
    zeros[2] += 2;
    assert!(prepare(Fork::Frontier, block(&zeros)).is_err());
}

#[test]
fn signatures() {
    let with = |signature| {
        let spec = spec(Fork::Frontier);
        let mut block = child(&spec, &spec.genesis_header);
        block.body.transactions = vec![Transaction::from(TxLegacy::default().into_signed(signature))];
        block
    };
    let high_s = Signature::new(U256::ONE, U256::MAX << 1, false);
    let no_key = Signature::new(U256::ZERO, U256::ONE, false);
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let high_s_valid = Signature::new(U256::ONE, U256::from_str_radix(order, 16).unwrap() - U256::ONE, false);
    for (fork, signature, fits) in [
        (Fork::Frontier, no_key, false),
        (Fork::Frontier, high_s, false),
        (Fork::Frontier, high_s_valid, true),
        (Fork::Homestead, high_s_valid, false),
    ] {
        let prepared = PreparedBlock::from_block(&spec(fork), &with(signature));
        match prepared {
            Ok(_) => assert!(fits, "{fork}: {signature:?}"),
            Err(PrepareError::Sender(_)) => assert!(!fits, "{fork}: {signature:?}"),
            Err(other) => panic!("{fork}: {other}"),
        }
    }
}

#[test]
fn what_is_computed() {
    let spec = spec(Fork::Prague);
    let mut block: Block = child(&spec, &spec.genesis_header);
    block.body.transactions = vec![sign(TxLegacy::default()), sign(TxEip1559 { chain_id: 1, ..Default::default() })];
    seal_body(&mut block);
    let rlp: Bytes = alloy_rlp::encode(&block).into();
    let prepared = PreparedBlock::from_rlp(&spec, rlp.clone()).unwrap();
    let hashes: Vec<_> = block.body.transactions.iter().map(|tx| *tx.tx_hash()).collect();
    assert_eq!(prepared.rlp, rlp);
    assert_eq!(prepared.hash, block.header.hash_slow());
    assert_eq!(prepared.tx_hashes, hashes);
    assert_eq!(prepared.senders.len(), 2);
    let Header { transactions_root, ommers_hash, withdrawals_root, .. } = block.header;
    assert_eq!(
        (prepared.transactions_root, prepared.ommers_hash, prepared.withdrawals_root),
        (transactions_root, ommers_hash, withdrawals_root)
    );
}
