use super::*;
use alloy_eips::Encodable2718;
use starling_primitives::Block;

impl PayloadArgs {
    /// A payload of nothing.
    pub(in crate::engine) fn example() -> Self {
        Self {
            parent_hash: B256::ZERO,
            fee_recipient: Address::ZERO,
            state_root: B256::ZERO,
            receipts_root: B256::ZERO,
            logs_bloom: Bytes::from_static(&[0; 256]),
            prev_randao: B256::ZERO,
            block_number: 1,
            gas_limit: 30_000_000,
            gas_used: 0,
            timestamp: 12,
            extra_data: Bytes::new(),
            base_fee_per_gas: U256::from(7),
            block_hash: B256::ZERO,
            transactions: Vec::new(),
            withdrawals: None,
            blob_gas_used: None,
            excess_blob_gas: None,
            block_access_list: None,
            slot_number: None,
        }
    }
}

fn transaction(raw: &str) -> Bytes {
    alloy_primitives::hex::decode(raw).unwrap().into()
}

#[test]
fn block_rlp_is_the_blocks() {
    // A legacy transaction of the rpc-compat chain, and the empty rest.
    let legacy = transaction(
        "f86d8001825208940000000000000000000000000000000000000001018026a0\
         d642ba4d1f9388c5fd312bb9fb42d189a0b3c796de55093c85f30802a85147c8a0\
         37aa8680923f811a6988c03dd414ca00cd25d6876ba5925c7ca8ac6aad21669d",
    );
    let legacy = {
        // The length byte follows from the parts; count it instead of writing it down.
        let mut whole = vec![0xf8, (legacy.len() - 2) as u8];
        whole.extend_from_slice(&legacy[2..]);
        Bytes::from(whole)
    };
    let withdrawals = vec![Withdrawal { index: 1, validator_index: 2, address: Address::ZERO, amount: 3 }];
    let payload =
        PayloadArgs { transactions: vec![legacy.clone()], withdrawals: Some(withdrawals), ..PayloadArgs::example() };
    let Ok(header) = payload.header(transactions_root(&payload.transactions), Outside::default()) else {
        panic!("no header")
    };
    let Ok(rlp) = payload.block_rlp(&header) else { panic!("no block") };
    let block: Block = alloy_rlp::decode_exact(&rlp).unwrap();
    assert_eq!(block.header, header);
    assert_eq!(alloy_rlp::encode(&block), rlp);
    assert_eq!(block.body.transactions[0].encoded_2718(), legacy);
    assert_eq!(alloy_consensus::proofs::calculate_transaction_root(&block.body.transactions), header.transactions_root);
}

fn check_transaction(raw: &[u8], expect: Option<&[u8]>) {
    let raw = Bytes::copy_from_slice(raw);
    let item = BodyItem::of(&raw).ok();
    assert_eq!(item.as_ref().map(alloy_rlp::encode).as_deref(), expect, "{raw}");
    assert_eq!(item.map(|item| item.length()), expect.map(<[u8]>::len), "{raw}");
}

#[test]
fn transactions_as_items() {
    check_transaction(&[0xc1, 0x01], Some(&[0xc1, 0x01]));
    check_transaction(&[0x02, 0xc0], Some(&[0x82, 0x02, 0xc0]));
    check_transaction(&[], None);
    check_transaction(&[0xc0, 0xc0], None);
    check_transaction(&[0xc2, 0x01], None);
    check_transaction(&[0x82, 0x02, 0xc0], None);
}

#[test]
fn headers_that_cannot_be() {
    let fails = |payload: PayloadArgs| {
        payload
            .header(transactions_root(&payload.transactions), Outside::default())
            .err()
            .map(|NotABlock(why)| why)
            .unwrap()
    };
    let example = PayloadArgs::example;
    let long = Bytes::from_static(&[0; 33]);
    assert_eq!(fails(PayloadArgs { extra_data: long.clone(), ..example() }), "invalid extradata length: 33");
    assert_eq!(fails(PayloadArgs { logs_bloom: long, ..example() }), "invalid logsBloom length: 33");
    let fee = U256::from(u64::MAX) + U256::from(1);
    assert!(fails(PayloadArgs { base_fee_per_gas: fee, ..example() }).starts_with("invalid baseFeePerGas"));
}

#[test]
fn payloads_of_work() {
    let kept = Header { difficulty: U256::from(131_072), number: 0, ..Header::default() };
    let bare = Header { difficulty: U256::ZERO, ..kept.clone() };
    assert!(is_of_work(&bare, &kept));
    assert!(!is_of_work(&Header { gas_limit: 1, ..bare.clone() }, &kept));
    assert!(!is_of_work(&bare, &bare));
}
