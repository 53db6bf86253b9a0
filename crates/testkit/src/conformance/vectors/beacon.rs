//! Beacon blocks: the payload inside, handed over as a consensus client does, must rebuild to the hash that it names.
//!
//! The chain that is asked knows none of them. So the answer is SYNCING if the hash was rebuilt and the block reads,
//! and INVALID if not.

use super::fields::{self, byte_strings, bytes, number, same, text};
use crate::conformance::{
    archive::Member,
    cases::{Cases, Failure},
    engine,
};
use alloy_primitives::{B256, Bytes, U256};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use starling_chainspec::{ChainSpec, Fork};

/// First byte of the hash that stands for a blob in a transaction.
const VERSIONED_HASH_KZG: u8 = 1;

pub(super) fn run(member: &Member, cases: &mut Cases<'_>) -> Result<(), String> {
    let block: Value = fields::file(member)?;
    let fork = fork_of(&block["body"]);
    cases.case("", &fork.to_string(), || check(fork, &block));
    Ok(())
}

fn fork_of(body: &Value) -> Fork {
    match (body.get("execution_requests"), body.get("blob_kzg_commitments")) {
        (Some(_), _) => Fork::Prague,
        (_, Some(_)) => Fork::Cancun,
        _ => Fork::Shanghai,
    }
}

fn check(fork: Fork, block: &Value) -> Result<(), Failure> {
    let body = &block["body"];
    let mut params = vec![payload(&body["execution_payload"])?];
    if fork >= Fork::Cancun {
        let hashes: Vec<B256> = byte_strings(body, "blob_kzg_commitments")?.iter().map(versioned_hash).collect();
        params.push(json!(hashes));
        params.push(block["parent_root"].clone());
    }
    if fork >= Fork::Prague {
        params.push(json!(requests(&body["execution_requests"])?));
    }
    let version = match fork {
        Fork::Prague => 4,
        Fork::Cancun => 3,
        _ => 2,
    };
    let ask = |params: &[Value]| engine::new_payload(ChainSpec::up_to(fork), version, params);
    same("status", text(&ask(&params)?, "status")?, "SYNCING")?;
    // Any other hash must not do.
    params[0]["gasUsed"] = hex(number(&params[0], "gasUsed")? ^ 1);
    same("status with other gas", text(&ask(&params)?, "status")?, "INVALID")
}

fn hex(number: u64) -> Value {
    format!("{number:#x}").into()
}

/// The payload in the names and numbers of the Engine API: the beacon API writes decimals, and words apart by `_`.
fn payload(beacon: &Value) -> Result<Value, String> {
    const NUMBERS: [&str; 6] =
        ["block_number", "gas_limit", "gas_used", "timestamp", "blob_gas_used", "excess_blob_gas"];
    let mut payload = serde_json::Map::new();
    for (name, value) in beacon.as_object().ok_or("no payload")? {
        let value = match name.as_str() {
            "base_fee_per_gas" => {
                let fee: U256 = fields::word(beacon, name)?;
                format!("{fee:#x}").into()
            }
            "withdrawals" => value.as_array().into_iter().flatten().map(withdrawal).collect::<Result<_, _>>()?,
            name if NUMBERS.contains(&name) => hex(number(beacon, name)?),
            _ => value.clone(),
        };
        payload.insert(camel_case(name), value);
    }
    Ok(payload.into())
}

fn withdrawal(beacon: &Value) -> Result<Value, String> {
    Ok(json!({
        "index": hex(number(beacon, "index")?),
        "validatorIndex": hex(number(beacon, "validator_index")?),
        "address": beacon["address"],
        "amount": hex(number(beacon, "amount")?),
    }))
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        name.push_str(&head.to_ascii_uppercase());
        name.push_str(tail);
        name
    })
}

fn versioned_hash(commitment: &Bytes) -> B256 {
    let mut hash = B256::new(Sha256::digest(commitment).into());
    hash[0] = VERSIONED_HASH_KZG;
    hash
}

/// Requests as EIP-7685 has them: a type byte and the requests' SSZ, one behind the other; none for an empty list.
fn requests(beacon: &Value) -> Result<Vec<Bytes>, String> {
    let lists = [
        ("deposits", &["pubkey", "withdrawal_credentials", "amount#", "signature", "index#"][..]),
        ("withdrawals", &["source_address", "validator_pubkey", "amount#"]),
        ("consolidations", &["source_address", "source_pubkey", "target_pubkey"]),
    ];
    let mut requests = Vec::new();
    for (kind, (name, members)) in (0u8..).zip(lists) {
        let list = beacon[name].as_array().ok_or_else(|| format!("no list of {name}"))?;
        if list.is_empty() {
            continue;
        }
        let mut request = vec![kind];
        for item in list {
            for member in members {
                match member.strip_suffix('#') {
                    Some(name) => request.extend_from_slice(&number(item, name)?.to_le_bytes()),
                    None => request.extend_from_slice(&bytes(item, member)?),
                }
            }
        }
        requests.push(request.into());
    }
    Ok(requests)
}
