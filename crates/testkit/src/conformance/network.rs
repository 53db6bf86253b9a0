//! The rules that a case names: `Cancun`, `BerlinToLondonAt5`, `PragueToOsakaAtTime15k`, …

use super::json::{Number, Word};
use alloy_primitives::{Address, U256, address};
use serde::Deserialize;
use starling_chainspec::{Activation, BlobSchedule, ChainSpec, Consensus, Fork, UnknownFork};
use std::collections::BTreeMap;

/// The contract whose deposits the cases make: Mainnet's, which the test chains share.
const DEPOSIT_CONTRACT: Address = address!("0x00000000219ab540356cbb839cbe05303d7705fa");

/// What a case says of its chain besides the network.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    chainid: Option<Word>,
    #[serde(default)]
    blob_schedule: BTreeMap<String, BlobScheduleJson>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlobScheduleJson {
    target: Number,
    max: Number,
    base_fee_update_fraction: Number,
}

/// The chain of a network. Its genesis is still to be set.
///
/// # Errors
/// In words, if the name is none that is known.
pub fn spec_of(network: &str, config: &Config) -> Result<ChainSpec, String> {
    let mut spec = match network.split_once("To") {
        None => ChainSpec::up_to(fork_of(network)?),
        Some((before, rest)) => {
            let (after, at) = rest.split_once("At").ok_or_else(|| format!("no point of transition in {network}"))?;
            transition(fork_of(before)?, fork_of(after)?, at)?
        }
    };
    spec.deposit_contract = Some(DEPOSIT_CONTRACT);
    if let Some(Word(id)) = config.chainid {
        spec.chain_id = id.try_into().map_err(|_| format!("chain id {id} is too large"))?;
    }
    if !config.blob_schedule.is_empty() {
        let entry = |(name, entry): (&String, &BlobScheduleJson)| {
            let schedule = BlobSchedule {
                target: entry.target.0,
                max: entry.max.0,
                base_fee_update_fraction: entry.base_fee_update_fraction.0,
            };
            Ok((fork_of(name)?, schedule))
        };
        spec.blob_schedule = config.blob_schedule.iter().map(entry).collect::<Result<_, String>>()?;
        spec.blob_schedule.sort_by_key(|(fork, _)| *fork);
    }
    Ok(spec)
}

/// The fork of a name as the test files write it.
///
/// # Errors
/// In words, if there is none.
pub fn fork_of(name: &str) -> Result<Fork, String> {
    match name {
        "EIP150" => Ok(Fork::Tangerine),
        "EIP158" => Ok(Fork::SpuriousDragon),
        "ConstantinopleFix" => Ok(Fork::Petersburg),
        "Merge" => Ok(Fork::Paris),
        name => name.parse().map_err(|error: UnknownFork| error.to_string()),
    }
}

/// A chain that changes its rules on the way. What lies between the two forks begins with the second.
fn transition(before: Fork, after: Fork, at: &str) -> Result<ChainSpec, String> {
    let mut spec = ChainSpec::up_to(before);
    if let Some(difficulty) = at.strip_prefix("Diff") {
        let terminal =
            U256::from_str_radix(difficulty, 16).map_err(|error| format!("difficulty {difficulty}: {error}"))?;
        spec.consensus = Consensus::Ethereum { terminal_total_difficulty: Some(terminal) };
        return Ok(spec);
    }
    let point = match at.strip_prefix("Time") {
        Some("15k") => Activation::Time(15_000),
        Some(other) => return Err(format!("unknown time {other}")),
        None => Activation::Block(at.parse().map_err(|_| format!("unknown block {at}"))?),
    };
    let later = ChainSpec::up_to(after);
    spec.forks.extend(later.forks.into_iter().filter(|(fork, _)| *fork > before).map(|(fork, _)| (fork, point)));
    spec.blob_schedule = later.blob_schedule;
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(network: &str, forks: &[(Fork, Activation)]) {
        let spec = spec_of(network, &Config::default()).expect("a network");
        for (fork, at) in forks {
            assert_eq!(spec.activation(*fork), Some(*at), "{network}: {fork}");
        }
    }

    #[test]
    fn networks() {
        check(
            "ConstantinopleFix",
            &[(Fork::Constantinople, Activation::Block(0)), (Fork::Petersburg, Activation::Block(0))],
        );
        check("BPO1ToBPO2AtTime15k", &[(Fork::Bpo1, Activation::Time(0)), (Fork::Bpo2, Activation::Time(15_000))]);
        check("BPO3ToBPO4AtTime15k", &[(Fork::Bpo3, Activation::Time(0)), (Fork::Bpo4, Activation::Time(15_000))]);
        check("HomesteadToDaoAt5", &[(Fork::Homestead, Activation::Block(0)), (Fork::Dao, Activation::Block(5))]);
        let merging = spec_of("ArrowGlacierToParisAtDiffC0000", &Config::default()).expect("a network");
        assert_eq!(merging.consensus.terminal_total_difficulty(), Some(U256::from(0xc0000)));
        assert!(spec_of("Nowhere", &Config::default()).is_err());
    }
}
