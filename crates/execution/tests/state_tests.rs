//! The official state tests: one transaction each on a small state, for every fork.
//!
//! A sample by default. `STARLING_STATE_TESTS=all` takes every case, `=N` every N-th file;
//! `STARLING_STATE_TESTS_ARCHIVE` narrows to archives whose name contains it.

mod common;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2718::Decodable2718,
    eip2930::{AccessList, AccessListItem},
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use common::{
    HashedState,
    json::{address, bytes, for_each_json, hash, number, pre_state, word},
};
use serde_json::Value;
use starling_chainspec::{BlobSchedule, ChainSpec, Fork};
use starling_execution::execute_transaction;
use starling_primitives::{Account, Header, ReadError, StateReader, Transaction, recover_sender};
use starling_testkit::fixtures;
use std::collections::BTreeMap;

/// An archive, every how many files of it are taken by default, whether it touches the coinbase once more.
const ARCHIVES: [(&str, usize, bool); 4] = [
    ("eest-state-stable.tar.zst", 60, false),
    ("ethereum-tests-state.tar.zst", 40, true),
    ("legacy-constantinople-state.tar.zst", 25, true),
    ("legacy-cancun-state.tar.zst", 60, true),
];

#[test]
fn state_tests_of_every_fork() {
    let narrowed = std::env::var("STARLING_STATE_TESTS_ARCHIVE").unwrap_or_default();
    let mut failed = 0;
    for (archive, sample, touches) in ARCHIVES.iter().filter(|(name, ..)| name.contains(&narrowed)) {
        let every = match std::env::var("STARLING_STATE_TESTS").as_deref() {
            Ok("all") => 1,
            Ok(every) => every.parse().expect("STARLING_STATE_TESTS is `all` or a number"),
            Err(_) => *sample,
        };
        let Some(path) = fixtures::find(archive) else { continue };
        let mut tally = Tally::default();
        for_each_json(&path, every, |name, file| run_file(name, file, *touches, &mut tally));
        tally.print(archive);
        failed += tally.failures.len();
    }
    assert_eq!(failed, 0, "cases failed");
}

#[derive(Default)]
struct Tally {
    passed: BTreeMap<String, usize>,
    failures: Vec<String>,
}

impl Tally {
    fn print(&self, archive: &str) {
        eprintln!("{archive}: passed {:?}, failed {}", self.passed, self.failures.len());
        for failure in self.failures.iter().take(60) {
            eprintln!("  {failure}");
        }
    }
}

fn run_file(name: &str, file: &Value, touches: bool, tally: &mut Tally) {
    for (test, case) in file.as_object().unwrap() {
        let Some(post) = case["post"].as_object() else { continue };
        let pre = pre_state(&case["pre"]);
        for (network, variants) in post {
            let Some(fork) = fork_named(network) else {
                tally.failures.push(format!("{name}: unknown network {network}"));
                continue;
            };
            for (at, variant) in variants.as_array().unwrap().iter().enumerate() {
                match run_variant(case, variant, fork, &pre, touches) {
                    Ok(()) => *tally.passed.entry(network.clone()).or_default() += 1,
                    Err(why) => {
                        tally.failures.push(format!("{name} {test} {network}[{at}] {}: {why}", variant["indexes"]));
                    }
                }
            }
        }
    }
}

fn run_variant(case: &Value, variant: &Value, fork: Fork, pre: &HashedState, touches: bool) -> Result<(), String> {
    let spec = spec_for(case, fork);
    let header = header_of(&case["env"], fork);
    let mut post = pre.clone();
    let refusal = variant.get("expectException").and_then(Value::as_str);
    let mut logs = Vec::new();
    match transaction_of(case, variant, fork) {
        Ok((tx, sender)) => match execute_transaction(&spec, &header, &tx, sender, &Reader(pre)) {
            Ok((receipt, diff)) => {
                if let Some(refusal) = refusal {
                    return Err(format!("was to be refused: {refusal}"));
                }
                post.apply(&diff);
                logs = receipt.logs;
            }
            Err(error) if refusal.is_none() => return Err(error.to_string()),
            Err(_) => {}
        },
        Err(why) if refusal.is_none() => return Err(why),
        Err(_) => {}
    }
    if touches {
        touch(&mut post, header.beneficiary, fork);
    }
    if keccak256(alloy_rlp::encode(&logs)) != hash(&variant["logs"]) {
        return Err("logs differ".into());
    }
    if post.root() != hash(&variant["hash"]) {
        return Err("state root differs".into());
    }
    Ok(())
}

