//! A subscriber over WebSocket in a page: blocking, loopback only, as little of RFC 6455 as JSON-RPC needs.
//!
//! As the client over HTTP beside it, it shares no code with the server.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Outcome;

/// How long the rest of what has begun may take.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Any 16 bytes: the server answers with a hash of them, and nobody else listens here.
const KEY: &str = "c3RhcmxpbmctdGVzdGtpdA==";
/// Opcodes of frames.
const TEXT: u8 = 1;
const PING: u8 = 9;
const PONG: u8 = 10;

/// One subscription on a connection of its own.
pub struct Subscription {
    stream: TcpStream,
}

impl Subscription {
    /// Subscribes at `http://HOST:PORT` or `ws://HOST:PORT`; `params` as of `eth_subscribe`.
    pub fn open(url: &str, params: &Value) -> Outcome<Self> {
        let address = url.trim_start_matches("http://").trim_start_matches("ws://").trim_end_matches('/');
        let open = || {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(READ_TIMEOUT))?;
            stream.write_all(
                format!(
                    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
                )
                .as_bytes(),
            )?;
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte)?;
                head.extend(byte);
            }
            match head.starts_with(b"HTTP/1.1 101") {
                true => Ok(Self { stream }),
                false => Err(std::io::Error::other(String::from_utf8_lossy(&head).into_owned())),
            }
        };
        let mut opened = open().map_err(|error| format!("{address}: no WebSocket: {error}"))?;
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": params});
        opened.send(TEXT, request.to_string().as_bytes()).map_err(|error| format!("{address}: {error}"))?;
        let answer = opened.message().map_err(|error| format!("{address}: {error}"))?;
        if answer["result"].is_string() { Ok(opened) } else { Err(format!("{address}: eth_subscribe: {answer}")) }
    }

    /// The next notification; none if nothing comes in that time.
    pub fn next(&mut self, timeout: Duration) -> Outcome<Option<Value>> {
        let mut next = || {
            self.stream.set_read_timeout(Some(timeout))?;
            match self.stream.peek(&mut [0]) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(None),
                peeked => peeked?,
            };
            self.stream.set_read_timeout(Some(READ_TIMEOUT))?;
            self.message().map(|mut message| Some(message["params"]["result"].take()))
        };
        next().map_err(|error: std::io::Error| format!("a subscription ended: {error}"))
    }

    /// The next text.
    fn message(&mut self) -> std::io::Result<Value> {
        let mut text = Vec::new();
        loop {
            let mut head = [0; 2];
            self.stream.read_exact(&mut head)?;
            let length = match head[1] & 0x7f {
                126 => u64::from(u16::from_be_bytes(self.bytes()?)),
                127 => u64::from_be_bytes(self.bytes()?),
                short => u64::from(short),
            };
            let mut payload = Vec::new();
            (&mut self.stream).take(length).read_to_end(&mut payload)?;
            let is_last = head[0] & 0x80 != 0;
            match head[0] & 0x0f {
                PING => self.send(PONG, &payload)?,
                // continuation, or the beginning
                0 | TEXT => {
                    text.extend(payload);
                    if is_last {
                        return Ok(serde_json::from_slice(&text)?);
                    }
                }
                PONG => {}
                other => return Err(std::io::Error::other(format!("a frame with opcode {other}"))),
            }
        }
    }

    fn bytes<const N: usize>(&mut self) -> std::io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).map(|()| bytes)
    }

    /// Clients mask what they send; with zeros the bytes stay as they are.
    fn send(&mut self, opcode: u8, payload: &[u8]) -> std::io::Result<()> {
        let length = u16::try_from(payload.len()).map_err(std::io::Error::other)?;
        let [high, low] = length.to_be_bytes();
        self.stream.write_all(&[&[0x80 | opcode, 0x80 | 126, high, low, 0, 0, 0, 0], payload].concat())
    }
}
