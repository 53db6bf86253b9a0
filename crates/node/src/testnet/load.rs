//! Transfers.

use super::{
    folder::{Member, Network},
    rpc::{self, quantity},
};
use crate::{
    cli::LoadArgs,
    commands::say,
    failure::{Context, Failure},
    sealer::dev_accounts,
};
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Signature, TxKind, U256, hex};
use serde_json::json;
use starling_primitives::{Address, NodeKey, Transaction};
use std::time::{Duration, Instant};

/// What each transfer gives, in wei.
const VALUE: u64 = 1;
/// To whom: nobody has its key.
const TO: Address = Address::repeat_byte(0x5a);
/// Most wei for a unit of gas: above what the base fee comes to in any test.
const FEE_CAP: u128 = 100_000_000_000;
const TIP: u128 = 1_000_000_000;
/// Time that the last transfers have to be mined.
const MINED_TIME_MAX: Duration = Duration::from_secs(60);

/// An account that sends.
struct Sender {
    key: NodeKey,
    address: Address,
    nonce: u64,
}

/// Sends transfers at a pace, through one node after the other.
pub(super) fn run(args: &LoadArgs) -> Result<(), Failure> {
    let network = Network::existing(&args.folder.dir)?;
    let members: Vec<_> = network.running().collect();
    let first = *members.first().ok_or_else(|| network.not_running())?;
    let mut senders =
        dev_accounts().map(|(address, key)| Sender::new(first, address, key)).collect::<Result<Vec<_>, _>>()?;
    let before: u64 = senders.iter().map(|sender| sender.nonce).sum();
    let (since, every) = (Instant::now(), Duration::from_secs(1) / args.tps);
    let (mut sent, mut refused) = (0_u32, 0_u32);
    while since.elapsed() < args.time {
        let count = senders.len();
        let sender = &mut senders[sent as usize % count];
        // Always the same node for an account, so that its transfers arrive in order.
        let member = members[(sent as usize % count) % members.len()];
        match send(&network, member, sender) {
            Ok(_) => sender.nonce += 1,
            Err(failure) => {
                refused += 1;
                if refused == 1 {
                    say(&format!("refused: {failure}"))?;
                }
            }
        }
        sent += 1;
        std::thread::sleep((every * sent).saturating_sub(since.elapsed()));
    }
    let wanted: u64 = senders.iter().map(|sender| sender.nonce).sum();
    let mut mined = before;
    let end = Instant::now() + MINED_TIME_MAX;
    while mined < wanted && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(500));
        mined = senders.iter().filter_map(|sender| nonce(first, &sender.address, "latest").ok()).sum();
    }
    let elapsed = since.elapsed().as_secs_f64();
    say(&format!(
        "{sent} transfers sent in {:.1} s, {refused} refused, {} mined after {elapsed:.1} s ({:.1} a second)",
        args.time.as_secs_f64(),
        mined - before,
        (mined - before) as f64 / elapsed
    ))?;
    match mined == wanted {
        true => Ok(()),
        false => Err(Failure::new(format_args!("{} accepted transfers are not mined", wanted - mined))
            .remedy("ask `txpool_explain` about them")),
    }
}

/// One transfer of the first account through a node; its hash.
pub(super) fn send_one(network: &Network, member: &Member) -> Result<String, Failure> {
    let (address, key) = dev_accounts().next().ok_or_else(|| Failure::new("no accounts are known"))?;
    send(network, member, &Sender::new(member, address, key)?)
}

fn send(network: &Network, member: &Member, sender: &Sender) -> Result<String, Failure> {
    let tx = TxEip1559 {
        chain_id: network.settings.chain_id,
        nonce: sender.nonce,
        gas_limit: 21_000,
        max_fee_per_gas: FEE_CAP,
        max_priority_fee_per_gas: TIP,
        to: TxKind::Call(TO),
        value: U256::from(VALUE),
        ..TxEip1559::default()
    };
    let [bytes @ .., parity] = sender.key.sign_recoverable(&tx.signature_hash());
    let signed: Transaction = tx.into_signed(Signature::from_bytes_and_parity(&bytes, parity != 0)).into();
    let raw = hex::encode_prefixed(signed.encoded_2718());
    let hash = rpc::call(&url(member)?, "eth_sendRawTransaction", &[json!(raw)])?;
    hash.as_str().map(String::from).ok_or_else(|| Failure::new("eth_sendRawTransaction answers without a hash"))
}

impl Sender {
    fn new(member: &Member, address: Address, key: NodeKey) -> Result<Self, Failure> {
        Ok(Self { nonce: nonce(member, &address, "pending")?, key, address })
    }
}

fn nonce(member: &Member, address: &Address, at: &str) -> Result<u64, Failure> {
    let answer = rpc::call(&url(member)?, "eth_getTransactionCount", &[json!(address), json!(at)])?;
    quantity(&answer).ok_or("no number").context("eth_getTransactionCount")
}

fn url(member: &Member) -> Result<String, Failure> {
    member.http().ok_or_else(|| Failure::new(format_args!("{} does not run", member.name)))
}
