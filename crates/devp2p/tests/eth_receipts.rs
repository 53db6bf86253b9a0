//! Receipts in the form of each version.

use alloy_consensus::TxType;
use alloy_primitives::{Address, B256, Log, bytes};
use starling_devp2p::eth::{EthVersion, decode_receipts, encode_receipts};
use starling_primitives::{Receipt, ReceiptOutcome};

fn receipts() -> Vec<Receipt> {
    let log = Log::new_unchecked(Address::repeat_byte(7), vec![B256::repeat_byte(8)], bytes!("010203"));
    let receipt = |tx_type, outcome, logs| Receipt { tx_type, outcome, cumulative_gas_used: 21_000, logs };
    vec![
        receipt(TxType::Legacy, ReceiptOutcome::StateRoot(B256::repeat_byte(9)), vec![]),
        receipt(TxType::Legacy, ReceiptOutcome::Status(true), vec![log.clone()]),
        receipt(TxType::Eip2930, ReceiptOutcome::Status(false), vec![]),
        receipt(TxType::Eip1559, ReceiptOutcome::Status(true), vec![log.clone(), log]),
        receipt(TxType::Eip4844, ReceiptOutcome::Status(true), vec![]),
        receipt(TxType::Eip7702, ReceiptOutcome::Status(true), vec![]),
    ]
}

#[test]
fn each_form_comes_back() {
    for version in EthVersion::ALL {
        for receipts in [Vec::new(), receipts()] {
            let list = encode_receipts(version, &receipts);
            assert_eq!(decode_receipts(version, &list).as_ref(), Ok(&receipts), "{version}");
        }
    }
}

#[test]
fn later_forms_have_no_bloom_and_are_what_is_stored() {
    let (with_bloom, without) =
        (encode_receipts(EthVersion::V68, &receipts()), encode_receipts(EthVersion::V69, &receipts()));
    assert!(with_bloom.len() > without.len() + receipts().len() * 256);
    assert_eq!(without, encode_receipts(EthVersion::V70, &receipts()));
    assert_eq!(without, Receipt::encode_stored_list(&receipts()).to_vec());
    assert!(decode_receipts(EthVersion::V69, &with_bloom).is_err());
    assert!(decode_receipts(EthVersion::V68, &without).is_err());
}

#[test]
fn a_bloom_must_fit_its_logs() {
    let list = encode_receipts(EthVersion::V68, &receipts()[1..2]);
    let changed = (0..list.len()).filter(|index| {
        let mut bad = list.clone();
        bad[*index] ^= 1;
        decode_receipts(EthVersion::V68, &bad).is_ok_and(|read| read == receipts()[1..2])
    });
    assert_eq!(changed.count(), 0, "no changed byte goes unnoticed");
}

#[test]
fn an_old_receipt_does_not_travel_in_an_envelope() {
    let mut list = Vec::new();
    let mut old = Vec::new();
    receipts()[1].encode_2718(&mut old);
    alloy_rlp::Encodable::encode(&vec![alloy_primitives::Bytes::from(old)], &mut list);
    assert!(decode_receipts(EthVersion::V68, &list).is_err());
}
