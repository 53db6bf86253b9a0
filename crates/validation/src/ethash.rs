//! The Ethash seal, verified the light way: from the cache of its epoch, without the dataset.
//!
//! Source: appendix J of the yellow paper and the Ethash specification.

use alloy_primitives::{B64, B256, U256, keccak256};
use alloy_rlp::Encodable;
use sha3::{Digest, Keccak512};
use starling_primitives::Header;
use std::sync::{Arc, Mutex, PoisonError};

const EPOCH_BLOCKS: u64 = 30_000;
/// Epochs past this would ask for a cache of more than 272 MiB; main net ended at 517.
const EPOCHS_MAX: u64 = 2_048;
const HASH_BYTES: u64 = 64;
const HASH_WORDS: usize = 16;
const MIX_BYTES: u64 = 128;
const MIX_WORDS: usize = 32;
const MIX_HASHES: u64 = MIX_BYTES / HASH_BYTES;
const CACHE_BYTES_INIT: u64 = 1 << 24;
const CACHE_BYTES_GROWTH: u64 = 1 << 17;
const CACHE_ROUNDS: usize = 3;
const DATASET_BYTES_INIT: u64 = 1 << 30;
const DATASET_BYTES_GROWTH: u64 = 1 << 23;
const DATASET_PARENTS: u32 = 256;
const ACCESSES: usize = 64;
/// Caches kept: the present epoch's and the one before, since blocks about a boundary come mixed.
const CACHES_MAX: usize = 2;

type Node = [u32; HASH_WORDS];

/// Why a seal does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The mix hash is not the one that the nonce leads to.
    #[error("mix hash {got}, the nonce gives {expected}")]
    MixHash {
        /// In the header.
        got: B256,
        /// By the rules.
        expected: B256,
    },
    /// The work is less than the difficulty asks for.
    #[error("the seal's value {value} is above the bound {bound} of its difficulty")]
    Work {
        /// What header and nonce hash to.
        value: U256,
        /// 2^256 by the difficulty.
        bound: U256,
    },
    /// The block is so high that no chain was ever sealed there.
    #[error("epoch {0} is past the last one that is computed ({EPOCHS_MAX})")]
    Epoch(u64),
}

/// Checks a header's nonce and mix hash against its difficulty. The first header of an epoch takes a
/// second or so, while the epoch's cache is made.
pub fn verify_seal(header: &Header) -> Result<(), SealError> {
    let epoch = header.number / EPOCH_BLOCKS;
    if epoch > EPOCHS_MAX {
        return Err(SealError::Epoch(epoch));
    }
    let cache = cache_of(epoch);
    let (mix_hash, value) = hashimoto(&cache, dataset_bytes(epoch), seal_hash(header), header.nonce);
    if mix_hash != header.mix_hash {
        return Err(SealError::MixHash { got: header.mix_hash, expected: mix_hash });
    }
    let bound = U256::MAX.checked_div(header.difficulty).unwrap_or_default();
    let value = U256::from_be_bytes(value.0);
    if value > bound { Err(SealError::Work { value, bound }) } else { Ok(()) }
}

/// Hash of the header without its seal: what the miner worked on.
fn seal_hash(header: &Header) -> B256 {
    let mut fields: Vec<&dyn Encodable> = vec![
        &header.parent_hash,
        &header.ommers_hash,
        &header.beneficiary,
        &header.state_root,
        &header.transactions_root,
        &header.receipts_root,
        &header.logs_bloom,
        &header.difficulty,
        &header.number,
        &header.gas_limit,
        &header.gas_used,
        &header.timestamp,
        &header.extra_data,
    ];
    if let Some(base_fee) = &header.base_fee_per_gas {
        fields.push(base_fee);
    }
    let mut out = Vec::with_capacity(600);
    alloy_rlp::encode_list::<_, dyn Encodable>(&fields, &mut out);
    keccak256(out)
}

fn cache_of(epoch: u64) -> Arc<Vec<Node>> {
    static CACHES: Mutex<Vec<(u64, Arc<Vec<Node>>)>> = Mutex::new(Vec::new());
    // Held while a cache is made, so that two threads do not make the same one. The list is whole at
    // every moment, so a panic elsewhere does not spoil it.
    let mut caches = CACHES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, cache)) = caches.iter().find(|(of, _)| *of == epoch) {
        return cache.clone();
    }
    let cache = Arc::new(make_cache(epoch));
    caches.insert(0, (epoch, cache.clone()));
    caches.truncate(CACHES_MAX);
    cache
}

