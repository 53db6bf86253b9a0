use super::dear_blake2::{DearBlake2, Input};
use crate::secp256r1;
use revm::precompile::{Crypto, install_crypto};
use std::sync::Once;

/// The library's cryptography, but for the curve of which it has only a slow kind, and for work that is too dear to be
/// done twice.
#[derive(Debug, Default)]
struct Ours {
    blake2: DearBlake2,
}

impl Crypto for Ours {
    fn secp256r1_verify_signature(&self, hash: &[u8; 32], signature: &[u8; 64], key: &[u8; 64]) -> bool {
        secp256r1::verify(hash, signature, key)
    }

    fn blake2_compress(&self, rounds: u32, h: &mut [u64; 8], m: &[u64; 16], t: &[u64; 2], f: bool) {
        *h = self.blake2.compress(Input { rounds, state: *h, message: *m, offset: *t, last: f });
    }
}

/// Makes the precompiles use it; once a process, before the first machine runs.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        install_crypto(Ours::default());
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use revm::precompile::DefaultCrypto;
    use starling_testkit::fixtures;

    /// Official vectors, and the library's own answer to each of them with any one byte changed.
    #[test]
    fn signatures_are_judged_as_by_the_library_and_the_vectors() {
        let Some(vectors) = vectors() else { return };
        assert!(vectors.len() > 100, "{} vectors", vectors.len());
        for (at, (input, expected)) in vectors.iter().enumerate() {
            assert_eq!(verify(&Ours::default(), input), *expected, "vector {at}");
            let mut changed = input.clone();
            if let Some(byte) = changed.get_mut(at % 160) {
                *byte ^= 1 << (at % 8);
            }
            assert_eq!(verify(&Ours::default(), &changed), verify(&DefaultCrypto, &changed), "changed vector {at}");
        }
    }

    fn verify(crypto: &dyn Crypto, input: &[u8]) -> bool {
        let Some((hash, rest)) = input.split_first_chunk::<32>() else { return false };
        let Some((signature, key)) = rest.split_first_chunk::<64>() else { return false };
        key.try_into().is_ok_and(|key| crypto.secp256r1_verify_signature(hash, signature, key))
    }

    fn vectors() -> Option<Vec<(Vec<u8>, bool)>> {
        let path = fixtures::find("precompiles.tar.zst")?;
        let archive = zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
        let mut vectors = Vec::new();
        for entry in tar::Archive::new(archive).entries().unwrap() {
            let entry = entry.unwrap();
            if !entry.path().unwrap().ends_with("EIPs/assets/eip-7951/test-vectors.json") {
                continue;
            }
            let cases: Vec<serde_json::Value> = serde_json::from_reader(entry).unwrap();
            for case in cases {
                let input = alloy_primitives::hex::decode(case["Input"].as_str().unwrap()).unwrap();
                vectors.push((input, !case["Expected"].as_str().unwrap().is_empty()));
            }
        }
        Some(vectors)
    }
}