/// The older sets touch the coinbase with nothing after the transaction.
fn touch(state: &mut HashedState, coinbase: Address, fork: Fork) {
    let key = keccak256(coinbase);
    if fork < Fork::SpuriousDragon {
        state.accounts.entry(key).or_insert((Account::default(), BTreeMap::new()));
    } else if state.accounts.get(&key).is_some_and(|(account, _)| account.is_empty()) {
        state.accounts.remove(&key);
    }
}

/// A state whose block hashes are the hashes of the numbers' decimal text.
struct Reader<'a>(&'a HashedState);

impl StateReader for Reader<'_> {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadError> {
        self.0.account(address)
    }
    fn slot(&self, address: &Address, slot: &U256) -> Result<U256, ReadError> {
        self.0.slot(address, slot)
    }
    fn code(&self, hash: &B256) -> Result<Bytes, ReadError> {
        self.0.code(hash)
    }
    fn block_hash(&self, number: u64) -> Result<Option<B256>, ReadError> {
        Ok(Some(keccak256(number.to_string())))
    }
}

fn fork_named(network: &str) -> Option<Fork> {
    Some(match network {
        "Frontier" => Fork::Frontier,
        "Homestead" => Fork::Homestead,
        "EIP150" => Fork::Tangerine,
        "EIP158" => Fork::SpuriousDragon,
        "Byzantium" => Fork::Byzantium,
        "Constantinople" => Fork::Constantinople,
        "ConstantinopleFix" => Fork::Petersburg,
        "Istanbul" => Fork::Istanbul,
        "Berlin" => Fork::Berlin,
        "London" => Fork::London,
        "Paris" | "Merge" => Fork::Paris,
        "Shanghai" => Fork::Shanghai,
        "Cancun" => Fork::Cancun,
        "Prague" => Fork::Prague,
        "Osaka" => Fork::Osaka,
        _ => return None,
    })
}

fn spec_for(case: &Value, fork: Fork) -> ChainSpec {
    let mut spec = ChainSpec::up_to(fork);
    let config = &case["config"];
    spec.chain_id = config.get("chainid").map_or(1, number);
    for (name, schedule) in config["blobSchedule"].as_object().into_iter().flatten() {
        if fork_named(name) == Some(fork) {
            let schedule = BlobSchedule {
                target: number(&schedule["target"]),
                max: number(&schedule["max"]),
                base_fee_update_fraction: number(&schedule["baseFeeUpdateFraction"]),
            };
            spec.blob_schedule.retain(|(known, _)| *known != fork);
            spec.blob_schedule.push((fork, schedule));
        }
    }
    spec
}

fn header_of(env: &Value, fork: Fork) -> Header {
    let merged = fork >= Fork::Paris;
    Header {
        beneficiary: address(&env["currentCoinbase"]),
        number: number(&env["currentNumber"]),
        timestamp: number(&env["currentTimestamp"]),
        gas_limit: number(&env["currentGasLimit"]),
        difficulty: if merged { U256::ZERO } else { word(&env["currentDifficulty"]) },
        mix_hash: env.get("currentRandom").map_or(B256::ZERO, |value| word(value).into()),
        base_fee_per_gas: (fork >= Fork::London).then(|| env.get("currentBaseFee").map_or(10, number)),
        excess_blob_gas: (fork >= Fork::Cancun).then(|| env.get("currentExcessBlobGas").map_or(0, number)),
        ..Header::default()
    }
}

