//! Blocks run from their witness alone: header and witness in, the state root after the block out.

use super::fields::{self, byte_strings, bytes, hash, number, same, same_debug, text};
use crate::conformance::{
    archive::Member,
    cases::{Cases, Failure},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use serde_json::Value;
use starling_chainspec::ChainSpec;
use starling_execution::{BlockError, ExecutedBlock, execute};
use starling_primitives::{Account, ReadError, StateReader};
use starling_trie::{Witness, WitnessState};
use starling_validation::{Ancestry, CheckOptions, PreparedBlock, check};
use std::sync::Arc;

/// Bytes of the output of a stateless run: root of the request, whether the block is valid, chain id.
const OUTPUT_BYTES: usize = 41;
const OUTPUT_FLAG: usize = 32;

/// A witness of geth's that lacks the account which the block's one transaction calls, with nothing. geth takes
/// accounts that it does not find for absent; so must the run that shall come to the same.
const LACKS_AN_ACCOUNT: &str = "hoodi-01151683.json";

/// `mainnet-witness`: a real block in each file.
pub(super) fn run(member: &Member, cases: &mut Cases<'_>) -> Result<(), String> {
    let case: Value = fields::file(member)?;
    let fork = text(&case, "fork")?;
    let unknown = if member.path == LACKS_AN_ACCOUNT { Unknown::IsAbsent } else { Unknown::IsAnError };
    cases.case("", fork, || check_real_block(&case, unknown));
    Ok(())
}

/// What an account is that the witness does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    IsAnError,
    IsAbsent,
}

fn check_real_block(case: &Value, unknown: Unknown) -> Result<(), Failure> {
    let spec = ChainSpec::named(text(case, "network")?).ok_or("an unknown network".to_string())?;
    same("chain id", spec.chain_id, number(case, "chainId")?)?;
    let expected = &case["expected"];
    let witness = witness_of(&case["executionWitness"])?;
    let run = stateless(&spec, bytes(case, "block")?, witness, unknown)?;
    let header = &run.executed.block.block.header;
    same("hash", run.executed.block.hash, hash(case, "hash")?)?;
    same("state root before", run.root_before, hash(expected, "parentStateRoot")?)?;
    same("state root after", run.root_after, hash(expected, "stateRoot")?)?;
    same("transactions root", header.transactions_root, hash(expected, "transactionsRoot")?)?;
    same("receipts root", header.receipts_root, hash(expected, "receiptsRoot")?)?;
    same("gas used", header.gas_used, number(expected, "gasUsed")?)
}

/// What of a block of `eest-zkevm-witness` is about its witness. Settled are the execution witness, the witness
/// inside the input's bytes, and the flag and the chain id of the output. The request inside the input, and so
/// its root in the output, is a draft that moves with the fork.
///
/// Run from its witness, a block that the chain took (`taken`) is valid exactly if the flag says so. One that it
/// refused is not run: its gas has moved since, and with it where the run would stop.
///
/// # Errors
/// What differs.
pub fn check_block(spec: &ChainSpec, block: &Value, taken: bool) -> Result<(), Failure> {
    let rlp = bytes(block, "rlp")?;
    let witness = witness_of(&block["executionWitness"])?;
    let (inner, flag) = match block.get("statelessInputBytes") {
        Some(_) => input_and_flag(spec, block)?,
        None => (witness.clone(), true),
    };
    let sorted = |witness: &Witness| {
        let mut lists = [witness.state.clone(), witness.codes.clone(), witness.headers.clone()];
        lists.iter_mut().for_each(|list| list.sort_unstable());
        lists
    };
    same_debug("the witness of the input", sorted(&inner), sorted(&witness))?;
    if !taken {
        return Ok(());
    }
    match (stateless(spec, rlp, inner, Unknown::IsAnError), flag) {
        (Ok(_), true) | (Err(StatelessError::Witness(_)), false) => Ok(()),
        (Ok(_), false) => Err(Failure {
            at: "from its witness".into(),
            expected: "a witness that is not enough".into(),
            got: "a valid block".into(),
        }),
        (Err(error), _) => Err(Failure { at: "from its witness".into(), ..error.into() }),
    }
}

/// The witness inside the input, and whether the output says that the block is valid.
fn input_and_flag(spec: &ChainSpec, block: &Value) -> Result<(Witness, bool), Failure> {
    let (input, output) = (bytes(block, "statelessInputBytes")?, bytes(block, "statelessOutputBytes")?);
    let output: &[u8; OUTPUT_BYTES] = output[..].try_into().map_err(|_| "an output of another size".to_string())?;
    let (_, [flag, chain_id @ ..]) = output.split_at(OUTPUT_FLAG) else { return Err("no flag".to_string().into()) };
    let chain_id = chain_id.try_into().map(u64::from_le_bytes).map_err(|_| "no chain id".to_string())?;
    same("chain id of the output", chain_id, spec.chain_id)?;
    let (witness, chain_id) = ssz_input(&input)?;
    same("chain id of the input", chain_id, spec.chain_id)?;
    Ok((witness, *flag == 1))
}

/// Why a block did not run from its witness.
enum StatelessError {
    /// The witness is none, or lacks something.
    Witness(String),
    /// The block is invalid.
    Block(String),
}

