//! Blobs of the pool's transactions, for a consensus client that has not seen them on its own network.

use super::attributes::fork_at;
use crate::{
    ApiError, RpcContext,
    api::{Answer, to_json},
    args::Args,
    error::EngineErrorKind,
    hex::Hash,
};
use alloy_eips::{
    eip4844::{Blob, Bytes48},
    eip7594::{BlobTransactionSidecarVariant, CELLS_PER_EXT_BLOB},
};
use jsonrpsee::types::Params;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use starling_chainspec::Fork;
use starling_primitives::B256;
use std::sync::Arc;

/// Most blobs of one answer: what the specification asks for at least.
const BLOBS_MAX: usize = 128;

/// A version of `engine_getBlobs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GetBlobs {
    /// Cancun and Prague: a proof a blob, null for what is not here.
    V1,
    /// Since Osaka: a proof a cell, all or nothing.
    V2,
    /// Since Osaka: a proof a cell, null for what is not here.
    V3,
}

impl GetBlobs {
    pub(super) const ALL: [Self; 3] = [Self::V1, Self::V2, Self::V3];

    /// The method's name.
    pub(super) const fn method(self) -> &'static str {
        match self {
            Self::V1 => "engine_getBlobsV1",
            Self::V2 => "engine_getBlobsV2",
            Self::V3 => "engine_getBlobsV3",
        }
    }

    /// What it answers, whatever it is asked, while the head is a block of this fork; none if it looks.
    fn outside(self, fork: Fork) -> Option<Answer<Box<RawValue>>> {
        match self {
            Self::V1 if (Fork::Cancun..Fork::Osaka).contains(&fork) => None,
            Self::V1 => {
                let why = "engine_getBlobsV1 is only available at Cancun/Prague fork";
                Some(Err(EngineErrorKind::UnsupportedFork.because(why)))
            }
            Self::V2 | Self::V3 => (fork < Fork::Osaka).then(|| to_json(&())),
        }
    }
}

/// A blob in the pool.
type Found = (Arc<BlobTransactionSidecarVariant>, usize);

pub(super) async fn get_blobs(
    context: Arc<RpcContext>,
    params: Params<'static>,
    version: GetBlobs,
) -> Answer<Box<RawValue>> {
    let mut args = Args::new(&params)?;
    let hashes: Vec<Hash> = args.required()?;
    args.end()?;
    let head = context.chain.view().head_header().timestamp;
    if let Some(answer) = version.outside(fork_at(context.chain.spec(), head)) {
        return answer;
    }
    if hashes.len() > BLOBS_MAX {
        let why = format!("requested blob count too large: {}, at most {BLOBS_MAX}", hashes.len());
        return Err(EngineErrorKind::TooLargeRequest.because(why));
    }
    let hashes: Vec<B256> = hashes.into_iter().map(|Hash(hash)| hash).collect();
    // Megabytes of hex: not on the runtime.
    let answer = tokio::task::spawn_blocking(move || {
        let found = context.pool.blobs_by_versioned_hash(&hashes);
        let blobs: Vec<_> = found.iter().map(|found| BlobJson::new(version, found.as_ref()?)).collect();
        metrics::counter!("engine_blobs_requested_total").increment(blobs.len() as u64);
        metrics::counter!("engine_blobs_found_total").increment(blobs.iter().flatten().count() as u64);
        match version == GetBlobs::V2 && blobs.iter().any(Option::is_none) {
            true => to_json(&()),
            false => to_json(&blobs),
        }
    });
    answer.await.map_err(|_| ApiError::Internal("internal error: the method handler crashed".into()))?
}

/// `BlobAndProofV1` or `V2`.
#[derive(Serialize)]
struct BlobJson<'a> {
    #[serde(serialize_with = "hex_of_blob")]
    blob: &'a Blob,
    #[serde(flatten)]
    proofs: Proofs<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Proofs<'a> {
    Proof(&'a Bytes48),
    Proofs(&'a [Bytes48]),
}

impl<'a> BlobJson<'a> {
    /// None if the proofs are of the other kind.
    fn new(version: GetBlobs, (sidecar, index): &'a Found) -> Option<Self> {
        let blob = sidecar.blobs().get(*index)?;
        let proofs = match (&**sidecar, version) {
            (BlobTransactionSidecarVariant::Eip4844(sidecar), GetBlobs::V1) => {
                Proofs::Proof(sidecar.proofs.get(*index)?)
            }
            (BlobTransactionSidecarVariant::Eip7594(sidecar), GetBlobs::V2 | GetBlobs::V3) => {
                let first = index.checked_mul(CELLS_PER_EXT_BLOB)?;
                Proofs::Proofs(sidecar.cell_proofs.get(first..first.checked_add(CELLS_PER_EXT_BLOB)?)?)
            }
            _ => return None,
        };
        Some(Self { blob, proofs })
    }
}

/// A blob as hex in one piece: its own `Serialize` may copy 128 KiB more than once.
fn hex_of_blob<S: Serializer>(blob: &&Blob, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&alloy_primitives::hex::encode_prefixed(blob.as_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_eips::eip4844::BlobTransactionSidecar;
    use alloy_eips::eip7594::BlobTransactionSidecarEip7594;

    fn sidecar(cells: bool) -> Found {
        let (blobs, commitments) = (vec![Blob::repeat_byte(1), Blob::repeat_byte(2)], vec![Bytes48::ZERO; 2]);
        let sidecar = match cells {
            false => BlobTransactionSidecarVariant::Eip4844(BlobTransactionSidecar {
                blobs,
                commitments,
                proofs: vec![Bytes48::repeat_byte(3), Bytes48::repeat_byte(4)],
            }),
            true => BlobTransactionSidecarVariant::Eip7594(BlobTransactionSidecarEip7594 {
                blobs,
                commitments,
                cell_proofs: (0..=255).map(Bytes48::repeat_byte).collect(),
            }),
        };
        (Arc::new(sidecar), 1)
    }

    #[test]
    fn shapes() {
        let json =
            |version, cells| BlobJson::new(version, &sidecar(cells)).map(|blob| serde_json::to_value(&blob).unwrap());
        let blob = format!("0x{}", "02".repeat(131_072));
        let one = json(GetBlobs::V1, false).unwrap();
        assert_eq!((&one["blob"], &one["proof"]), (&blob.clone().into(), &format!("0x{}", "04".repeat(48)).into()));
        let many = json(GetBlobs::V2, true).unwrap();
        let proofs = many["proofs"].as_array().unwrap();
        assert_eq!((&many["blob"], proofs.len()), (&blob.into(), 128));
        assert_eq!(
            (&proofs[0], &proofs[127]),
            (&format!("0x{}", "80".repeat(48)).into(), &format!("0x{}", "ff".repeat(48)).into())
        );
        assert_eq!(
            (json(GetBlobs::V1, true), json(GetBlobs::V2, false), json(GetBlobs::V3, false)),
            (None, None, None)
        );
    }
}
