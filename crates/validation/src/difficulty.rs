//! The difficulty that proof of work demands of a block, by era.
//!
//! Source: `calculate_block_difficulty` of the execution specs; EIP-2, EIP-100, and the delays of the bomb.

use alloy_primitives::U256;
use starling_chainspec::Fork;

/// No block is easier than this.
const MINIMUM_DIFFICULTY: u64 = 131_072;
/// A step is this part of the parent's difficulty.
const STEP_DIVISOR: u64 = 2_048;
/// Most steps down in one block.
const STEPS_DOWN_MAX: i64 = 99;
/// The bomb doubles once in so many blocks.
const BOMB_PERIOD_BLOCKS: u64 = 100_000;

/// What the difficulty of a block follows from.
#[derive(Debug, Clone, Copy)]
pub struct DifficultyInput {
    /// The block's number.
    pub number: u64,
    /// The block's time, unix seconds.
    pub timestamp: u64,
    /// The parent's time, unix seconds.
    pub parent_timestamp: u64,
    /// The parent's difficulty.
    pub parent_difficulty: U256,
    /// Whether the parent carries ommers.
    pub parent_has_ommers: bool,
}

/// The difficulty that a fork's rules demand. For proof-of-work forks, Frontier to Gray Glacier.
pub fn difficulty(fork: Fork, input: DifficultyInput) -> U256 {
    let minimum = U256::from(MINIMUM_DIFFICULTY);
    let step = input.parent_difficulty / U256::from(STEP_DIVISOR);
    let steps = steps(fork, &input);
    let change = step.saturating_mul(U256::from(steps.unsigned_abs()));
    let without_bomb = if steps < 0 {
        input.parent_difficulty.saturating_sub(change)
    } else {
        input.parent_difficulty.saturating_add(change)
    };
    without_bomb.max(minimum).saturating_add(bomb(input.number.saturating_sub(bomb_delay_blocks(fork))))
}

/// How many steps harder (or, below zero, easier) than the parent.
fn steps(fork: Fork, input: &DifficultyInput) -> i64 {
    // A timestamp before the parent's is refused elsewhere; here it counts as none passed.
    let seconds = input.timestamp.saturating_sub(input.parent_timestamp);
    let (base, divisor) = match fork {
        Fork::Frontier => return if seconds < 13 { 1 } else { -1 },
        Fork::Homestead | Fork::Dao | Fork::Tangerine | Fork::SpuriousDragon => (1, 10),
        _ => (if input.parent_has_ommers { 2 } else { 1 }, 9),
    };
    let down = i64::try_from(seconds / divisor).unwrap_or(i64::MAX);
    (base - down).max(-STEPS_DOWN_MAX)
}

/// By how many blocks a fork's rules set the bomb back: EIP-649, 1234, 2384, 3554, 4345, 5133.
fn bomb_delay_blocks(fork: Fork) -> u64 {
    match fork {
        Fork::Frontier | Fork::Homestead | Fork::Dao | Fork::Tangerine | Fork::SpuriousDragon => 0,
        Fork::Byzantium => 3_000_000,
        Fork::Constantinople | Fork::Petersburg | Fork::Istanbul => 5_000_000,
        Fork::MuirGlacier | Fork::Berlin => 9_000_000,
        Fork::London => 9_700_000,
        Fork::ArrowGlacier => 10_700_000,
        _ => 11_400_000,
    }
}

/// What the bomb adds at a (set back) height.
fn bomb(number: u64) -> U256 {
    match (number / BOMB_PERIOD_BLOCKS).checked_sub(2) {
        None => U256::ZERO,
        Some(doublings) => {
            let doublings = usize::try_from(doublings).unwrap_or(usize::MAX);
            U256::ONE.checked_shl(doublings).unwrap_or(U256::MAX)
        }
    }
}
