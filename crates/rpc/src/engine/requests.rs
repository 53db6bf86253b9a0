//! Execution requests that come beside a payload (EIP-7685).

use crate::{api::Answer, error::EngineErrorKind};
use alloy_primitives::{B256, Bytes};
use sha2::{Digest, Sha256};

/// Checks that each request has a type and data, and that the types rise.
pub(super) fn check(requests: &[Bytes]) -> Answer<()> {
    if let Some(empty) = requests.iter().find(|request| request.len() < 2) {
        return Err(EngineErrorKind::InvalidParams.because(format!("empty request: {empty}")));
    }
    if !requests.is_sorted_by(|a, b| a[0] < b[0]) {
        return Err(EngineErrorKind::InvalidParams.because("invalid request order: types must rise"));
    }
    Ok(())
}

/// The header's requests hash: SHA-256 over the hashes of the single requests.
pub(super) fn hash(requests: &[Bytes]) -> B256 {
    let mut all = Sha256::new();
    for request in requests {
        all.update(Sha256::digest(request));
    }
    B256::new(all.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(requests: &[&'static [u8]], expect: bool) {
        let requests: Vec<_> = requests.iter().map(|&request| Bytes::from_static(request)).collect();
        assert_eq!(super::check(&requests).is_ok(), expect, "{requests:?}");
    }

    #[test]
    fn order() {
        check(&[], true);
        check(&[&[0, 1], &[1, 1], &[2, 1]], true);
        check(&[&[1, 1], &[0, 1]], false);
        check(&[&[1, 1], &[1, 2]], false);
        check(&[&[1]], false);
        check(&[&[]], false);
    }

    #[test]
    fn hash_of_none() {
        assert_eq!(hash(&[]), alloy_eips::eip7685::EMPTY_REQUESTS_HASH);
    }
}
