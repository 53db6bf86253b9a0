//! What a consensus client wants a payload to be, and which version of it fits which fork.
//!
//! The order of the checks, their words and their codes are geth's.

use super::payload::WithdrawalJson;
use crate::{
    ApiError, RpcContext,
    api::Answer,
    error::EngineErrorKind,
    hex::{Addr, Hash, Quantity},
};
use serde::Deserialize;
use starling_builder::{Attributes, AttributesVersion};
use starling_chainspec::{ChainSpec, Fork};
use starling_primitives::Header;

/// `PayloadAttributesV1` to `V4` in one.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttributesArgs {
    timestamp: Quantity,
    prev_randao: Hash,
    suggested_fee_recipient: Addr,
    withdrawals: Option<Vec<WithdrawalJson>>,
    parent_beacon_block_root: Option<Hash>,
    slot_number: Option<Quantity>,
    target_gas_limit: Option<Quantity>,
}

impl AttributesArgs {
    /// Checks attributes against the version that they came with.
    pub(super) fn check(&self, version: AttributesVersion, spec: &ChainSpec) -> Answer<()> {
        let fork = fork_at(spec, self.timestamp.0);
        match version {
            AttributesVersion::V1 => self.check_v1(fork),
            AttributesVersion::V2 => self.check_v2(fork),
            AttributesVersion::V3 => {
                self.check_cancun_members()?;
                let fits = (Fork::Cancun..Fork::Amsterdam).contains(&fork);
                demand_fork(fits, "fcuV3 must only be called for cancun/prague/osaka payloads")
            }
            AttributesVersion::V4 => {
                self.check_cancun_members()?;
                demand(self.slot_number.is_some(), "missing slot number")?;
                demand_fork(fork >= Fork::Amsterdam, "fcuV4 must only be called for amsterdam payloads")
            }
        }
    }

    fn check_v1(&self, fork: Fork) -> Answer<()> {
        if self.withdrawals.is_some() || self.parent_beacon_block_root.is_some() {
            return Err(EngineErrorKind::InvalidParams.because("withdrawals and beacon root not supported in V1"));
        }
        if fork >= Fork::Cancun {
            return Err(EngineErrorKind::InvalidParams.because("fcuV1 called post-shanghai"));
        }
        Ok(())
    }

    fn check_v2(&self, fork: Fork) -> Answer<()> {
        demand(self.parent_beacon_block_root.is_none(), "unexpected beacon root")?;
        demand(fork >= Fork::Shanghai || self.withdrawals.is_none(), "withdrawals before shanghai")?;
        demand(fork != Fork::Shanghai || self.withdrawals.is_some(), "missing withdrawals")?;
        demand_fork(fork < Fork::Cancun, "fcuV2 must only be called with paris or shanghai payloads")
    }

    fn check_cancun_members(&self) -> Answer<()> {
        demand(self.withdrawals.is_some(), "missing withdrawals")?;
        demand(self.parent_beacon_block_root.is_some(), "missing beacon root")
    }

    /// The builder's form, completed by what the operator wants.
    pub(crate) fn complete(self, context: &RpcContext) -> Attributes {
        let withdrawals = self.withdrawals.map(|list| list.into_iter().map(Into::into).collect());
        Attributes {
            timestamp: self.timestamp.0,
            fee_recipient: self.suggested_fee_recipient.0,
            prev_randao: self.prev_randao.0,
            withdrawals,
            parent_beacon_block_root: self.parent_beacon_block_root.map(|Hash(root)| root),
            slot_number: self.slot_number.map(|Quantity(slot)| slot),
            gas_limit_target: self.target_gas_limit.map_or(context.building.gas_limit_target, |Quantity(gas)| gas),
            extra_data: context.building.extra_data.clone(),
        }
    }
}

/// The rules of a proof-of-stake block of that time.
pub(super) fn fork_at(spec: &ChainSpec, timestamp: u64) -> Fork {
    spec.fork_of(&Header { number: u64::MAX, timestamp, ..Header::default() })
}

