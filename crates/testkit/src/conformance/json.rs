//! The numbers, bytes and accounts of the official test files, read straight from the text.
//!
//! Numbers are hex strings, zeros in front allowed, an empty string or `0x` counts as zero; a decimal number and
//! `0x:bigint 0x…` occur in old files.

use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use starling_primitives::{Header, MemoryState};
use std::{collections::BTreeMap, fmt, marker::PhantomData};

/// A number of up to 256 bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word(pub U256);

/// A number of up to 64 bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Number(pub u64);

/// Bytes, with or without `0x`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hex(pub Bytes);

/// The number that a text stands for.
pub fn word(text: &str) -> Option<U256> {
    let text = text.strip_prefix("0x:bigint ").unwrap_or(text);
    match text.strip_prefix("0x") {
        Some("") => Some(U256::ZERO),
        Some(digits) => U256::from_str_radix(digits, 16).ok(),
        None if text.is_empty() => Some(U256::ZERO),
        None => U256::from_str_radix(text, 10).ok(),
    }
}

/// The number of up to 64 bits that a text stands for.
pub fn number(text: &str) -> Option<u64> {
    word(text)?.try_into().ok()
}

/// The bytes that a text stands for.
pub fn bytes(text: &str) -> Option<Bytes> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok().map(Bytes::from)
}

/// What a text of a file is read as.
trait FromText: Sized {
    const WHAT: &'static str;
    fn from_text(text: &str) -> Option<Self>;
}

impl FromText for Word {
    const WHAT: &'static str = "a number of at most 256 bits";
    fn from_text(text: &str) -> Option<Self> {
        word(text).map(Self)
    }
}

impl FromText for Number {
    const WHAT: &'static str = "a number of at most 64 bits";
    fn from_text(text: &str) -> Option<Self> {
        number(text).map(Self)
    }
}

impl FromText for Hex {
    const WHAT: &'static str = "bytes in hex";
    fn from_text(text: &str) -> Option<Self> {
        bytes(text).map(Self)
    }
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: FromText> Visitor<'_> for TextVisitor<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WHAT)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).ok_or_else(|| E::custom(format_args!("{text:.80?} is not {}", T::WHAT)))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

macro_rules! from_text {
    ($($name:ty),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(TextVisitor(PhantomData))
            }
        }
    )*};
}
from_text!(Word, Number, Hex);

/// Accounts by address: `pre`, `postState`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Accounts(BTreeMap<Address, AccountJson>);

#[derive(Debug, Clone, Deserialize)]
struct AccountJson {
    #[serde(default)]
    nonce: Number,
    #[serde(default)]
    balance: Word,
    #[serde(default)]
    code: Hex,
    #[serde(default)]
    storage: BTreeMap<Word, Word>,
}

impl Accounts {
    /// The same as state.
    pub fn into_state(self) -> MemoryState {
        let mut state = MemoryState::default();
        for (address, account) in self.0 {
            let storage = account.storage.into_iter().map(|(slot, value)| (slot.0, value.0)).collect();
            state.insert(address, account.nonce.0, account.balance.0, account.code.0, storage);
        }
        state
    }
}

/// A header by the names of these files.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderJson {
    /// keccak of its RLP.
    pub hash: B256,
    parent_hash: B256,
    uncle_hash: B256,
    coinbase: Address,
    state_root: B256,
    transactions_trie: B256,
    receipt_trie: B256,
    bloom: Bloom,
    difficulty: Word,
    number: Number,
    gas_limit: Number,
    gas_used: Number,
    timestamp: Number,
    extra_data: Hex,
    mix_hash: B256,
    nonce: B64,
    base_fee_per_gas: Option<Number>,
    withdrawals_root: Option<B256>,
    blob_gas_used: Option<Number>,
    excess_blob_gas: Option<Number>,
    parent_beacon_block_root: Option<B256>,
    requests_hash: Option<B256>,
    block_access_list_hash: Option<B256>,
    slot_number: Option<Number>,
}

impl HeaderJson {
    /// The header itself.
    pub fn to_header(&self) -> Header {
        let number = |field: &Option<Number>| field.map(|Number(number)| number);
        Header {
            parent_hash: self.parent_hash,
            ommers_hash: self.uncle_hash,
            beneficiary: self.coinbase,
            state_root: self.state_root,
            transactions_root: self.transactions_trie,
            receipts_root: self.receipt_trie,
            logs_bloom: self.bloom,
            difficulty: self.difficulty.0,
            number: self.number.0,
            gas_limit: self.gas_limit.0,
            gas_used: self.gas_used.0,
            timestamp: self.timestamp.0,
            extra_data: self.extra_data.0.clone(),
            mix_hash: self.mix_hash,
            nonce: self.nonce,
            base_fee_per_gas: number(&self.base_fee_per_gas),
            withdrawals_root: self.withdrawals_root,
            blob_gas_used: number(&self.blob_gas_used),
            excess_blob_gas: number(&self.excess_blob_gas),
            parent_beacon_block_root: self.parent_beacon_block_root,
            requests_hash: self.requests_hash,
            block_access_list_hash: self.block_access_list_hash,
            slot_number: number(&self.slot_number),
        }
    }
}
