//! Payloads with one thing wrong, and what must be answered.

use serde_json::{Value, json};

use super::payload::{Call, parse_quantity};

/// What an answer must be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    /// INVALID, and the reason holds this text (lower case).
    Invalid(&'static str),
    /// SYNCING: the parent is unknown.
    Syncing,
    /// Whatever geth answers: the field is free, the consequences are not.
    LikeGeth,
}

/// One change of a payload.
pub(super) struct Flip {
    pub(super) name: &'static str,
    pub(super) expected: Expected,
    /// Changes the call; false if it has no such thing.
    apply: fn(&mut Call) -> bool,
}

impl Flip {
    /// The changed call; none if it has no such field.
    pub(super) fn of(&self, call: &Call) -> Option<Call> {
        let mut changed = call.clone();
        (self.apply)(&mut changed).then_some(changed)
    }
}

/// Changes under which the announced hash is computed again, so that only the field itself can be found wrong.
pub(super) const FLIPS: &[Flip] = &[
    Flip { name: "parentHash", expected: Expected::Syncing, apply: |call| last_bit(call, "parentHash") },
    Flip { name: "stateRoot", expected: Expected::Invalid("state root"), apply: |call| last_bit(call, "stateRoot") },
    Flip { name: "receiptsRoot", expected: Expected::Invalid("receipt"), apply: |call| last_bit(call, "receiptsRoot") },
    Flip { name: "logsBloom", expected: Expected::Invalid("bloom"), apply: |call| last_bit(call, "logsBloom") },
    Flip { name: "gasUsed", expected: Expected::Invalid("gas used"), apply: |call| bit(call, "gasUsed", 0) },
    Flip { name: "blockNumber", expected: Expected::Invalid("number"), apply: |call| bit(call, "blockNumber", 8) },
    Flip {
        name: "baseFeePerGas",
        expected: Expected::Invalid("base fee"),
        apply: |call| bit(call, "baseFeePerGas", 0),
    },
    Flip { name: "blobGasUsed", expected: Expected::Invalid("blob gas"), apply: |call| bit(call, "blobGasUsed", 17) },
    Flip {
        name: "excessBlobGas",
        expected: Expected::Invalid("excess blob gas"),
        apply: |call| bit(call, "excessBlobGas", 17),
    },
    // The payload carries the withdrawals themselves, not their root: what differs is the state they lead to.
    Flip { name: "withdrawals", expected: Expected::Invalid("state root"), apply: withdrawal },
    Flip { name: "requests", expected: Expected::Invalid("request"), apply: request },
    // The root goes into the state of the beacon roots contract (EIP-4788).
    Flip { name: "parentBeaconBlockRoot", expected: Expected::Invalid("state root"), apply: beacon_root },
    Flip { name: "extraData", expected: Expected::LikeGeth, apply: |call| last_bit(call, "extraData") },
    Flip { name: "prevRandao", expected: Expected::LikeGeth, apply: |call| last_bit(call, "prevRandao") },
    Flip { name: "feeRecipient", expected: Expected::LikeGeth, apply: |call| last_bit(call, "feeRecipient") },
    Flip { name: "gasLimit by 1", expected: Expected::LikeGeth, apply: |call| bit(call, "gasLimit", 0) },
    Flip { name: "gasLimit by 2^20", expected: Expected::LikeGeth, apply: |call| bit(call, "gasLimit", 20) },
    Flip { name: "timestamp by 1", expected: Expected::LikeGeth, apply: |call| bit(call, "timestamp", 0) },
    Flip { name: "timestamp by 8", expected: Expected::LikeGeth, apply: |call| bit(call, "timestamp", 3) },
];

/// The same change with the announced hash left as it was.
pub(super) const HASH_KEPT: Flip = Flip {
    name: "stateRoot, announced hash kept",
    expected: Expected::Invalid("hash"),
    apply: |call| last_bit(call, "stateRoot"),
};

/// Flips the last bit of a field of bytes; empty bytes get one byte.
fn last_bit(call: &mut Call, field: &str) -> bool {
    call.field(field).is_some_and(flip_last_bit)
}

fn flip_last_bit(value: &mut Value) -> bool {
    let Some(text) = value.as_str() else { return false };
    let flipped = match text.chars().last().and_then(|digit| digit.to_digit(16)) {
        Some(digit) if text.len() > 2 => format!("{}{:x}", &text[..text.len() - 1], digit ^ 1),
        _ => "0x01".to_string(),
    };
    *value = json!(flipped);
    true
}

/// Flips one bit of a quantity.
fn bit(call: &mut Call, field: &str, bit: u32) -> bool {
    let Some(value) = call.field(field) else { return false };
    let Some(number) = value.as_str().and_then(|text| parse_quantity(text).ok()) else { return false };
    *value = json!(format!("{:#x}", number ^ (1 << bit)));
    true
}

/// Changes the amount of the first withdrawal.
fn withdrawal(call: &mut Call) -> bool {
    let Some(amount) = call.field("withdrawals").and_then(|list| list.get_mut(0)?.get_mut("amount")) else {
        return false;
    };
    let Some(number) = amount.as_str().and_then(|text| parse_quantity(text).ok()) else { return false };
    *amount = json!(format!("{:#x}", number ^ 1));
    true
}

/// Changes the first request, or claims one where there is none.
fn request(call: &mut Call) -> bool {
    let Some(Value::Array(requests)) = call.param(3) else { return false };
    match requests.first_mut() {
        Some(first) => flip_last_bit(first),
        None => {
            requests.push(json!("0x0101"));
            true
        }
    }
}

fn beacon_root(call: &mut Call) -> bool {
    call.param(2).is_some_and(flip_last_bit)
}