impl From<StatelessError> for Failure {
    fn from(error: StatelessError) -> Self {
        let (StatelessError::Witness(why) | StatelessError::Block(why)) = error;
        why.into()
    }
}

impl From<ReadError> for StatelessError {
    fn from(error: ReadError) -> Self {
        Self::Witness(error.to_string())
    }
}

/// A block that was run without a database.
struct Stateless {
    executed: ExecutedBlock,
    root_before: B256,
    root_after: B256,
}

/// Checks and runs a block as the chain does, but on what a witness knows.
fn stateless(spec: &ChainSpec, rlp: Bytes, witness: Witness, unknown: Unknown) -> Result<Stateless, StatelessError> {
    let state = WitnessState::open(witness).map_err(|error| StatelessError::Witness(error.to_string()))?;
    let invalid = |error: &dyn std::fmt::Display| StatelessError::Block(error.to_string());
    let block = Arc::new(PreparedBlock::from_rlp(spec, rlp).map_err(|error| invalid(&error))?);
    if block.block.header.parent_hash != state.parent.0 {
        return Err(StatelessError::Witness("its last header is not the parent's".into()));
    }
    let ancestry = Ancestry {
        // Before the merge any total difficulty below the terminal one will do: nothing else follows from it.
        parent_total_difficulty: (!spec.is_proof_of_stake(&block.block.header)).then_some(U256::ZERO),
        parent: state.parent.clone(),
        generations: Vec::new(),
        clique: None,
    };
    let checked = check(spec, block, &ancestry, CheckOptions::default()).map_err(|error| invalid(&error))?;
    let lenient = Lenient(&state);
    let reader: &dyn StateReader = if unknown == Unknown::IsAbsent { &lenient } else { &state };
    let mut executed = match execute(spec, checked, reader, None, &mut |diff| state.root_after(diff)) {
        Ok(executed) => executed,
        Err(BlockError::Read(error)) => return Err(error.into()),
        Err(error) => return Err(invalid(&error)),
    };
    let root_after = state.root_after(&mut executed.diff)?;
    let claimed = executed.block.block.header.state_root;
    if root_after != claimed {
        return Err(StatelessError::Block(format!("state root {claimed}, running the block gave {root_after}")));
    }
    Ok(Stateless { executed, root_before: state.root(), root_after })
}

/// A witness whose unknown accounts are absent.
struct Lenient<'a>(&'a WitnessState);

impl StateReader for Lenient<'_> {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadError> {
        Ok(self.0.account(address).unwrap_or_default())
    }
    fn slot(&self, address: &Address, slot: &U256) -> Result<U256, ReadError> {
        self.0.slot(address, slot)
    }
    fn code(&self, hash: &B256) -> Result<Bytes, ReadError> {
        self.0.code(hash)
    }
    fn block_hash(&self, number: u64) -> Result<Option<B256>, ReadError> {
        self.0.block_hash(number)
    }
    fn has_code(&self, hash: &B256) -> bool {
        self.0.has_code(hash)
    }
}

fn witness_of(value: &Value) -> Result<Witness, String> {
    Ok(Witness {
        state: byte_strings(value, "state")?,
        codes: byte_strings(value, "codes")?,
        headers: byte_strings(value, "headers")?,
    })
}

/// The witness and the chain id in a stateless input: offset of the request, offset of the witness, chain id,
/// offset of a list that is empty.
fn ssz_input(input: &[u8]) -> Result<(Witness, u64), String> {
    const HEAD_BYTES: usize = 4 + 4 + 8 + 4;
    let head = input.get(..HEAD_BYTES).ok_or("an input without its head")?;
    let witness = part(input, offset(head, 4)?, offset(head, 16)?)?;
    let chain_id = head[8..16].try_into().map(u64::from_le_bytes).map_err(|_| "no chain id")?;
    let [state, codes, headers] = [0, 4, 8].map(|at| offset(witness, at));
    let (state, codes, headers) = (state?, codes?, headers?);
    Ok((
        Witness {
            state: ssz_byte_lists(part(witness, state, codes)?)?,
            codes: ssz_byte_lists(part(witness, codes, headers)?)?,
            headers: ssz_byte_lists(part(witness, headers, witness.len())?)?,
        },
        chain_id,
    ))
}

/// A list of byte lists: the offset of each, then their bytes.
fn ssz_byte_lists(bytes: &[u8]) -> Result<Vec<Bytes>, String> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let count = offset(bytes, 0)? / 4;
    (0..count)
        .map(|index| {
            let end = if index + 1 < count { offset(bytes, 4 * (index + 1))? } else { bytes.len() };
            Ok(Bytes::copy_from_slice(part(bytes, offset(bytes, 4 * index)?, end)?))
        })
        .collect()
}

fn offset(bytes: &[u8], at: usize) -> Result<usize, String> {
    let four = bytes.get(at..at + 4).ok_or("an offset past the end")?;
    four.try_into().map(|four| u32::from_le_bytes(four) as usize).map_err(|_| "no offset".into())
}

fn part(bytes: &[u8], start: usize, end: usize) -> Result<&[u8], String> {
    bytes.get(start..end).ok_or_else(|| format!("no bytes from {start} to {end} of {}", bytes.len()))
}
