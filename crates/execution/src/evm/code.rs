//! Analysed code, kept across blocks: finding the jump destinations of 24 KB costs more than most calls.

use alloy_primitives::{B256, Bytes, map::B256Map};
use revm::bytecode::Bytecode;
use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Most bytes of code kept, in each of two generations; about 700 contracts of the largest size together.
const GENERATION_BYTES_MAX: usize = 8 << 20;

static CACHE: Mutex<CodeCache> = Mutex::new(CodeCache::new());

/// A cache in two generations: when the young one is full it becomes the old one, whose unused entries go.
struct CodeCache {
    young: Option<B256Map<Bytecode>>,
    old: Option<B256Map<Bytecode>>,
    young_bytes: usize,
}

impl CodeCache {
    const fn new() -> Self {
        Self { young: None, old: None, young_bytes: 0 }
    }

    fn get(&mut self, hash: &B256) -> Option<Bytecode> {
        if let Some(code) = self.young.as_ref().and_then(|young| young.get(hash)) {
            return Some(code.clone());
        }
        let code = self.old.as_mut().and_then(|old| old.remove(hash))?;
        self.put(*hash, code.clone());
        Some(code)
    }

    fn put(&mut self, hash: B256, code: Bytecode) {
        if self.young_bytes + code.len() > GENERATION_BYTES_MAX {
            self.old = mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += code.len();
        self.young.get_or_insert_default().insert(hash, code);
    }
}

fn cache() -> MutexGuard<'static, CodeCache> {
    // A panic elsewhere leaves a cache that lacks entries at worst.
    CACHE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Code from the cache, or analysed now and kept. `read` is called without the lock held.
pub(super) fn analysed<E>(hash: &B256, read: impl FnOnce() -> Result<Bytes, E>) -> Result<Bytecode, E> {
    if let Some(code) = cache().get(hash) {
        return Ok(code);
    }
    let code = analyse(read()?);
    cache().put(*hash, code.clone());
    Ok(code)
}

/// Analyses code. Bytes that only look like a delegation (EIP-7702) are plain code.
pub(super) fn analyse(bytes: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(bytes.clone()).unwrap_or_else(|_| Bytecode::new_legacy(bytes))
}
