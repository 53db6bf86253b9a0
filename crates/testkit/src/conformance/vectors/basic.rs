//! The early basics: genesis blocks, keys and addresses, paths of tries, ciphers, difficulty along old schedules.

use super::{
    difficulty,
    fields::{self, bytes, hash, number, same, same_debug, text, word},
};
use crate::conformance::{
    archive::Member,
    cases::{Cases, Failure, Verdict},
};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, Bytes, TxKind, U256, hex, keccak256};
use serde_json::{Value, json};
use starling_chainspec::{ChainSpec, Fork};
use starling_primitives::{Block, BlockBody, Nibbles, NodeKey, Transaction, recover_address, recover_sender};
use starling_trie::hex_prefix;

/// The files that describe the suite's other files, and are counted with its cases.
const SCHEMAS: [&str; 3] = ["JSONSchema/bc-schema.json", "JSONSchema/st-schema.json", "JSONSchema/vm-schema.json"];

const NO_CASE: &str = "a JSON schema, which holds no case";
const OLD_HEADER: &str = "a header of the proof-of-concept chains before Frontier, which no network has";

const TOO_EASY: &str = "its parent is below the least difficulty, which no block can be; clients differ there";

/// Where the old chains of the difficulty files changed their rules, by block.
type Schedule = &'static [(Fork, u64)];
const MAINNET: Schedule = &[(Fork::Byzantium, 4_370_000), (Fork::Homestead, 1_150_000)];
const ROPSTEN: Schedule = &[(Fork::Constantinople, 4_230_000), (Fork::Byzantium, 1_700_000), (Fork::Homestead, 0)];
const HOMESTEAD: Schedule = &[(Fork::Homestead, 0)];
/// What a block's difficulty is at least.
const MINIMUM_DIFFICULTY: U256 = U256::from_limbs([131_072, 0, 0, 0]);

pub(super) fn run(member: &Member, cases: &mut Cases<'_>) -> Result<(), String> {
    let name = member.path.rsplit('/').next().unwrap_or_default();
    if member.path.starts_with("JSONSchema/") {
        if SCHEMAS.contains(&member.path.as_str()) {
            cases.case("", "", || Verdict::Skipped(NO_CASE));
        }
        return Ok(());
    }
    let file: Value = fields::file(member)?;
    let schedule = match name {
        "difficulty.json" | "difficultyMainNetwork.json" | "difficultyCustomMainNetwork.json" => Some(MAINNET),
        "difficultyRopsten.json" => Some(ROPSTEN),
        "difficultyCustomHomestead.json" => Some(HOMESTEAD),
        _ => None,
    };
    if name == "genesishashestest.json" {
        for field in ["genesis_rlp_hex", "genesis_state_root", "genesis_hash"] {
            cases.case(field, "", || check_mainnet_genesis(field, &file));
        }
        return Ok(());
    }
    for (case_name, case) in named(&file) {
        cases.case(&case_name, "", || match (schedule, name) {
            (Some(schedule), _) => check_difficulty(schedule, case),
            (_, "blockgenesistest.json") => Verdict::Skipped(OLD_HEADER),
            (_, "basic_genesis_tests.json") => check_genesis(case).into(),
            (_, "hexencodetest.json") => check_path(case).into(),
            (_, "keyaddrtest.json") => check_key(case).into(),
            (_, "txtest.json") => check_transaction(case).into(),
            (_, "crypto.json") => check_cipher(case).into(),
            _ => Verdict::Failed(format!("what is {name}?").into()),
        });
    }
    Ok(())
}

/// Cases of an object by name, of a list by number.
fn named(file: &Value) -> Vec<(String, &Value)> {
    match file {
        Value::Array(list) => list.iter().enumerate().map(|(index, case)| (index.to_string(), case)).collect(),
        other => other.as_object().into_iter().flatten().map(|(name, case)| (name.clone(), case)).collect(),
    }
}

fn check_difficulty(schedule: Schedule, case: &Value) -> Verdict {
    let at = || Ok::<_, String>((number(case, "currentBlockNumber")?, word(case, "parentDifficulty")?));
    let (block, parent) = match at() {
        Ok(at) => at,
        Err(why) => return Verdict::Failed(why.into()),
    };
    if parent < MINIMUM_DIFFICULTY {
        return Verdict::Skipped(TOO_EASY);
    }
    let fork = schedule.iter().find(|(_, since)| *since <= block).map_or(Fork::Frontier, |(fork, _)| *fork);
    difficulty::check(fork, case).into()
}

fn check_mainnet_genesis(field: &str, file: &Value) -> Result<(), Failure> {
    let spec = ChainSpec::named("mainnet").ok_or("no Mainnet".to_string())?;
    match field {
        "genesis_rlp_hex" => same("RLP", genesis_rlp(&spec), bytes(file, field)?),
        "genesis_state_root" => same("state root", spec.genesis_header.state_root, hash(file, field)?),
        _ => same("hash", spec.genesis_hash(), hash(file, field)?),
    }
}

fn genesis_rlp(spec: &ChainSpec) -> Bytes {
    let body = BlockBody { transactions: Vec::new(), ommers: Vec::new(), withdrawals: None };
    alloy_rlp::encode(Block { header: spec.genesis_header.clone(), body }).into()
}

