//! Building a block of 60 million gas out of ten thousand pending transactions, beside geth.
//!
//! Both pools get the same transfers, a row of ten from each of a thousand accounts with tips of all sizes, and both
//! are asked for a block out of their pool (`testing_buildBlockV1`), in turn.

use std::path::{Path, PathBuf};
use std::time::Instant;

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Signature, TxKind, U256, keccak256};
use serde_json::{Value, json};
use starling_primitives::{NodeKey, Transaction};

use super::{find_program, quantile};
use crate::Outcome;
use crate::http::Client;
use crate::interop::geth::{Geth, Setup};
use crate::node::{Home, Node};

const ACCOUNTS: u64 = 1_000;
const TRANSACTIONS_EACH: u64 = 10;
const GAS_LIMIT: u64 = 60_000_000;
const CHAIN_ID: u64 = 7_331;
const BASE_FEE: u128 = 1_000_000_000;
/// Transactions of one batch request.
const BATCH: usize = 500;
/// Blocks that are built and counted, after a few that are not.
const ROUNDS: usize = 20;
const WARM_ROUNDS: usize = 3;

/// Prints the times.
pub fn build() -> Outcome {
    let program = std::env::var_os("STARLING_GETH").map(PathBuf::from).or_else(|| find_program("geth"));
    let program = program.ok_or("no geth: STARLING_GETH names it, or PATH has it")?;
    let home = Home::new()?;
    let genesis = home.beside("genesis.json");
    std::fs::write(&genesis, genesis_text()).map_err(|error| format!("genesis.json: {error}"))?;
    home.run("init", &[&genesis])?;
    let node = Node::start(&home, &["--txpool.globalslots", "20000", "--txpool.accountslots", "16"])?;
    let geth = geth(&program, &genesis)?;
    let transactions = transactions();
    for client in [&geth.http, &node.http] {
        fill(client, &transactions)?;
    }
    let mut times = [Vec::new(), Vec::new()];
    let mut sizes = [0, 0];
    for round in 0..ROUNDS + WARM_ROUNDS {
        for (who, client) in [&geth.http, &node.http].into_iter().enumerate() {
            let (took, size) = build_once(client)?;
            sizes[who] = size;
            if round >= WARM_ROUNDS {
                times[who].push(took);
            }
        }
    }
    let [geths, ours] = times.map(|times| (quantile(&times, 0.5) * 1000.0, quantile(&times, 0.99) * 1000.0));
    println!("a block of {GAS_LIMIT} gas out of {} pending transactions, ms", transactions.len());
    println!("{:<10} {:>8} {:>8} {:>14}", "", "p50", "p99", "transactions");
    println!("{:<10} {:>8.1} {:>8.1} {:>14}", "geth", geths.0, geths.1, sizes[0]);
    println!("{:<10} {:>8.1} {:>8.1} {:>14}", "starling", ours.0, ours.1, sizes[1]);
    println!("ratio {:.2}", ours.0 / geths.0);
    node.stop().map(drop)
}

fn geth(program: &Path, genesis: &Path) -> Outcome<Geth> {
    let setup = Setup { program: program.to_path_buf(), genesis: genesis.to_path_buf(), chain: None, peers: false };
    Geth::start_with(&setup, &["--txpool.globalslots", "20000", "--txpool.accountslots", "16"])
}

/// Sends the transactions and waits for no error.
fn fill(client: &Client, transactions: &[Transaction]) -> Outcome {
    for batch in transactions.chunks(BATCH) {
        let calls: Vec<Value> = batch
            .iter()
            .map(|tx| {
                let raw = alloy_primitives::Bytes::from(tx.encoded_2718());
                json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": [raw] })
            })
            .collect();
        let answers = client.send(&Value::from(calls))?;
        let refused = answers.as_array().into_iter().flatten().find(|answer| !answer["error"].is_null());
        if let Some(answer) = refused {
            return Err(format!("{} does not take a transaction: {answer}", client.url()));
        }
    }
    Ok(())
}

