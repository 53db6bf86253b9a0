//! Bytes in and out: the few primitives that every stored format is made of.
//!
//! Fixed integers are little-endian, counts and nonces are LEB128 varints, amounts are a length byte and
//! the big-endian bytes without leading zeros. Reading never panics: bytes may come from a damaged disk.

use starling_primitives::{Account, Address, B256, EMPTY_CODE_HASH, EMPTY_ROOT_HASH, U256};

/// Stored bytes do not have the shape they ought to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Account has code; its hash follows.
const HAS_CODE: u8 = 1;
/// Account has storage; the root follows.
const HAS_ROOT: u8 = 2;
/// Account has a storage id; it follows.
const HAS_ID: u8 = 4;

/// Appends an unsigned LEB128 number.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends an amount: length byte and big-endian bytes without leading zeros.
pub(crate) fn put_amount(out: &mut Vec<u8>, value: &U256) {
    let bytes = value.to_be_bytes::<32>();
    let length = value.byte_len();
    out.push(length as u8);
    out.extend_from_slice(&bytes[32 - length..]);
}

/// Appends bytes behind their length as a fixed `u32`.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// An amount as a table's value: big-endian bytes without leading zeros, no length.
pub(crate) fn trimmed(value: &U256) -> Vec<u8> {
    value.to_be_bytes_trimmed_vec()
}

/// Reads what [`trimmed`] wrote.
pub(crate) fn untrimmed(bytes: &[u8]) -> Result<U256, Malformed> {
    U256::try_from_be_slice(bytes).ok_or(Malformed("amount"))
}

/// Appends an account: flags, code hash, storage root and storage id where they differ from none, nonce, balance.
pub(crate) fn put_account(out: &mut Vec<u8>, account: &Account, storage_id: u64) {
    let (code, root) = (account.code_hash != EMPTY_CODE_HASH, account.storage_root != EMPTY_ROOT_HASH);
    out.push((u8::from(code) * HAS_CODE) | (u8::from(root) * HAS_ROOT) | (u8::from(storage_id != 0) * HAS_ID));
    if code {
        out.extend_from_slice(account.code_hash.as_slice());
    }
    if root {
        out.extend_from_slice(account.storage_root.as_slice());
    }
    if storage_id != 0 {
        put_varint(out, storage_id);
    }
    put_varint(out, account.nonce);
    put_amount(out, &account.balance);
}

/// Reads stored bytes from the front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// A reader that starts at an offset of the bytes; past the end every read fails.
    pub(crate) fn new_at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// How far reading has come.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// Bytes not read yet.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).ok_or(Malformed("length"))?;
        let taken = self.bytes.get(self.at..end).ok_or(Malformed("length"))?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed("length"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed("number"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("number"))
    }

    pub(crate) fn hash(&mut self) -> Result<B256, Malformed> {
        Ok(B256::from(self.array::<32>()?))
    }

    pub(crate) fn address(&mut self) -> Result<Address, Malformed> {
        Ok(Address::from(self.array::<20>()?))
    }

    pub(crate) fn amount(&mut self) -> Result<U256, Malformed> {
        let length = self.u8()?;
        untrimmed(self.take(length.into())?)
    }

    /// What [`put_bytes`] wrote.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    /// What [`put_account`] wrote: the account and its storage id, 0 for none.
    pub(crate) fn account(&mut self) -> Result<(Account, u64), Malformed> {
        let flags = self.u8()?;
        if flags & !(HAS_CODE | HAS_ROOT | HAS_ID) != 0 {
            return Err(Malformed("account"));
        }
        let code_hash = if flags & HAS_CODE != 0 { self.hash()? } else { EMPTY_CODE_HASH };
        let storage_root = if flags & HAS_ROOT != 0 { self.hash()? } else { EMPTY_ROOT_HASH };
        let storage_id = if flags & HAS_ID != 0 { self.varint()? } else { 0 };
        let (nonce, balance) = (self.varint()?, self.amount()?);
        Ok((Account { nonce, balance, storage_root, code_hash }, storage_id))
    }
}
