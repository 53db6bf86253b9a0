//! State roots of real networks, made from nothing.

mod common;

use common::witness_root;
use serde_json::Value;
use starling_primitives::{Account, AccountDiff, Address, B256, SlotDiff, StateDiff, U256, keccak256};
use starling_testkit::fixtures;
use starling_trie::{MemoryTrie, update};

fn check(name: &str, root: &str) {
    let Some(text) = fixtures::read(&format!("era/{name}-genesis.json")) else { return };
    let genesis: Value = serde_json::from_str(&text).expect("JSON");
    let alloc = genesis["alloc"].as_object().expect("accounts");
    let mut accounts: Vec<_> = alloc.iter().map(|(address, account)| allocated(address, account)).collect();
    accounts.sort_by_key(|account| account.key);
    let mut diff = StateDiff { accounts, codes: Vec::new() };
    let mut trie = MemoryTrie::default();
    let found = update(&trie, &mut diff).expect("nothing to be damaged");
    assert_eq!(found.root.to_string(), root, "{name}");
    trie.apply(&diff, &found);
    assert_eq!(witness_root(&trie), found.root, "{name}");
}

fn allocated(address: &str, account: &Value) -> AccountDiff {
    let address: Address = address.parse().expect("an address");
    let number = |name: &str| account[name].as_str().map_or(U256::ZERO, |text| text.parse().expect("a number"));
    let code = account["code"].as_str().map(|code| alloy_primitives::hex::decode(code).expect("hex"));
    let slot = |(slot, value): (&String, &Value)| SlotDiff {
        key: keccak256(slot.parse::<B256>().expect("a slot")),
        before: U256::ZERO,
        after: value.as_str().expect("a value").parse().expect("a value"),
    };
    let mut slots: Vec<_> = account["storage"].as_object().into_iter().flatten().map(slot).collect();
    slots.sort_by_key(|slot| slot.key);
    let mut after = Account { nonce: number("nonce").to(), balance: number("balance"), ..Account::default() };
    if let Some(code) = code {
        after.code_hash = keccak256(code);
    }
    AccountDiff { key: keccak256(address), address, before: None, after: Some(after), wiped: false, slots }
}

#[test]
fn mainnet() {
    check("mainnet", "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544");
}

#[test]
fn sepolia() {
    check("sepolia", "0x5eb6e371a698b8d68f665192350ffcecbbbf322916f4b51bd79bb6887da3f494");
}

/// This one has contracts with storage.
#[test]
fn hoodi() {
    check("hoodi", "0xda87d7f5f91c51508791bbcbd4aa5baf04917830b86985eeb9ad3d5bfb657576");
}