/// Has one block built; the seconds that it took and its transactions.
fn build_once(client: &Client) -> Outcome<(f64, usize)> {
    let head = client.result("eth_getBlockByNumber", json!(["latest", false]))?;
    let attributes = json!({
        "timestamp": "0xc", "prevRandao": B256::ZERO, "suggestedFeeRecipient": Address::repeat_byte(0xaa),
        "withdrawals": [], "parentBeaconBlockRoot": B256::ZERO,
    });
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "testing_buildBlockV1",
        "params": [head["hash"], attributes, null, "0x"] });
    let text = request.to_string();
    let started = Instant::now();
    let answer = client.send_text(&text)?;
    let took = started.elapsed().as_secs_f64();
    let transactions = answer["result"]["executionPayload"]["transactions"].as_array();
    let transactions = transactions.ok_or_else(|| format!("{} builds nothing: {}", client.url(), answer["error"]))?;
    Ok((took, transactions.len()))
}

fn keys() -> impl Iterator<Item = (NodeKey, Address)> {
    (0..ACCOUNTS).map(|index| {
        // Hashes of small numbers are keys: below the order of the curve, but for one in 2^127.
        let key = NodeKey::from_bytes(&keccak256(format!("key {index}"))).expect("a key");
        let address = Address::from_raw_public_key(key.public().as_slice());
        (key, address)
    })
}

/// All forks up to Osaka from the start.
fn genesis_text() -> String {
    let mut alloc = serde_json::Map::new();
    for (_, address) in keys() {
        alloc.insert(address.to_string(), json!({ "balance": "0x3635c9adc5dea00000" }));
    }
    for (address, code) in [
        (alloy_eips::eip4788::BEACON_ROOTS_ADDRESS, &alloy_eips::eip4788::BEACON_ROOTS_CODE),
        (alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS, &alloy_eips::eip2935::HISTORY_STORAGE_CODE),
        (
            alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
            &alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE,
        ),
        (
            alloy_eips::eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
            &alloy_eips::eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE,
        ),
    ] {
        alloc.insert(address.to_string(), json!({ "balance": "0x0", "nonce": "0x1", "code": code }));
    }
    let mut config = json!({ "chainId": CHAIN_ID, "terminalTotalDifficulty": 0, "shanghaiTime": 0, "cancunTime": 0,
        "pragueTime": 0, "osakaTime": 0, "depositContractAddress": Address::ZERO, "blobSchedule": {} });
    for block in [
        "homestead",
        "eip150",
        "eip155",
        "eip158",
        "byzantium",
        "constantinople",
        "petersburg",
        "istanbul",
        "berlin",
        "london",
    ] {
        config[format!("{block}Block")] = json!(0);
    }
    for (fork, target, max, fraction) in
        [("cancun", 3, 6, 3_338_477), ("prague", 6, 9, 5_007_716), ("osaka", 6, 9, 5_007_716)]
    {
        config["blobSchedule"][fork] = json!({ "target": target, "max": max, "baseFeeUpdateFraction": fraction });
    }
    json!({ "config": config, "alloc": alloc, "gasLimit": format!("{GAS_LIMIT:#x}"), "difficulty": "0x0",
        "timestamp": "0x0", "baseFeePerGas": format!("{BASE_FEE:#x}") })
    .to_string()
}

fn transactions() -> Vec<Transaction> {
    let mut transactions = Vec::new();
    for (index, (key, _)) in keys().enumerate() {
        for nonce in 0..TRANSACTIONS_EACH {
            // Tips rise and fall along the rows, so that the order is not that of the accounts.
            let tip = 1_000_000 + u128::from((index as u64 * 7_919 + nonce * 104_729) % 1_000_000);
            let tx = TxEip1559 {
                chain_id: CHAIN_ID,
                nonce,
                gas_limit: 21_000,
                max_fee_per_gas: 4 * BASE_FEE,
                max_priority_fee_per_gas: tip,
                to: TxKind::Call(Address::from_word(keccak256((index as u64 ^ nonce << 32).to_be_bytes()))),
                value: U256::from(1),
                ..Default::default()
            };
            let [signature @ .., parity] = key.sign_recoverable(&tx.signature_hash());
            let signature = Signature::from_bytes_and_parity(&signature, parity == 1);
            transactions.push(tx.into_signed(signature).into());
        }
    }
    transactions
}
