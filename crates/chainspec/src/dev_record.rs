//! What a block of a development chain may say of itself in its extra data: changes of the state that no transaction
//! makes, and terms that no rule gives. A test tool asked for them; whoever runs the block again does the same by it.
//!
//! ```text
//! extra data = magic ‖ rlp([base fee or "", gas limit or "", [change, …]])
//! change     = [kind, address, slot, value]      kind: 0 balance, 1 nonce, 2 code, 3 slot
//! ```

use crate::{ChainSpec, Consensus};
use alloy_primitives::{Address, Bytes, U256};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};

/// Extra data that begins so is a record; version 1.
const MAGIC: &[u8] = b"starling dev record 1\n";

/// A record that does not decode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record in the extra data does not decode: {0}")]
pub struct DevRecordError(String);

/// What a block of a development chain says besides its transactions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DevRecord {
    /// The block's base fee, in wei per gas, in place of the one by EIP-1559.
    pub base_fee: Option<u64>,
    /// The block's gas limit, however far from its parent's.
    pub gas_limit: Option<u64>,
    /// What changes before the first transaction, in this order.
    pub changes: Vec<DevChange>,
}

/// A change of the state that no transaction makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DevChange {
    /// An account's balance, in wei.
    Balance(Address, U256),
    /// An account's nonce.
    Nonce(Address, u64),
    /// An account's code; none if empty.
    Code(Address, Bytes),
    /// The value of a slot of an account.
    Slot(Address, U256, U256),
}

#[derive(RlpEncodable, RlpDecodable)]
struct RecordRlp {
    base_fee: Bytes,
    gas_limit: Bytes,
    changes: Vec<ChangeRlp>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct ChangeRlp {
    kind: u8,
    address: Address,
    slot: U256,
    value: Bytes,
}

impl DevRecord {
    /// Most bytes of extra data with a record: enough for the largest code that test tools deploy.
    pub const EXTRA_DATA_BYTES_MAX: usize = 512 << 10;

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The extra data of the block.
    pub fn to_extra_data(&self) -> Bytes {
        let number = |number: Option<u64>| number.map(|number| alloy_rlp::encode(number).into()).unwrap_or_default();
        let changes = self.changes.iter().map(ChangeRlp::from).collect();
        let mut out = MAGIC.to_vec();
        RecordRlp { base_fee: number(self.base_fee), gas_limit: number(self.gas_limit), changes }.encode(&mut out);
        out.into()
    }

    /// Reads extra data; none if it is no record.
    pub fn from_extra_data(extra_data: &[u8]) -> Result<Option<Self>, DevRecordError> {
        let Some(rlp) = extra_data.strip_prefix(MAGIC) else { return Ok(None) };
        let malformed = |error: alloy_rlp::Error| DevRecordError(error.to_string());
        let RecordRlp { base_fee, gas_limit, changes } = alloy_rlp::decode_exact(rlp).map_err(malformed)?;
        let number = |bytes: Bytes| match bytes.is_empty() {
            true => Ok(None),
            false => alloy_rlp::decode_exact::<u64>(&bytes).map(Some).map_err(malformed),
        };
        let changes = changes.into_iter().map(DevChange::try_from).collect::<Result<_, _>>()?;
        Ok(Some(Self { base_fee: number(base_fee)?, gas_limit: number(gas_limit)?, changes }))
    }
}

impl From<&DevChange> for ChangeRlp {
    fn from(change: &DevChange) -> Self {
        let (kind, address, slot, value) = match change {
            DevChange::Balance(address, wei) => (0, address, U256::ZERO, alloy_rlp::encode(wei).into()),
            DevChange::Nonce(address, nonce) => (1, address, U256::ZERO, alloy_rlp::encode(nonce).into()),
            DevChange::Code(address, code) => (2, address, U256::ZERO, code.clone()),
            DevChange::Slot(address, slot, value) => (3, address, *slot, alloy_rlp::encode(value).into()),
        };
        Self { kind, address: *address, slot, value }
    }
}

impl TryFrom<ChangeRlp> for DevChange {
    type Error = DevRecordError;

    fn try_from(ChangeRlp { kind, address, slot, value }: ChangeRlp) -> Result<Self, DevRecordError> {
        fn number<T: Decodable>(value: &Bytes) -> Result<T, DevRecordError> {
            alloy_rlp::decode_exact(value).map_err(|error| DevRecordError(error.to_string()))
        }
        Ok(match kind {
            0 => Self::Balance(address, number(&value)?),
            1 => Self::Nonce(address, number(&value)?),
            2 => Self::Code(address, value),
            3 => Self::Slot(address, slot, number(&value)?),
            other => return Err(DevRecordError(format!("there is no change of kind {other}"))),
        })
    }
}

impl ChainSpec {
    /// The record in a block's extra data; none on any chain but a development one, whatever its blocks say.
    pub fn dev_record(&self, extra_data: &[u8]) -> Result<Option<DevRecord>, DevRecordError> {
        match self.consensus {
            Consensus::Dev => DevRecord::from_extra_data(extra_data),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_bytes_that_are_none_are_refused() {
        let account = Address::repeat_byte(7);
        let record = DevRecord {
            base_fee: Some(0),
            gas_limit: None,
            changes: vec![
                DevChange::Balance(account, U256::MAX),
                DevChange::Nonce(account, 0),
                DevChange::Code(account, Bytes::from_static(&[0x60, 0])),
                DevChange::Slot(account, U256::from(9), U256::ZERO),
            ],
        };
        let bytes = record.to_extra_data();
        assert_eq!(DevRecord::from_extra_data(&bytes), Ok(Some(record)));
        assert_eq!(DevRecord::from_extra_data(b"starling/0.1.0"), Ok(None));
        for end in MAGIC.len()..bytes.len() {
            assert!(DevRecord::from_extra_data(&bytes[..end]).is_err(), "{end}");
        }
        let mut other = bytes.to_vec();
        let kind = other.iter().rposition(|byte| *byte == 3).unwrap();
        other[kind] = 4;
        assert!(DevRecord::from_extra_data(&other).is_err());
        assert_eq!(ChainSpec::named("mainnet").unwrap().dev_record(&bytes), Ok(None), "on the development chain only");
        assert!(ChainSpec::named("dev").unwrap().dev_record(&bytes).unwrap().is_some());
    }
}
