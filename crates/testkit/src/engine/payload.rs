//! Payloads of the Engine API as JSON, and the block hash that they must announce.
//!
//! The hash is computed here with nothing of the node's own: header fields, the trie of transactions and withdrawals
//! (alloy), and the hash of requests (EIP-7685).

use alloy_consensus::Header;
use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{B64, B256, Bytes, U256};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::Outcome;

/// One `engine_newPayload` call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    method: String,
    /// Payload; from V3 on versioned hashes and the parent's beacon root; from V4 on requests.
    params: Vec<Value>,
}

impl Call {
    /// The calls of a published file. One request in it is written in base64 (the file is Go's own JSON of bytes);
    /// the Engine API knows only hex, so it is written so here.
    pub(super) fn read_all(text: &str) -> Outcome<Vec<Self>> {
        let calls: Vec<Value> = serde_json::from_str(text).map_err(|error| format!("newpayload.json: {error}"))?;
        calls.into_iter().map(Self::read).collect()
    }

    fn read(call: Value) -> Outcome<Self> {
        let method = call["method"].as_str().ok_or("a call without a method")?.to_string();
        let mut params = call["params"].as_array().ok_or("a call without parameters")?.clone();
        if let Some(Value::Array(requests)) = params.get_mut(3) {
            for request in requests {
                let text = request.as_str().ok_or("a request that is not text")?;
                if !text.starts_with("0x") {
                    let bytes = BASE64_STANDARD.decode(text).map_err(|error| format!("a request: {error}"))?;
                    *request = json!(format!("0x{}", hex::encode(bytes)));
                }
            }
        }
        Ok(Self { method, params })
    }

    pub(super) fn method(&self) -> &str {
        &self.method
    }

    pub(super) fn params(&self) -> Value {
        Value::Array(self.params.clone())
    }

    /// The hash that the payload announces.
    pub(super) fn announced(&self) -> &str {
        self.text("blockHash")
    }

    /// Text of a field of the payload; empty if it is absent or not text.
    pub(super) fn text(&self, field: &str) -> &str {
        self.params[0][field].as_str().unwrap_or_default()
    }

    /// A field of the payload, to be changed.
    pub(super) fn field(&mut self, field: &str) -> Option<&mut Value> {
        self.params.first_mut()?.get_mut(field).filter(|value| !value.is_null())
    }

    /// A parameter after the payload, to be changed.
    pub(super) fn param(&mut self, index: usize) -> Option<&mut Value> {
        self.params.get_mut(index)
    }

    /// The same call, announcing the hash that its content has.
    pub(super) fn with_own_hash(mut self) -> Outcome<Self> {
        let hash = self.block_hash()?;
        self.params[0]["blockHash"] = json!(hash);
        Ok(self)
    }

    /// The hash of the header that the call describes.
    pub(super) fn block_hash(&self) -> Outcome<B256> {
        let transactions: Vec<Bytes> = self.parse("transactions")?;
        let withdrawals: Option<Vec<Withdrawal>> = self.parse("withdrawals")?;
        let header = Header {
            parent_hash: self.parse("parentHash")?,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: self.parse("feeRecipient")?,
            state_root: self.parse("stateRoot")?,
            transactions_root: alloy_trie::root::ordered_trie_root_encoded(&transactions),
            receipts_root: self.parse("receiptsRoot")?,
            logs_bloom: self.parse("logsBloom")?,
            difficulty: U256::ZERO,
            number: self.quantity("blockNumber")?.unwrap_or_default(),
            gas_limit: self.quantity("gasLimit")?.unwrap_or_default(),
            gas_used: self.quantity("gasUsed")?.unwrap_or_default(),
            timestamp: self.quantity("timestamp")?.unwrap_or_default(),
            extra_data: self.parse("extraData")?,
            mix_hash: self.parse("prevRandao")?,
            nonce: B64::ZERO,
            base_fee_per_gas: self.quantity("baseFeePerGas")?,
            withdrawals_root: withdrawals.map(|list| alloy_trie::root::ordered_trie_root(&list)),
            blob_gas_used: self.quantity("blobGasUsed")?,
            excess_blob_gas: self.quantity("excessBlobGas")?,
            parent_beacon_block_root: self.params.get(2).map(parse).transpose()?,
            requests_hash: self.params.get(3).map(requests_hash).transpose()?,
            ..Header::default()
        };
        Ok(header.hash_slow())
    }

    fn parse<T: DeserializeOwned>(&self, field: &str) -> Outcome<T> {
        parse(&self.params[0][field]).map_err(|error| format!("{field}: {error}"))
    }

    fn quantity(&self, field: &str) -> Outcome<Option<u64>> {
        let Some(text) = self.params[0][field].as_str() else { return Ok(None) };
        parse_quantity(text).map(Some).map_err(|error| format!("{field}: {error}"))
    }
}

/// A quantity of JSON-RPC.
pub(super) fn parse_quantity(text: &str) -> Outcome<u64> {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).map_err(|error| format!("{text}: {error}"))
}

fn parse<T: DeserializeOwned>(value: &Value) -> Outcome<T> {
    T::deserialize(value).map_err(|error| format!("{value}: {error}"))
}

/// SHA-256 over the SHA-256 of each request that holds more than its type (EIP-7685).
fn requests_hash(value: &Value) -> Outcome<B256> {
    let requests: Vec<Bytes> = parse(value)?;
    let mut all = Sha256::new();
    for request in requests.iter().filter(|request| request.len() > 1) {
        all.update(Sha256::digest(request));
    }
    Ok(B256::from_slice(&all.finalize()))
}

#[test]
fn published_payloads_have_the_hashes_they_announce() {
    let Some(text) = crate::fixtures::read("devp2p-chain/geth-ethtest/newpayload.json") else { return };
    let calls = Call::read_all(&text).expect("the published calls");
    // The first is the genesis, whose difficulty and extra fields a payload cannot carry.
    for call in &calls[1..] {
        assert_eq!(call.block_hash().expect("a hash").to_string(), call.announced());
    }
}