/// The variant's transaction and its sender: from its bytes if there are any, else from its fields.
fn transaction_of(case: &Value, variant: &Value, fork: Fork) -> Result<(Transaction, Address), String> {
    let fields = &case["transaction"];
    if let Some(raw) = variant.get("txbytes").and_then(Value::as_str) {
        let raw: Bytes = raw.parse().map_err(|error| format!("{error:?}"))?;
        let tx = Transaction::decode_2718_exact(&raw).map_err(|error| error.to_string())?;
        let sender = recover_sender(&tx, fork >= Fork::Homestead).map_err(|error| error.to_string())?;
        return Ok((tx, sender));
    }
    let sender = match fields.get("sender") {
        Some(sender) => address(sender),
        None => return Err("no sender".into()),
    };
    Ok((unsigned(fields, variant)?, sender))
}

fn unsigned(fields: &Value, variant: &Value) -> Result<Transaction, String> {
    let at = |name: &str| variant["indexes"][name].as_u64().unwrap() as usize;
    let input = bytes(&fields["data"][at("data")]);
    let gas_limit = word(&fields["gasLimit"][at("gas")]).try_into().map_err(|_| "gas limit is too large")?;
    let value_text = fields["value"][at("value")].as_str().unwrap_or_default();
    let value = value_text.parse::<U256>().map_err(|error| error.to_string())?;
    let to = match fields["to"].as_str() {
        None | Some("") => TxKind::Create,
        Some(to) => TxKind::Call(to.parse().unwrap()),
    };
    let call_to = to.to().copied().unwrap_or_default();
    let nonce = word(&fields["nonce"]).try_into().map_err(|_| "nonce is too large")?;
    let fee =
        |name: &str| fields.get(name).map(|fee| u128::try_from(word(fee)).map_err(|_| "fee is too large")).transpose();
    let access_list = fields.get("accessLists").map(|lists| access_list(&lists[at("data")]));
    let (price, fee_cap, tip_cap) = (fee("gasPrice")?, fee("maxFeePerGas")?, fee("maxPriorityFeePerGas")?);
    let signature = Signature::test_signature();
    let chain_id = 1;
    let max_fee_per_gas = fee_cap.unwrap_or_default();
    let max_priority_fee_per_gas = tip_cap.unwrap_or_default();
    let access = access_list.clone().unwrap_or_default();
    Ok(if fields.get("authorizationList").is_some() {
        let authorization_list =
            serde_json::from_value(fields["authorizationList"].clone()).map_err(|e| e.to_string())?;
        TxEip7702 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to: call_to,
            value,
            access_list: access,
            authorization_list,
            input,
        }
        .into_signed(signature)
        .into()
    } else if let Some(max_fee_per_blob_gas) = fee("maxFeePerBlobGas")? {
        let hashes = fields["blobVersionedHashes"].as_array().cloned().unwrap_or_default();
        let blob_versioned_hashes = hashes.iter().map(hash).collect();
        TxEip4844 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to: call_to,
            value,
            access_list: access,
            blob_versioned_hashes,
            max_fee_per_blob_gas,
            input,
        }
        .into_signed(signature)
        .into()
    } else if fee_cap.is_some() {
        TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list: access,
            input,
        }
        .into_signed(signature)
        .into()
    } else if let Some(access_list) = access_list {
        TxEip2930 { chain_id, nonce, gas_price: price.unwrap_or_default(), gas_limit, to, value, access_list, input }
            .into_signed(signature)
            .into()
    } else {
        TxLegacy { chain_id: None, nonce, gas_price: price.unwrap_or_default(), gas_limit, to, value, input }
            .into_signed(signature)
            .into()
    })
}

fn access_list(list: &Value) -> AccessList {
    let items = list.as_array().cloned().unwrap_or_default();
    AccessList(
        items
            .iter()
            .map(|item| AccessListItem {
                address: address(&item["address"]),
                storage_keys: item["storageKeys"].as_array().unwrap().iter().map(hash).collect(),
            })
            .collect(),
    )
}
