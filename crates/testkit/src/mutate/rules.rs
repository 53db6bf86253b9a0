//! The mutations: rules of the protocol, each with one number, sign or flag of it changed.

/// A rule, and a change of it that no test may overlook.
#[derive(Debug, Clone, Copy)]
pub struct Mutation {
    /// Which rule, as `--only` names it.
    pub rule: &'static str,
    /// The file, from the root.
    pub file: &'static str,
    /// Text that stands in it once.
    pub from: &'static str,
    /// What it becomes.
    pub to: &'static str,
}

const fn mutation(rule: &'static str, file: &'static str, from: &'static str, to: &'static str) -> Mutation {
    Mutation { rule, file, from, to }
}

const CONSTANTINOPLE: &str = "crates/execution/src/evm/constantinople.rs";
const BLOCK: &str = "crates/execution/src/block.rs";
const REWARDS: &str = "crates/execution/src/rewards.rs";

/// All mutations.
pub const MUTATIONS: [Mutation; 16] = [
    mutation("gas-cost", CONSTANTINOPLE, "SET_GAS: u64 = 20_000;", "SET_GAS: u64 = 20_001;"),
    mutation("gas-refund", CONSTANTINOPLE, "CLEAR_REFUND: i64 = 15_000;", "CLEAR_REFUND: i64 = 15_001;"),
    mutation(
        "base-fee",
        "crates/validation/src/header.rs",
        "BASE_FEE_STEP_DIVISOR: u128 = 8;",
        "BASE_FEE_STEP_DIVISOR: u128 = 9;",
    ),
    mutation("blob-fee", "crates/chainspec/src/spec.rs", "let mut i = U256::ONE;", "let mut i = U256::from(3);"),
    mutation(
        "excess-blob-gas",
        "crates/validation/src/blobs.rs",
        "excess.saturating_add(used).checked_sub(target)",
        "excess.saturating_add(used).checked_sub(target + 1)",
    ),
    // accounts that a transaction touched and left empty, the coinbase among them, cease to exist since Spurious Dragon
    mutation(
        "touched-empty",
        "crates/execution/src/evm/machine.rs",
        "hardfork::SpecId::SPURIOUS_DRAGON",
        "hardfork::SpecId::BYZANTIUM",
    ),
    mutation(
        "trie-encoding",
        "crates/trie/src/node.rs",
        "if depth.is_multiple_of(2) { 0x20 }",
        "if depth.is_multiple_of(2) { 0x00 }",
    ),
    mutation("creation-on-storage", "crates/execution/src/overlay.rs", "Ok(below || entry.slots", "Ok(entry.slots"),
    mutation("withdrawal-unit", REWARDS, "WEI_PER_GWEI: u64 = 1_000_000_000;", "WEI_PER_GWEI: u64 = 1_000_000_001;"),
    mutation("ommer-reward", "crates/chainspec/src/consensus.rs", "let eighths = 8u64", "let eighths = 9u64"),
    mutation(
        "difficulty-bomb",
        "crates/validation/src/difficulty.rs",
        "BOMB_PERIOD_BLOCKS: u64 = 100_000;",
        "BOMB_PERIOD_BLOCKS: u64 = 100_001;",
    ),
    mutation("receipt-status", BLOCK, "Status(ran.is_success())", "Status(true)"),
    mutation(
        "logs-bloom",
        "crates/primitives/src/receipt.rs",
        "blooms.iter().for_each(|(_, bloom)| all",
        "blooms.iter().skip(1).for_each(|(_, bloom)| all",
    ),
    mutation(
        "requests-hash",
        "crates/execution/src/requests.rs",
        "outer.update(Sha256::digest(request));",
        "outer.update(request);",
    ),
    mutation(
        "delegation-signature",
        "crates/execution/src/evm/env.rs",
        "authorization.s() > SECP256K1_HALF_ORDER",
        "authorization.s() == SECP256K1_HALF_ORDER",
    ),
    mutation(
        "block-gas-limit",
        BLOCK,
        "if have > left { Err(TxError::GasLimitReached",
        "if have >= left { Err(TxError::GasLimitReached",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    #[test]
    fn every_rule_stands_where_its_mutation_says() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for Mutation { rule, file, from, to } in MUTATIONS {
            let text = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!(text.matches(from).count(), 1, "{rule}: {from:?} in {file}");
            assert_ne!(from, to, "{rule}");
        }
    }
}
