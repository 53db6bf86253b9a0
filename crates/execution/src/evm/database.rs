use super::code;
use crate::overlay::{Info, Overlay};
use alloy_primitives::{Address, B256, U256, map::B256Map};
use revm::{Database, bytecode::Bytecode, database_interface::DBErrorMarker, state::AccountInfo};
use starling_primitives::ReadError;

/// The overlay as the library wants to read it, with the block's analysed code.
pub(crate) struct OverlayDb<'a> {
    pub(crate) overlay: Overlay<'a>,
    /// Code that this block used or deployed.
    codes: B256Map<Bytecode>,
    /// BLOCKHASH of an ancestor that the reader does not know: zero in a call, in a block an error.
    unknown_hash_is_zero: bool,
}

/// Why a read inside the EVM ended it.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DbError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("deadline passed")]
    Deadline,
}

impl DBErrorMarker for DbError {}

impl<'a> OverlayDb<'a> {
    pub(super) fn new(overlay: Overlay<'a>, unknown_hash_is_zero: bool) -> Self {
        Self { overlay, codes: B256Map::default(), unknown_hash_is_zero }
    }

    /// Remembers code that a transaction deployed.
    pub(super) fn deploy(&mut self, hash: B256, code: Bytecode) {
        self.overlay.deploy_code(hash, code.original_bytes());
        self.codes.insert(hash, code);
    }
}

impl Database for OverlayDb<'_> {
    type Error = DbError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, DbError> {
        Ok(self.overlay.account(&address)?.map(|Info { nonce, balance, code_hash }| AccountInfo {
            nonce,
            balance,
            code_hash,
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, DbError> {
        if let Some(code) = self.codes.get(&hash) {
            return Ok(code.clone());
        }
        // What was deployed in this block is in `codes`; only overrides of calls are not.
        let code = match self.overlay.deployed_code(&hash) {
            Some(bytes) => code::analyse(bytes.clone()),
            None => {
                let reader = self.overlay.reader();
                match reader.has_code(&hash) {
                    true => code::analysed(&hash, || reader.code(&hash))?,
                    false => code::analyse(reader.code(&hash)?),
                }
            }
        };
        self.codes.insert(hash, code.clone());
        Ok(code)
    }

    fn storage(&mut self, address: Address, key: U256) -> Result<U256, DbError> {
        Ok(self.overlay.slot(&address, key)?)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, DbError> {
        match self.overlay.reader().block_hash(number)? {
            Some(hash) => Ok(hash),
            None if self.unknown_hash_is_zero => Ok(B256::ZERO),
            None => Err(ReadError::Damaged(format!("the hash of ancestor {number} is not known")).into()),
        }
    }
}
