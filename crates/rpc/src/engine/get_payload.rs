//! Hands out payloads: each version for the attributes and forks that it knows.

use super::{
    attributes::fork_at,
    envelope::{Envelope, PayloadJson},
};
use crate::{
    ApiError, RpcContext,
    api::{Answer, to_json},
    args::Args,
    error::EngineErrorKind,
    hex::{from_text, parse_fixed},
};
use jsonrpsee::types::Params;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use starling_builder::{BuildError, PayloadId};
use starling_chainspec::Fork;
use std::sync::Arc;

/// A version of `engine_getPayload`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GetPayload {
    /// Paris.
    V1,
    /// Paris and Shanghai.
    V2,
    /// Cancun.
    V3,
    /// Prague.
    V4,
    /// Osaka, and the forks that change blob parameters only.
    V5,
    /// Amsterdam.
    V6,
}

impl GetPayload {
    pub(super) const ALL: [Self; 6] = [Self::V1, Self::V2, Self::V3, Self::V4, Self::V5, Self::V6];

    /// The method's name.
    pub(super) const fn method(self) -> &'static str {
        match self {
            Self::V1 => "engine_getPayloadV1",
            Self::V2 => "engine_getPayloadV2",
            Self::V3 => "engine_getPayloadV3",
            Self::V4 => "engine_getPayloadV4",
            Self::V5 => "engine_getPayloadV5",
            Self::V6 => "engine_getPayloadV6",
        }
    }

    /// Whether it hands out payloads of these attributes.
    fn takes_attributes(self, version: u8) -> bool {
        match self {
            Self::V1 => version == 1,
            Self::V2 => version == 1 || version == 2,
            Self::V3 | Self::V4 | Self::V5 => version == 3,
            Self::V6 => version == 4,
        }
    }

    /// Whether it hands out payloads of this fork.
    fn takes_fork(self, fork: Fork) -> bool {
        match self {
            Self::V1 => true,
            Self::V2 => fork < Fork::Cancun,
            Self::V3 => fork == Fork::Cancun,
            Self::V4 => fork == Fork::Prague,
            Self::V5 => (Fork::Osaka..Fork::Amsterdam).contains(&fork),
            Self::V6 => fork >= Fork::Amsterdam,
        }
    }
}

pub(super) async fn get_payload(
    context: Arc<RpcContext>,
    params: Params<'static>,
    version: GetPayload,
) -> Answer<Box<RawValue>> {
    let mut args = Args::new(&params)?;
    let IdArg(id) = args.required()?;
    args.end()?;
    if !version.takes_attributes(id.version()) {
        return Err(EngineErrorKind::UnsupportedFork.because(format!("{} has no payloads like {id}", version.method())));
    }
    let unknown = move || EngineErrorKind::UnknownPayload.because(format!("no payload {id} is being built"));
    let timestamp = context.payloads.timestamp(id).ok_or_else(unknown)?;
    if !version.takes_fork(fork_at(context.chain.spec(), timestamp)) {
        let why = format!("{} has no payloads of that time ({timestamp})", version.method());
        return Err(EngineErrorKind::UnsupportedFork.because(why));
    }
    let payloads = context.payloads.clone();
    // Waits for the first full block, and writes megabytes of blobs: not on the runtime, nor in the way of imports.
    let answer = tokio::task::spawn_blocking(move || {
        let built = payloads.take(id).ok_or_else(unknown)?.map_err(build_error)?;
        match version {
            GetPayload::V1 => to_json(&PayloadJson::new(&built)),
            _ => to_json(&Envelope::new(&built)),
        }
    });
    answer.await.map_err(|_| ApiError::Internal("internal error: the method handler crashed".into()))?
}

/// Why there is no block, as an error of a method.
pub(crate) fn build_error(error: BuildError) -> ApiError {
    match error {
        BuildError::Attributes(why) => EngineErrorKind::InvalidPayloadAttributes.because(why),
        BuildError::Transaction { why, .. } => ApiError::server(why.to_string()),
        BuildError::Block(error) => ApiError::Internal(error.to_string()),
        BuildError::Read(error) => error.into(),
    }
}

/// Exactly eight bytes.
struct IdArg(PayloadId);

impl<'de> Deserialize<'de> for IdArg {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, |text| parse_fixed::<8>(text, "a payload id").map(|bytes| Self(PayloadId(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(version: GetPayload, attributes: &[u8], forks: &[Fork]) {
        let taken: Vec<_> = (0..6).filter(|attributes| version.takes_attributes(*attributes)).collect();
        assert_eq!(taken, attributes, "{version:?}");
        let since_paris = Fork::ALL.into_iter().filter(|fork| *fork >= Fork::Paris);
        let taken: Vec<_> = since_paris.filter(|fork| version.takes_fork(*fork)).collect();
        assert_eq!(taken, forks, "{version:?}");
    }

    #[test]
    fn gates() {
        use Fork::*;
        check(GetPayload::V2, &[1, 2], &[Paris, Shanghai]);
        check(GetPayload::V3, &[3], &[Cancun]);
        check(GetPayload::V4, &[3], &[Prague]);
        check(GetPayload::V5, &[3], &[Osaka, Bpo1, Bpo2, Bpo3, Bpo4, Bpo5]);
        check(GetPayload::V6, &[4], &[Amsterdam]);
    }
}
