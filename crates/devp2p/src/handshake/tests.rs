//! The published vectors of EIP-8.

use super::*;
use serde_json::Value;
use starling_testkit::fixtures;

/// Messages that both sides of the vectors exchange, and what must come of them.
struct Vectors(Value);

impl Vectors {
    fn read() -> Option<Self> {
        fixtures::read("vectors/rlpx-eip8.json").map(|text| Self(serde_json::from_str(&text).unwrap()))
    }

    fn secret(&self, name: &str) -> B256 {
        self.0["keys"][name].as_str().unwrap().parse().unwrap()
    }

    fn key(&self, name: &str) -> NodeKey {
        NodeKey::from_bytes(&self.secret(name)).unwrap()
    }

    fn packet(&self, id: &str) -> Vec<u8> {
        let messages = self.0["messages"].as_array().unwrap();
        let message = messages.iter().find(|message| message["id"] == id).unwrap();
        hex::decode(message["packet"].as_str().unwrap().trim_start_matches("0x")).unwrap()
    }

    /// What the side with that letter drew.
    fn randomness(&self, side: char) -> Randomness {
        Randomness {
            ephemeral: self.key(&format!("EphemeralKey{side}")),
            nonce: self.secret(&format!("Nonce{side}")),
            ecies_key: self.key("EphemeralKeyA"),
            ecies_iv: [9; 16],
            padding: vec![0; 100],
        }
    }
}

#[test]
fn published_calls_are_answered() {
    let Some(vectors) = Vectors::read() else { return };
    for id in ["auth2", "auth3"] {
        let recipient = Recipient::new(vectors.key("StaticKeyB"), vectors.randomness('B'));
        let (agreed, ack) = recipient.read_auth(&mut vectors.packet(id)).unwrap();
        assert_eq!(agreed.remote, vectors.key("StaticKeyA").public(), "{id}");
        let initiator =
            Initiator::new(&vectors.key("StaticKeyA"), vectors.key("StaticKeyB").public(), vectors.randomness('A'));
        let mut ack = ack;
        assert!(initiator.unwrap().read_ack(&vectors.key("StaticKeyA"), &mut ack).is_ok(), "{id}");
    }
}

#[test]
fn published_answers_are_understood() {
    let Some(vectors) = Vectors::read() else { return };
    let key = vectors.key("StaticKeyA");
    for id in ["ack2", "ack3"] {
        let initiator = Initiator::new(&key, vectors.key("StaticKeyB").public(), vectors.randomness('A')).unwrap();
        assert!(initiator.read_ack(&key, &mut vectors.packet(id)).is_ok(), "{id}");
    }
}

#[test]
fn published_secrets_are_derived() {
    let Some(vectors) = Vectors::read() else { return };
    let derived = &vectors.0["derivedSecrets"];
    let expect = |name: &str| -> B256 { derived[name].as_str().unwrap().parse().unwrap() };
    let remote_ephemeral = vectors.key("EphemeralKeyA").public();
    let (a, b) = (vectors.secret("NonceA"), vectors.secret("NonceB"));
    let secrets = Secrets::derive(&vectors.key("EphemeralKeyB"), &remote_ephemeral, &b, &a).unwrap();
    assert_eq!(secrets.aes, expect("aesSecret"));
    assert_eq!(secrets.mac, expect("macSecret"));
    let mut ingress = secrets.running_mac(&b, &vectors.packet("auth2"));
    ingress.update(b"foo");
    assert_eq!(ingress.finalize(), expect("ingressMacOfFoo"));
}

#[test]
fn the_form_before_eip_8_is_not_spoken() {
    let Some(vectors) = Vectors::read() else { return };
    // Its first bytes name more than it has, so a session waits for the rest until its time is over.
    let packet = vectors.packet("auth1");
    let size = message_size([packet[0], packet[1]]).unwrap();
    assert!(size + SIZE_BYTES > packet.len());
    let recipient = Recipient::new(vectors.key("StaticKeyB"), vectors.randomness('B'));
    assert!(recipient.read_auth(&mut packet.clone()).is_err());
}

#[test]
fn sizes_beyond_the_possible_are_refused_at_once() {
    let check = |size: u16, ok: bool| assert_eq!(message_size(size.to_be_bytes()).is_ok(), ok, "{size}");
    check(0, false);
    check(112, false);
    check(113, true);
    check(2048, true);
    check(2049, false);
    check(u16::MAX, false);
}

#[test]
fn a_call_with_another_signature_or_a_bad_key_is_refused() {
    let Some(vectors) = Vectors::read() else { return };
    let (a, b) = (vectors.key("StaticKeyA"), vectors.key("StaticKeyB"));
    let call = |signature: [u8; 65], id: PeerId| {
        let body = list(&[&signature, &id, &B256::ZERO, &VERSION]);
        let mut packet = vectors.randomness('A').seal(&b.public(), body).unwrap();
        Recipient::new(b.clone(), vectors.randomness('B')).read_auth(&mut packet).err()
    };
    let proof = a.ecdh_x(&b.public()).unwrap();
    assert_eq!(call(a.sign_recoverable(&proof), a.public()), None);
    let mut signature = a.sign_recoverable(&proof);
    signature[64] = 9;
    assert_eq!(call(signature, a.public()), Some(HandshakeError::Signature));
    assert_eq!(call([0; 65], a.public()), Some(HandshakeError::Signature));
    assert_eq!(call(a.sign_recoverable(&proof), PeerId::ZERO), Some(HandshakeError::Key(InvalidPeerId)));
}
