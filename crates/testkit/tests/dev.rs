//! Development chains: what test tools change lasts, and can be run again by somebody else; any fork may be the first.

use serde_json::{Value, json};
use starling_testkit::{
    Outcome,
    fixtures::repository,
    node::{Home, Node},
};

const ACCOUNT: &str = "0x00000000000000000000000000000000000000d1";
const CONTRACT: &str = "0x00000000000000000000000000000000000000c0";
const STRANGER: &str = "0x00000000000000000000000000000000000000ff";
/// The first account of the well-known phrase.
const FUNDED: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
const FLAGS: &[&str] = &["--dev", "--http.api", "anvil,evm,hardhat"];
/// Long enough for anything that a test of this file waits for.
const MINED_MAX: std::time::Duration = std::time::Duration::from_secs(20);

fn send(node: &Node, from: &str, to: &str) -> Outcome<Value> {
    let hash = node.http.result("eth_sendTransaction", json!([{ "from": from, "to": to, "value": "0x64" }]))?;
    let end = std::time::Instant::now() + MINED_MAX;
    while std::time::Instant::now() < end {
        let receipt = node.http.result("eth_getTransactionReceipt", json!([hash]))?;
        if !receipt.is_null() {
            return Ok(receipt);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Err(format!("the transaction {hash} of {from} is in no block"))
}

/// What was changed, as it stands.
fn state(node: &Node) -> Outcome<Vec<Value>> {
    let ask = |method, params| node.http.result(method, params);
    Ok(vec![
        ask("eth_getBalance", json!([ACCOUNT, "latest"]))?,
        ask("eth_getTransactionCount", json!([ACCOUNT, "latest"]))?,
        ask("eth_getCode", json!([CONTRACT, "latest"]))?,
        ask("eth_getStorageAt", json!([CONTRACT, "0x5", "latest"]))?,
        ask("eth_getBalance", json!([STRANGER, "latest"]))?,
        ask("eth_getBlockByNumber", json!(["latest", false]))?["hash"].clone(),
    ])
}

fn changes_last() -> Outcome {
    let home = Home::new()?;
    let node = Node::start(&home, FLAGS)?;
    let ask = |method, params| node.http.result(method, params);
    ask("anvil_setBalance", json!([ACCOUNT, "0xde0b6b3a7640000"]))?;
    ask("anvil_setNonce", json!([ACCOUNT, "0x29"]))?;
    ask("hardhat_setCode", json!([CONTRACT, "0x60005460005260206000f3"]))?;
    ask(
        "hardhat_setStorageAt",
        json!([CONTRACT, "0x5", "0x0000000000000000000000000000000000000000000000000000000000000007"]),
    )?;
    let refused = node.http.call("eth_sendTransaction", json!([{ "from": ACCOUNT, "to": STRANGER }]))?;
    assert!(refused.is_err(), "not impersonated yet");
    ask("anvil_impersonateAccount", json!([ACCOUNT]))?;
    let receipt = send(&node, ACCOUNT, STRANGER)?;
    assert_eq!([&receipt["status"], &receipt["from"]], ["0x1", ACCOUNT]);
    // A contract that has money, whose key nobody has.
    let raw = ask("eth_getRawTransactionByHash", json!([receipt["transactionHash"]]))?;
    assert!(
        node.http.call("eth_sendRawTransaction", json!([raw]))?.is_err(),
        "nobody signed it, so nobody may send it"
    );
    let here = ask("evm_snapshot", json!([]))?;
    ask("anvil_setBalance", json!([CONTRACT, "0xde0b6b3a7640000"]))?;
    ask("anvil_impersonateAccount", json!([CONTRACT]))?;
    assert_eq!(send(&node, CONTRACT, STRANGER)?["status"], "0x1");
    assert_eq!(ask("evm_revert", json!([here]))?, true);

    let before = state(&node)?;
    assert_eq!(
        before[1..5],
        [json!("0x2a"), json!("0x60005460005260206000f3"), json!(format!("0x{:064x}", 7)), json!("0x64")]
    );
    node.kill()?;
    let node = Node::start(&home, FLAGS)?;
    assert_eq!(state(&node)?, before, "nothing is lost with the process");
    assert_eq!(send(&node, FUNDED, STRANGER)?["status"], "0x1");
    let after = state(&node)?;
    node.stop()?;

    home.run("db verify", &[] as &[&str])?;
    let file = home.beside("chain.rlp");
    home.run("export", &[&file])?;
    let other = Home::with_genesis(&repository().join("genesis/dev.json"))?;
    other.run("import", &[&file])?;
    let node = Node::start(&other, FLAGS)?;
    assert_eq!(state(&node)?, after, "whoever runs the blocks again comes to the same");
    node.http.result("hardhat_reset", json!([]))?;
    assert_eq!(node.head()?.0, 0);
    assert_eq!(send(&node, FUNDED, STRANGER)?["blockNumber"], "0x1");
    node.stop().map(drop)
}

/// The forks of a genesis in their order, by the names in its configuration.
const FORKS: [&[&str]; 13] = [
    &["homesteadBlock"],
    &["eip150Block"],
    &["eip155Block", "eip158Block"],
    &["byzantiumBlock"],
    &["constantinopleBlock", "petersburgBlock"],
    &["istanbulBlock"],
    &["berlinBlock"],
    &["londonBlock"],
    &[],
    &["shanghaiTime"],
    &["cancunTime"],
    &["pragueTime"],
    &["osakaTime"],
];

/// A chain on which the first `count` steps of forks hold from the first block on: a transfer, a change and a restart.
fn begins_with(genesis: &Value, count: usize) -> Outcome {
    let mut genesis = genesis.clone();
    let config = genesis["config"].as_object_mut().ok_or("no config")?;
    let kept = |name: &str| {
        let is_fork = name.ends_with("Block") || name.ends_with("Time");
        !is_fork || FORKS[..count].iter().flat_map(|names| names.iter()).any(|fork| *fork == name)
    };
    config.retain(|name, _| kept(name));
    for name in FORKS[..count].iter().flat_map(|names| names.iter()) {
        config.insert((*name).to_owned(), json!(0));
    }
    if !genesis["config"].as_object().is_some_and(|config| config.contains_key("londonBlock")) {
        genesis.as_object_mut().and_then(|genesis| genesis.remove("baseFeePerGas"));
    }
    let home = Home::new()?;
    let file = home.beside("genesis.json");
    std::fs::write(&file, genesis.to_string()).map_err(|error| error.to_string())?;
    let chain = file.to_string_lossy();
    let flags = [FLAGS, &["--chain", &chain]].concat();
    let node = Node::start(&home, &flags)?;
    node.http.result("anvil_setBalance", json!([ACCOUNT, "0xde0b6b3a7640000"]))?;
    let receipt = send(&node, FUNDED, STRANGER)?;
    assert_eq!(receipt["gasUsed"], "0x5208", "with {count}");
    let head = node.head()?;
    assert_eq!(head.0, 2);
    node.kill()?;
    let node = Node::start(&home, FLAGS)?;
    assert_eq!(node.head()?, head);
    assert_eq!(node.http.result("eth_getBalance", json!([ACCOUNT, "pending"]))?, "0xde0b6b3a7640000");
    node.stop().map(drop)
}

#[test]
fn what_test_tools_change_lasts() {
    changes_last().unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn any_fork_may_be_the_first() {
    let text = std::fs::read_to_string(repository().join("genesis/dev.json")).expect("the genesis");
    let genesis: Value = serde_json::from_str(&text).expect("JSON");
    for count in 0..=FORKS.len() {
        begins_with(&genesis, count).unwrap_or_else(|error| panic!("{:?}: {error}", &FORKS[..count]));
    }
}