fn make_cache(epoch: u64) -> Vec<Node> {
    let seed = (0..epoch).fold(B256::ZERO, |seed, _| keccak256(seed));
    let count = (cache_bytes(epoch) / HASH_BYTES) as usize;
    let mut cache = Vec::with_capacity(count);
    let mut node = to_words(&Keccak512::digest(seed).into());
    for _ in 0..count {
        cache.push(node);
        node = keccak512(&node);
    }
    for _ in 0..CACHE_ROUNDS {
        for i in 0..count {
            let other = cache[i][0] as usize % count;
            let mut mixed = cache[(i + count - 1) % count];
            for (word, with) in mixed.iter_mut().zip(&cache[other]) {
                *word ^= with;
            }
            cache[i] = keccak512(&mixed);
        }
    }
    cache
}

/// The mix hash, and the value that must not be above the bound.
fn hashimoto(cache: &[Node], dataset_bytes: u64, seal_hash: B256, nonce: B64) -> (B256, B256) {
    let mut hash = Keccak512::new();
    hash.update(seal_hash);
    let mut reversed = nonce.0;
    reversed.reverse();
    hash.update(reversed);
    let seed_bytes: [u8; 64] = hash.finalize().into();
    let seed = to_words(&seed_bytes);

    let mut mix: [u32; MIX_WORDS] = std::array::from_fn(|i| seed[i % HASH_WORDS]);
    let pages = (dataset_bytes / MIX_BYTES) as u32;
    for access in 0..ACCESSES {
        let page = fnv(access as u32 ^ seed[0], mix[access % MIX_WORDS]) % pages;
        for half in 0..MIX_HASHES as usize {
            let item = dataset_item(cache, page * MIX_HASHES as u32 + half as u32);
            for (word, with) in mix[half * HASH_WORDS..].iter_mut().zip(item) {
                *word = fnv(*word, with);
            }
        }
    }
    let mut mix_hash = [0u8; 32];
    for (bytes, words) in mix_hash.chunks_exact_mut(4).zip(mix.chunks_exact(4)) {
        let word = fnv(fnv(fnv(words[0], words[1]), words[2]), words[3]);
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    (mix_hash.into(), keccak256([&seed_bytes[..], &mix_hash].concat()))
}

fn dataset_item(cache: &[Node], index: u32) -> Node {
    let mut mix = cache[index as usize % cache.len()];
    mix[0] ^= index;
    mix = keccak512(&mix);
    for parent in 0..DATASET_PARENTS {
        let from = fnv(index ^ parent, mix[parent as usize % HASH_WORDS]);
        for (word, with) in mix.iter_mut().zip(&cache[from as usize % cache.len()]) {
            *word = fnv(*word, *with);
        }
    }
    keccak512(&mix)
}

/// The FNV-like mix of the specification.
fn fnv(a: u32, b: u32) -> u32 {
    a.wrapping_mul(0x0100_0193) ^ b
}

fn keccak512(node: &Node) -> Node {
    let mut bytes = [0u8; 64];
    for (bytes, word) in bytes.chunks_exact_mut(4).zip(node) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    to_words(&Keccak512::digest(bytes).into())
}

fn to_words(bytes: &[u8; 64]) -> Node {
    std::array::from_fn(|i| u32::from_le_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]]))
}

fn cache_bytes(epoch: u64) -> u64 {
    largest_prime_multiple(CACHE_BYTES_INIT + CACHE_BYTES_GROWTH * epoch - HASH_BYTES, HASH_BYTES)
}

fn dataset_bytes(epoch: u64) -> u64 {
    largest_prime_multiple(DATASET_BYTES_INIT + DATASET_BYTES_GROWTH * epoch - MIX_BYTES, MIX_BYTES)
}

/// The largest size of an odd number of units, at most `size`, whose number of units is prime.
fn largest_prime_multiple(mut size: u64, unit: u64) -> u64 {
    while !is_prime(size / unit) {
        size -= 2 * unit;
    }
    size
}

fn is_prime(n: u64) -> bool {
    n > 1 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_the_first_epochs() {
        for (epoch, cache, dataset) in
            [(0, 16_776_896, 1_073_739_904), (1, 16_907_456, 1_082_130_304), (2047, 285_081_536, 18_245_220_736)]
        {
            assert_eq!((cache_bytes(epoch), dataset_bytes(epoch)), (cache, dataset), "epoch {epoch}");
        }
    }
}
