//! Which version of newPayload fits which fork, and what must come with it.
//!
//! The order of the checks and their words are geth's: what a version must carry first, its fork last.

use super::payload::PayloadArgs;
use crate::{api::Answer, error::EngineErrorKind};
use starling_chainspec::Fork;

/// A version of `engine_newPayload`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PayloadVersion {
    /// Paris.
    V1,
    /// Paris and Shanghai.
    V2,
    /// Cancun.
    V3,
    /// Prague, Osaka, and the forks that change blob parameters only.
    V4,
    /// Amsterdam.
    V5,
}

/// What comes beside the payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beside {
    pub(super) has_versioned_hashes: bool,
    pub(super) has_beacon_root: bool,
    pub(super) has_requests: bool,
}

impl PayloadVersion {
    pub(super) const ALL: [Self; 5] = [Self::V1, Self::V2, Self::V3, Self::V4, Self::V5];

    /// The method's name.
    pub(super) const fn method(self) -> &'static str {
        match self {
            Self::V1 => "engine_newPayloadV1",
            Self::V2 => "engine_newPayloadV2",
            Self::V3 => "engine_newPayloadV3",
            Self::V4 => "engine_newPayloadV4",
            Self::V5 => "engine_newPayloadV5",
        }
    }

    /// Checks a payload of a fork against this version.
    pub(super) fn check(self, payload: &PayloadArgs, beside: Beside, fork: Fork) -> Answer<()> {
        match self {
            Self::V1 => demand(payload.withdrawals.is_none(), "withdrawals not supported in V1"),
            Self::V2 => check_v2(payload, fork),
            Self::V3 => {
                check_cancun_members(payload, beside)?;
                let fits = fork == Fork::Cancun;
                demand_fork(fits, "newPayloadV3 must only be called for cancun payloads")
            }
            Self::V4 => {
                check_cancun_members(payload, beside)?;
                demand(beside.has_requests, "nil executionRequests post-prague")?;
                let fits = (Fork::Prague..Fork::Amsterdam).contains(&fork);
                demand_fork(fits, "newPayloadV4 must only be called for prague/osaka payloads")
            }
            Self::V5 => {
                check_cancun_members(payload, beside)?;
                demand(beside.has_requests, "nil executionRequests post-prague")?;
                demand(payload.block_access_list.is_some(), "nil blockAccessList post-amsterdam")?;
                demand(payload.slot_number.is_some(), "nil slotNumber post-amsterdam")?;
                demand_fork(fork >= Fork::Amsterdam, "newPayloadV5 must only be called for amsterdam payloads")
            }
        }
    }
}

fn check_v2(payload: &PayloadArgs, fork: Fork) -> Answer<()> {
    demand(fork < Fork::Cancun, "can't use newPayloadV2 post-cancun")?;
    if fork >= Fork::Shanghai {
        demand(payload.withdrawals.is_some(), "nil withdrawals post-shanghai")?;
    } else {
        demand(payload.withdrawals.is_none(), "non-nil withdrawals pre-shanghai")?;
    }
    demand(payload.excess_blob_gas.is_none(), "non-nil excessBlobGas pre-cancun")?;
    demand(payload.blob_gas_used.is_none(), "non-nil blobGasUsed pre-cancun")
}

fn check_cancun_members(payload: &PayloadArgs, beside: Beside) -> Answer<()> {
    demand(payload.withdrawals.is_some(), "nil withdrawals post-shanghai")?;
    demand(payload.excess_blob_gas.is_some(), "nil excessBlobGas post-cancun")?;
    demand(payload.blob_gas_used.is_some(), "nil blobGasUsed post-cancun")?;
    demand(beside.has_versioned_hashes, "nil versionedHashes post-cancun")?;
    demand(beside.has_beacon_root, "nil beaconRoot post-cancun")
}

fn demand(holds: bool, otherwise: &str) -> Answer<()> {
    if holds { Ok(()) } else { Err(EngineErrorKind::InvalidParams.because(otherwise)) }
}

fn demand_fork(holds: bool, otherwise: &str) -> Answer<()> {
    if holds { Ok(()) } else { Err(EngineErrorKind::UnsupportedFork.because(otherwise)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a payload carries: withdrawals, blob gas, things beside it, requests, access list and slot.
    fn check(version: PayloadVersion, fork: Fork, carries: [bool; 5], expect: Result<(), EngineErrorKind>) {
        let [withdrawals, blobs, beside, requests, amsterdam] = carries;
        let mut payload = PayloadArgs::example();
        payload.withdrawals = withdrawals.then(Vec::new);
        (payload.blob_gas_used, payload.excess_blob_gas) = (blobs.then_some(0), blobs.then_some(0));
        (payload.block_access_list, payload.slot_number) = (amsterdam.then(Default::default), amsterdam.then_some(0));
        let beside = Beside { has_versioned_hashes: beside, has_beacon_root: beside, has_requests: requests };
        let got = version.check(&payload, beside, fork).map_err(|error| match error {
            crate::ApiError::Engine { kind, .. } => kind,
            other => panic!("{other}"),
        });
        assert_eq!(got, expect, "{version:?} {fork:?} {carries:?}");
    }

    #[test]
    fn gates() {
        use EngineErrorKind::{InvalidParams, UnsupportedFork};
        use PayloadVersion::{V1, V2, V3, V4, V5};
        const NONE: [bool; 5] = [false; 5];
        const SHANGHAI: [bool; 5] = [true, false, false, false, false];
        const CANCUN: [bool; 5] = [true, true, true, false, false];
        const PRAGUE: [bool; 5] = [true, true, true, true, false];
        const AMSTERDAM: [bool; 5] = [true; 5];
        check(V1, Fork::Paris, NONE, Ok(()));
        check(V1, Fork::Shanghai, SHANGHAI, Err(InvalidParams));
        check(V2, Fork::Paris, NONE, Ok(()));
        check(V2, Fork::Paris, SHANGHAI, Err(InvalidParams));
        check(V2, Fork::Shanghai, SHANGHAI, Ok(()));
        check(V2, Fork::Shanghai, NONE, Err(InvalidParams));
        check(V2, Fork::Shanghai, CANCUN, Err(InvalidParams));
        check(V2, Fork::Cancun, SHANGHAI, Err(InvalidParams));
        check(V3, Fork::Cancun, CANCUN, Ok(()));
        check(V3, Fork::Cancun, SHANGHAI, Err(InvalidParams));
        check(V3, Fork::Shanghai, CANCUN, Err(UnsupportedFork));
        check(V3, Fork::Prague, CANCUN, Err(UnsupportedFork));
        check(V4, Fork::Prague, PRAGUE, Ok(()));
        check(V4, Fork::Osaka, PRAGUE, Ok(()));
        check(V4, Fork::Bpo1, PRAGUE, Ok(()));
        check(V4, Fork::Bpo5, PRAGUE, Ok(()));
        check(V4, Fork::Prague, CANCUN, Err(InvalidParams));
        check(V4, Fork::Cancun, PRAGUE, Err(UnsupportedFork));
        check(V4, Fork::Amsterdam, PRAGUE, Err(UnsupportedFork));
        check(V5, Fork::Amsterdam, AMSTERDAM, Ok(()));
        check(V5, Fork::Amsterdam, PRAGUE, Err(InvalidParams));
        check(V5, Fork::Osaka, AMSTERDAM, Err(UnsupportedFork));
    }
}
