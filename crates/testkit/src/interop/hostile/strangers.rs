//! Those that never become peers: they do not prove who they are, or they are of another network.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use starling_devp2p::eth::Status;

use super::super::peer::{Incoming, Peer};
use super::{BREATH, Fate, Kind, Siege, visit};

pub(super) const KINDS: &[Kind] = &[
    ("slow loris", slow_loris),
    ("1,000 connections", crowd),
    ("noise instead of auth", noise),
    ("endless auth", endless_auth),
    ("noise after Status", spoiled),
    ("garbage after Status", garbage),
    ("a message too long", oversize),
    ("a message that unpacks too long", bomb),
    ("other network", |siege| misfit(siege, 11, |status| *network(status) ^= 1)),
    ("other genesis", |siege| misfit(siege, 12, |status| genesis(status)[7] ^= 1)),
    ("other forks", |siege| misfit(siege, 13, |status| fork_hash(status)[0] ^= 1)),
];

/// Sockets of the slow one.
const LORIS_SOCKETS: usize = 100;

/// Sockets of the crowd.
const CROWD_SOCKETS: usize = 1000;

/// Two megabytes more than any message of eth may have.
const OVERSIZE_BYTES: usize = (10 + 2) << 20;

/// What the bomb unpacks to; packed, it is a twentieth of that.
const BOMB_BYTES: usize = 64 << 20;

/// How long the slow one waits between two bytes.
const LORIS_INTERVAL: Duration = Duration::from_millis(500);

/// How long to wait for the node to end a connection.
const PATIENCE: Duration = Duration::from_secs(8);

/// A byte now and then on many sockets, none of which ever completes anything.
fn slow_loris(siege: &Siege) -> Fate {
    siege.wait_for_the_crowd();
    let mut fate = Fate::default();
    while !siege.is_over() {
        let mut sockets: Vec<(TcpStream, Instant)> = Vec::new();
        for _ in 0..LORIS_SOCKETS {
            if let Ok(socket) = connect(siege) {
                fate.connections += 1;
                sockets.push((socket, Instant::now()));
            }
        }
        while !siege.is_over() && !sockets.is_empty() {
            sockets.retain_mut(|(socket, since)| {
                let open = socket.write_all(&[0]).is_ok() && is_open(socket);
                if !open {
                    fate.note(format!("closed within {} s", since.elapsed().as_secs() + 1));
                }
                open
            });
            std::thread::sleep(LORIS_INTERVAL);
        }
    }
    fate
}

/// As many connections as there may ever be, held open and silent.
fn crowd(siege: &Siege) -> Fate {
    siege.wait_for_the_crowd();
    let mut fate = Fate::default();
    let mut sockets: Vec<TcpStream> = Vec::new();
    while !siege.is_over() {
        while sockets.len() < CROWD_SOCKETS && !siege.is_over() {
            match connect(siege) {
                Ok(socket) => {
                    fate.connections += 1;
                    sockets.push(socket);
                }
                Err(_) => {
                    fate.note("refused");
                    break;
                }
            }
        }
        std::thread::sleep(BREATH);
        sockets.retain_mut(|socket| {
            let open = is_open(socket);
            if !open {
                fate.note("closed");
            }
            open
        });
    }
    fate
}

fn noise(siege: &Siege) -> Fate {
    let bytes: Vec<u8> = (0..700u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    again(siege, |socket| {
        // A length that fits, so that the bytes are taken for a whole message.
        let sent = socket.write_all(&[0x02, 0x00]).and_then(|()| socket.write_all(&bytes));
        sent.is_ok()
    })
}

fn endless_auth(siege: &Siege) -> Fate {
    let bytes = [0x5a; 4096];
    again(siege, |socket| {
        let mut open = socket.write_all(&[0xff, 0xff]).is_ok();
        for _ in 0..1024 {
            open = open && socket.write_all(&bytes).is_ok();
        }
        open
    })
}

/// Connects, does something, waits for the end; again and again.
fn again(siege: &Siege, act: impl Fn(&mut TcpStream) -> bool) -> Fate {
    let mut fate = Fate::default();
    while !siege.is_over() {
        if let Ok(mut socket) = connect(siege) {
            fate.connections += 1;
            let started = Instant::now();
            act(&mut socket);
            while is_open(&mut socket) && started.elapsed() < PATIENCE && !siege.is_over() {
                std::thread::sleep(BREATH);
            }
            fate.note(format!("closed within {} s", started.elapsed().as_secs() + 1));
        }
        std::thread::sleep(BREATH);
    }
    fate
}

/// Bytes that belong to no frame.
fn spoiled(siege: &Siege) -> Fate {
    as_peer(siege, 21, |_| {}, |peer| peer.spoil(&[0xa5; 64]).is_ok())
}

/// A message that is none.
fn garbage(siege: &Siege) -> Fate {
    as_peer(siege, 22, |_| {}, |peer| peer.send_raw(0x03, &[0xf8, 0xff, 0x00, 0x01]).is_ok())
}

/// One frame as the header allows it, longer than a message may be.
fn oversize(siege: &Siege) -> Fate {
    let payload: Vec<u8> =
        (0..OVERSIZE_BYTES as u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    as_peer(siege, 23, |_| {}, |peer| peer.send_raw(0x03, &payload).is_ok())
}

/// A short frame that would take much memory to unpack.
fn bomb(siege: &Siege) -> Fate {
    let payload = vec![0; BOMB_BYTES];
    as_peer(siege, 24, |_| {}, |peer| peer.send_raw(0x03, &payload).is_ok())
}

fn misfit(siege: &Siege, seed: u64, edit: fn(&mut Status)) -> Fate {
    as_peer(siege, seed, edit, |_| true)
}

/// Becomes a peer as far as it is let, does something, waits for the end; again and again.
fn as_peer(siege: &Siege, kind: u64, edit: fn(&mut Status), act: impl Fn(&mut Peer) -> bool) -> Fate {
    visit(siege, kind, edit, |peer, fate| {
        act(peer);
        let started = Instant::now();
        loop {
            match peer.next(Duration::from_secs(1)) {
                Ok(Incoming::Closed(closed)) => break fate.ended(&closed),
                Ok(_) if started.elapsed() < PATIENCE && !siege.is_over() => {}
                Ok(_) => break fate.note("left open"),
                Err(error) => break fate.note(error),
            }
        }
    })
}

fn connect(siege: &Siege) -> std::io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&siege.target.address, Duration::from_secs(1))?;
    socket.set_write_timeout(Some(Duration::from_millis(200)))?;
    Ok(socket)
}

/// Whether the other side has not closed it; what it sends is thrown away.
fn is_open(socket: &mut TcpStream) -> bool {
    let mut bytes = [0; 512];
    if socket.set_nonblocking(true).is_err() {
        return false;
    }
    let open = match socket.read(&mut bytes) {
        Ok(0) => false,
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    };
    open && socket.set_nonblocking(false).is_ok()
}

fn network(status: &mut Status) -> &mut u64 {
    match status {
        Status::V68(status) => &mut status.network_id,
        Status::V69(status) => &mut status.network_id,
    }
}

fn genesis(status: &mut Status) -> &mut [u8; 32] {
    match status {
        Status::V68(status) => &mut status.genesis.0,
        Status::V69(status) => &mut status.genesis.0,
    }
}

fn fork_hash(status: &mut Status) -> &mut [u8; 4] {
    match status {
        Status::V68(status) => &mut status.fork_id.hash.0,
        Status::V69(status) => &mut status.fork_id.hash.0,
    }
}
