//! Prints what a frame costs by size, beside its ciphers alone: `cargo run --release -p starling-devp2p --example bench_frames`.
//!
//! - *streams*: AES-256-CTR over the frame and keccak-256 over its ciphertext, and nothing else; no RLPx can be cheaper.
//! - *by the book*: the same with both tags computed as the specification writes them down, five digests a frame.
//! - *seal*, *open*: ours. *send*, *receive*: a whole session, packing (EIP-706), copies and bookkeeping with it, of a
//!   payload that does not pack.
//!
//! Every figure is the best of several rounds, in ns a frame; ratios are to *by the book*.

use aes::cipher::{BlockCipherEncrypt, KeyInit, KeyIvInit, StreamCipher};
use alloy_primitives::{B256, Keccak256, keccak256};
use rand::{Rng, SeedableRng, rngs::StdRng};
use starling_devp2p::eth::EthVersion;
use starling_devp2p::frame::{Direction, HEAD_BYTES, body_bytes};
use starling_devp2p::{Event, Offer, Protocol, Session};
use starling_primitives::NodeKey;
use std::hint::black_box;
use std::time::Instant;

const SIZES: [usize; 8] = [16, 64, 256, 1024, 4096, 16 * 1024, 128 * 1024, 1024 * 1024];
/// Many short rounds: on a busy machine one of them is left alone.
const ROUNDS: usize = 150;
/// Bytes of one round.
const ROUND_BYTES: usize = 128 * 1024;
const ETH: Protocol = EthVersion::V70.protocol();

fn main() {
    let names = ["bytes", "streams", "by the book", "seal", "ratio", "open", "ratio", "send", "receive"];
    println!("{}", names.map(|name| format!("{name:>12}")).concat());
    for size in SIZES {
        let frames = (ROUND_BYTES / (size + 256)).max(1);
        let streams = streams(size, frames);
        let book = by_the_book(size, frames);
        let (seal, open) = ours(size, frames);
        let (send, receive) = session(size, frames);
        print!("{size:>12}{streams:>12.0}{book:>12.0}{seal:>12.0}{:>12.2}", seal / book);
        println!("{open:>12.0}{:>12.2}{send:>12.0}{receive:>12.0}", open / book);
    }
}

/// The best round, in ns a frame.
fn best(frames: usize, mut round: impl FnMut()) -> f64 {
    let time = |round: &mut dyn FnMut()| {
        let start = Instant::now();
        round();
        start.elapsed().as_nanos() as f64 / frames as f64
    };
    (0..ROUNDS).map(|_| time(&mut round)).fold(f64::INFINITY, f64::min)
}

fn streams(size: usize, frames: usize) -> f64 {
    let mut cipher = ctr::Ctr64BE::<aes::Aes256>::new(&[1; 32].into(), &[0; 16].into());
    let (mut keccak, mut frame) = (Keccak256::new(), vec![0; HEAD_BYTES / 2 + size.next_multiple_of(16)]);
    best(frames, || {
        for _ in 0..frames {
            cipher.apply_keystream(black_box(&mut frame));
            keccak.update(&frame);
        }
        black_box(&keccak);
    })
}

/// The tags of the specification, with a digest wherever it writes one.
struct Book {
    mac: aes::Aes256,
    keccak: Keccak256,
}

impl Book {
    fn digest(&self) -> [u8; 16] {
        let mut digest = [0; 16];
        digest.copy_from_slice(&self.keccak.clone().finalize()[..16]);
        digest
    }

    fn tag(&mut self, seed: [u8; 16]) -> [u8; 16] {
        let mut block = self.digest().into();
        self.mac.encrypt_block(&mut block);
        block.iter_mut().zip(seed).for_each(|(byte, other)| *byte ^= other);
        self.keccak.update(block);
        self.digest()
    }
}

fn by_the_book(size: usize, frames: usize) -> f64 {
    let mut cipher = ctr::Ctr64BE::<aes::Aes256>::new(&[1; 32].into(), &[0; 16].into());
    let mut book = Book { mac: aes::Aes256::new(&[2; 32].into()), keccak: Keccak256::new() };
    let (mut header, mut body) = ([0; 16], vec![0; size.next_multiple_of(16)]);
    best(frames, || {
        for _ in 0..frames {
            cipher.apply_keystream(black_box(&mut header));
            black_box(book.tag(header));
            cipher.apply_keystream(black_box(&mut body));
            book.keccak.update(&body);
            let seed = book.digest();
            black_box(book.tag(seed));
        }
    })
}

fn direction() -> Direction {
    let secret = |text: &str| -> B256 { keccak256(text) };
    Direction::new(&secret("aes"), &secret("mac"), Keccak256::new())
}

fn ours(size: usize, frames: usize) -> (f64, f64) {
    let (mut writer, mut reader) = (direction(), direction());
    let frame_bytes = HEAD_BYTES + body_bytes(size);
    let mut out = Vec::with_capacity(frames * frame_bytes);
    let (mut seal, mut open) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        out.clear();
        let start = Instant::now();
        for _ in 0..frames {
            let at = out.len();
            out.resize(at + HEAD_BYTES + size, 0);
            writer.seal(&mut out, at);
        }
        seal = seal.min(start.elapsed().as_nanos() as f64 / frames as f64);
        let start = Instant::now();
        for frame in out.chunks_exact_mut(frame_bytes) {
            let (head, body) = frame.split_first_chunk_mut().expect("a whole frame");
            assert_eq!(reader.open_head(head), Ok(size));
            assert_eq!(reader.open_body(body), Ok(()));
        }
        open = open.min(start.elapsed().as_nanos() as f64 / frames as f64);
    }
    (seal, open)
}

/// Two sessions that are open.
fn pair(now: Instant) -> (Session, Session) {
    let mut rng = StdRng::seed_from_u64(1);
    let (ours, theirs) = (NodeKey::random(&mut rng), NodeKey::random(&mut rng));
    let offer = Offer { client_id: "bench".into(), protocols: vec![ETH], listen_port: 0 };
    let mut dialer = Session::dial(&ours, theirs.public(), &offer, now, &mut rng).expect("a valid key");
    let mut acceptor = Session::accept(&theirs, &offer, now, &mut rng);
    for _ in 0..2 {
        acceptor.receive(dialer.output(), now);
        dialer.output_sent(usize::MAX, now);
        while acceptor.poll().is_some() {}
        dialer.receive(acceptor.output(), now);
        acceptor.output_sent(usize::MAX, now);
        while dialer.poll().is_some() {}
    }
    (dialer, acceptor)
}

fn session(size: usize, frames: usize) -> (f64, f64) {
    let now = Instant::now();
    let (mut dialer, mut acceptor) = pair(now);
    let mut payload = vec![0; size];
    StdRng::seed_from_u64(2).fill_bytes(&mut payload);
    let (mut send, mut receive) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..frames {
            dialer.send(&ETH, 2, &payload, now).expect("room for a round");
        }
        send = send.min(start.elapsed().as_nanos() as f64 / frames as f64);
        let (mut messages, start) = (0, Instant::now());
        for part in dialer.output().chunks(64 * 1024) {
            acceptor.receive(part, now);
            while let Some(event) = acceptor.poll() {
                messages += usize::from(matches!(event, Event::Message(message) if message.payload.len() == size));
            }
        }
        assert_eq!(messages, frames);
        receive = receive.min(start.elapsed().as_nanos() as f64 / frames as f64);
        dialer.output_sent(usize::MAX, now);
    }
    (send, receive)
}
