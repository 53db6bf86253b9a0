//! The libp2p name of a node key, for the tools of that world
//! ([specification](https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md)).

use starling_primitives::{PeerId, peer_id};

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// The peer id that libp2p gives the same key: base58 of the identity multihash of the key's protobuf, which for
/// secp256k1 always begins with `16Uiu2HA`.
pub fn libp2p_peer_id(peer: &PeerId) -> String {
    // multihash: identity, 37 bytes; protobuf: field 1 = type 2 (secp256k1), field 2 = 33 bytes
    let mut bytes = vec![0x00, 37, 0x08, 2, 0x12, 33];
    bytes.extend(peer_id::compress(peer));
    base58(&bytes)
}

fn base58(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    // digits of base 58, the last first
    let mut digits: Vec<u8> = Vec::with_capacity(bytes.len() * 138 / 100 + 1);
    for &byte in &bytes[zeros..] {
        let mut carry = u32::from(byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let zeros = std::iter::repeat_n(0, zeros);
    zeros.chain(digits.into_iter().rev()).map(|digit| char::from(ALPHABET[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_primitives::{NodeKey, bytes};

    #[test]
    fn base58_of_known_bytes() {
        // vectors of draft-msporny-base58
        assert_eq!(base58(b"Hello World!"), "2NEpo7TZRRrLZSi2U");
        assert_eq!(base58(&[0x00, 0x00, 0x28, 0x7f, 0xb4, 0xcd]), "11233QC4");
        assert_eq!(base58(b""), "");
    }

    #[test]
    fn the_name_of_a_published_key() {
        // the key pair of libp2p's own test vectors
        let key: NodeKey = "53dadf1d5a164d6b4acdb15e24aa4c5b1d3461bdbd42abedb0a4404d56ced8fb".parse().unwrap();
        let public = bytes!("037777e994e452c21604f91de093ce415f5432f701dd8cd1a7a6fea0e630bfca99");
        assert_eq!(peer_id::compress(&key.public()), public.as_ref());
        assert!(libp2p_peer_id(&key.public()).starts_with("16Uiu2HA"));
    }
}
