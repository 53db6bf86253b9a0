//! Clients that send transactions to whoever lives, and hold the nodes to what they accepted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Signature, TxKind, U256, hex};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use starling_primitives::{NodeKey, Transaction};

use super::{Board, Seen};
use crate::Outcome;

/// The chain id of the profile.
const CHAIN_ID: u64 = 94_225;
/// To whom everything goes: nobody has its key.
const TO: Address = Address::repeat_byte(0x5a);
/// Time from one transaction to the next.
const SEND_EVERY: Duration = Duration::from_millis(60);
/// One in so many replaces the one before it.
const REPLACES: u32 = 8;
/// What is paid at first, in wei; a replacement pays a quarter more.
const TIP: u128 = 1_000_000_000;
const FEE_CAP: u128 = 100_000_000_000;
/// How often is looked whether all is settled.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Senders, and what was accepted from them.
pub(super) struct Load {
    accounts: Vec<NodeKey>,
    sent: Mutex<Sent>,
}

#[derive(Default)]
struct Sent {
    /// Hashes that an RPC accepted, by account and nonce.
    accepted: BTreeMap<(usize, u64), Vec<String>>,
    /// Why others were not, and how often.
    refused: BTreeMap<String, usize>,
    /// Nobody answered: it is sent again.
    unanswered: usize,
}

/// What became of an attempt.
enum Answer {
    Accepted(String),
    /// Another attempt came through, unseen by us, and is mined.
    Used,
    Refused(String),
    Unanswered,
}

impl Load {
    pub(super) fn new(accounts: Vec<NodeKey>) -> Self {
        Self { accounts, sent: Mutex::default() }
    }

    /// Sends until told to stop.
    pub(super) fn send(&self, board: &Board, sending: &AtomicBool, seed: u64) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut nonces = vec![0; self.accounts.len()];
        while sending.load(Relaxed) {
            sleep(SEND_EVERY);
            let living = board.living();
            if living.is_empty() {
                continue;
            }
            let node = &living[random.random_range(0..living.len())];
            let account = random.random_range(0..self.accounts.len());
            let replaces = nonces[account] > 0 && random.random_ratio(1, REPLACES);
            let nonce = nonces[account] - u64::from(replaces);
            let answer = submit(node, &self.accounts[account], nonce, replaces);
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            match answer {
                Answer::Accepted(hash) => {
                    let hashes = sent.accepted.entry((account, nonce)).or_default();
                    if !hashes.contains(&hash) {
                        hashes.push(hash);
                    }
                    nonces[account] = nonce + 1;
                }
                Answer::Used => nonces[account] = nonce + 1,
                Answer::Refused(why) => *sent.refused.entry(why).or_default() += 1,
                Answer::Unanswered => sent.unanswered += 1,
            }
        }
    }

    /// Waits until everything that was accepted is mined, replaced, or reported as gone; what became of it, in words.
    pub(super) fn settle(&self, nodes: &[Seen], timeout: Duration) -> Outcome<String> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut mined, mut replaced, mut gone) = (0, 0, BTreeMap::new());
        let since = Instant::now();
        for ((account, nonce), hashes) in &sent.accepted {
            loop {
                let on_chain = hashes.iter().map(|hash| is_mined(&nodes[0], hash)).collect::<Outcome<Vec<_>>>()?;
                if on_chain.contains(&true) {
                    mined += 1;
                    replaced += hashes.len() - 1;
                    break;
                }
                let reasons = hashes.iter().map(|hash| why_gone(nodes, hash)).collect::<Outcome<Option<Vec<_>>>>()?;
                if let Some(reasons) = reasons {
                    reasons.into_iter().for_each(|why| *gone.entry(why).or_insert(0) += 1);
                    break;
                }
                if since.elapsed() > timeout {
                    return Err(lost(nodes, *account, *nonce, hashes));
                }
                sleep(LOOK_EVERY);
            }
        }
        let accepted: usize = sent.accepted.values().map(Vec::len).sum();
        let gone = if gone.is_empty() { "none gone".to_string() } else { format!("gone: {gone:?}") };
        let Sent { refused, unanswered, .. } = &*sent;
        Ok(format!(
            "{accepted} transactions accepted: {mined} mined, {replaced} replaced, {gone}; \
             {unanswered} attempts unanswered, refused: {refused:?}"
        ))
    }
}

fn submit(node: &Seen, key: &NodeKey, nonce: u64, replaces: bool) -> Answer {
    let raised = |fee: u128| if replaces { fee + fee / 4 } else { fee };
    let tx = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: raised(FEE_CAP),
        max_priority_fee_per_gas: raised(TIP),
        to: TxKind::Call(TO),
        value: U256::from(1),
        ..TxEip1559::default()
    };
    let [bytes @ .., parity] = key.sign_recoverable(&tx.signature_hash());
    let signed: Transaction = tx.into_signed(Signature::from_bytes_and_parity(&bytes, parity != 0)).into();
    let hash = signed.tx_hash().to_string();
    let raw = hex::encode_prefixed(signed.encoded_2718());
    match node.http.call("eth_sendRawTransaction", json!([raw])) {
        Err(_) => Answer::Unanswered,
        Ok(Ok(_)) => Answer::Accepted(hash),
        // An attempt that nobody answered came through.
        Ok(Err(error)) if error.message.contains("already known") => Answer::Accepted(hash),
        Ok(Err(error)) if error.message.contains("nonce too low") && !replaces => Answer::Used,
        // Without the numbers, so that the same reasons are counted together.
        Ok(Err(error)) => Answer::Refused(error.message.split(':').next().unwrap_or_default().to_string()),
    }
}

fn is_mined(node: &Seen, hash: &str) -> Outcome<bool> {
    Ok(!node.http.result("eth_getTransactionReceipt", json!([hash]))?.is_null())
}

/// Why a transaction left the pool of whoever remembers it; none if nobody says so, or says that it is mined: that was
/// in a block which is no more, and it must come back.
fn why_gone(nodes: &[Seen], hash: &str) -> Outcome<Option<String>> {
    for node in nodes {
        let explained = node.http.result("txpool_explain", json!([hash]))?;
        let why = explained["why"].as_str().unwrap_or_default();
        if explained["place"] == "gone" && !why.starts_with("mined") {
            return Ok(Some(why.split(['0', ':']).next().unwrap_or_default().trim().to_string()));
        }
    }
    Ok(None)
}

fn lost(nodes: &[Seen], account: usize, nonce: u64, hashes: &[String]) -> String {
    let explained: Vec<_> = nodes
        .iter()
        .flat_map(|node| hashes.iter().map(move |hash| node.http.call("txpool_explain", json!([hash]))))
        .map(|answer| format!("{answer:?}"))
        .collect();
    format!(
        "nonce {nonce} of account {account} was accepted as {hashes:?} and is neither mined nor reported as gone:\n{}",
        explained.join("\n")
    )
}