/// A genesis file of the time before chain configurations; a balance could also be named `wei`, or left out.
fn check_genesis(case: &Value) -> Result<(), Failure> {
    let expected = bytes(case, "result")?;
    let mut genesis = case.clone();
    let members = genesis.as_object_mut().ok_or("not an object".to_string())?;
    members.remove("result");
    members.insert("config".into(), json!({ "chainId": 1 }));
    // An empty number was zero then.
    for (name, value) in members.iter_mut().filter(|(_, value)| *value == "0x") {
        *value = if name == "extraData" { "0x" } else { "0x0" }.into();
    }
    for account in members["alloc"].as_object_mut().into_iter().flat_map(|alloc| alloc.values_mut()) {
        if let Some(account) = account.as_object_mut() {
            let wei = account.remove("wei").unwrap_or_else(|| "0".into());
            account.entry("balance").or_insert(wei);
        }
    }
    let spec = ChainSpec::from_genesis_json("test", &genesis.to_string()).map_err(|error| error.to_string())?;
    same("RLP", genesis_rlp(&spec), expected)
}

fn check_path(case: &Value) -> Result<(), Failure> {
    let path: Vec<u8> = fields::read(&case["seq"])?;
    let leaf = case["term"].as_bool().ok_or("no flag".to_string())?;
    same("path", Bytes::from(hex_prefix(&Nibbles::from_nibbles(&path), leaf)), bytes(case, "out")?)
}

fn key_of(case: &Value) -> Result<NodeKey, String> {
    text(case, "key")?.parse().map_err(|error| format!("key: {error}"))
}

fn address_of(key: &NodeKey) -> Address {
    Address::from_slice(&keccak256(key.public())[12..])
}

fn check_key(case: &Value) -> Result<(), Failure> {
    let key = key_of(case)?;
    same("key", key.to_hex(), hex::encode(keccak256(text(case, "seed")?)))?;
    same("address", address_of(&key), text(case, "addr")?.parse().map_err(|error| format!("addr: {error}"))?)?;
    // The file's own signature is of a message that it does not give: it fits neither the hash of nothing nor zero.
    let hash = keccak256([]);
    let signature = key.sign_recoverable(&hash);
    let (r, s) = (U256::from_be_slice(&signature[..32]), U256::from_be_slice(&signature[32..64]));
    let signature = alloy_primitives::Signature::new(r, s, signature[64] == 1);
    same_debug("signer", recover_address(&signature, hash), Some(address_of(&key)))
}

fn check_transaction(case: &Value) -> Result<(), Failure> {
    use alloy_consensus::Transaction as _;
    let raw = bytes(case, "signed")?;
    let tx = Transaction::decode_2718_exact(&raw).map_err(|error| error.to_string())?;
    same("nonce", tx.nonce(), number(case, "nonce")?)?;
    same_debug("gas price", tx.gas_price().map(U256::from), Some(word(case, "gasprice")?))?;
    same("gas limit", tx.gas_limit(), number(case, "startgas")?)?;
    same("value", tx.value(), word(case, "value")?)?;
    same("data", tx.input().clone(), bytes(case, "data")?)?;
    let to = match text(case, "to")? {
        "" => TxKind::Create,
        to => TxKind::Call(to.parse().map_err(|error| format!("to: {error}"))?),
    };
    same_debug("to", tx.kind(), to)?;
    same("sender", recover_sender(&tx, false).map_err(|error| error.to_string())?, address_of(&key_of(case)?))
}

fn check_cipher(case: &Value) -> Result<(), Failure> {
    let (key, cipher, payload) = (bytes(case, "key")?, bytes(case, "cipher")?, bytes(case, "payload")?);
    let opened = match text(case, "decryption_type")? {
        "aes_ctr" => aes_ctr(&key, &cipher)?,
        "ecies_sec1_altered" => ecies(&key, &cipher)?,
        other => return Err(format!("what is {other}?").into()),
    };
    same("payload", Bytes::from(opened), payload)
}

/// The cipher of RLPx frames: AES-256-CTR from zero on.
fn aes_ctr(key: &[u8], cipher: &[u8]) -> Result<Vec<u8>, String> {
    use aes::cipher::{KeyIvInit, StreamCipher};
    let mut text = cipher.to_vec();
    let mut stream = ctr::Ctr128BE::<aes::Aes256>::new_from_slices(key, &[0; 16]).map_err(|error| error.to_string())?;
    stream.apply_keystream(&mut text);
    Ok(text)
}

/// The encryption of RLPx handshakes, without anything in the clear beside it.
fn ecies(key: &[u8], cipher: &[u8]) -> Result<Vec<u8>, String> {
    let key = alloy_primitives::B256::try_from(key).map_err(|error| error.to_string())?;
    let key = NodeKey::from_bytes(&key).map_err(|error| error.to_string())?;
    let mut message = cipher.to_vec();
    starling_devp2p::ecies::decrypt(&key, &mut message, &[])
        .map(|text| text.to_vec())
        .map_err(|error| error.to_string())
}