fn demand(holds: bool, otherwise: &str) -> Result<(), ApiError> {
    if holds { Ok(()) } else { Err(EngineErrorKind::InvalidPayloadAttributes.because(otherwise)) }
}

fn demand_fork(holds: bool, otherwise: &str) -> Result<(), ApiError> {
    if holds { Ok(()) } else { Err(EngineErrorKind::UnsupportedFork.because(otherwise)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AttributesVersion::{V1, V2, V3, V4};
    use EngineErrorKind::{InvalidParams, InvalidPayloadAttributes, UnsupportedFork};

    /// Shanghai at 10, Cancun at 20, Prague at 30, Osaka at 40, BPO1 at 50, Amsterdam at 60.
    const GENESIS: &str = r#"{"config":{"chainId":1,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,
        "byzantiumBlock":0,"constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0,"berlinBlock":0,"londonBlock":0,
        "terminalTotalDifficulty":0,"shanghaiTime":10,"cancunTime":20,"pragueTime":30,"osakaTime":40,"bpo1Time":50,
        "amsterdamTime":60,
        "blobSchedule":{"cancun":{"target":3,"max":6,"baseFeeUpdateFraction":3338477},
        "prague":{"target":6,"max":9,"baseFeeUpdateFraction":5007716},
        "osaka":{"target":6,"max":9,"baseFeeUpdateFraction":5007716},
        "bpo1":{"target":10,"max":15,"baseFeeUpdateFraction":8346193},
        "amsterdam":{"target":10,"max":15,"baseFeeUpdateFraction":8346193}}},
        "difficulty":"0x0","gasLimit":"0x1c9c380","alloc":{}}"#;

    fn check(version: AttributesVersion, timestamp: u64, carries: [bool; 3], expect: Option<EngineErrorKind>) {
        let spec = ChainSpec::from_genesis_json("test", GENESIS).unwrap();
        let [withdrawals, root, slot] = carries;
        let attributes = AttributesArgs {
            timestamp: Quantity(timestamp),
            prev_randao: Hash(Default::default()),
            suggested_fee_recipient: Addr(Default::default()),
            withdrawals: withdrawals.then(Vec::new),
            parent_beacon_block_root: root.then_some(Hash(Default::default())),
            slot_number: slot.then_some(Quantity(1)),
            target_gas_limit: None,
        };
        let got = attributes.check(version, &spec).err().map(|error| match error {
            ApiError::Engine { kind, .. } => kind,
            other => panic!("{other}"),
        });
        assert_eq!(got, expect, "{version:?} at {timestamp} {carries:?}");
    }

    #[test]
    fn gates() {
        const NONE: [bool; 3] = [false; 3];
        const SHANGHAI: [bool; 3] = [true, false, false];
        const CANCUN: [bool; 3] = [true, true, false];
        const AMSTERDAM: [bool; 3] = [true; 3];
        check(V1, 5, NONE, None);
        check(V1, 15, NONE, None);
        check(V1, 15, SHANGHAI, Some(InvalidParams));
        check(V1, 25, NONE, Some(InvalidParams));
        check(V2, 5, NONE, None);
        check(V2, 5, SHANGHAI, Some(InvalidPayloadAttributes));
        check(V2, 15, SHANGHAI, None);
        check(V2, 15, NONE, Some(InvalidPayloadAttributes));
        check(V2, 15, CANCUN, Some(InvalidPayloadAttributes));
        check(V2, 25, SHANGHAI, Some(UnsupportedFork));
        check(V3, 15, CANCUN, Some(UnsupportedFork));
        for timestamp in [25, 35, 45, 55] {
            check(V3, timestamp, CANCUN, None);
            check(V4, timestamp, AMSTERDAM, Some(UnsupportedFork));
        }
        check(V3, 25, SHANGHAI, Some(InvalidPayloadAttributes));
        check(V3, 25, NONE, Some(InvalidPayloadAttributes));
        check(V3, 65, CANCUN, Some(UnsupportedFork));
        check(V4, 65, AMSTERDAM, None);
        check(V4, 65, CANCUN, Some(InvalidPayloadAttributes));
    }
}
