//! A JSON-RPC client in a page: blocking, loopback only; one connection a request, or one that is kept ([`Kept`]).
//!
//! It shares no code with the server it talks to, so that neither can hide a mistake of the other.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::Outcome;

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A JSON-RPC server, and the secret if it asks for one.
#[derive(Clone, Debug)]
pub struct Client {
    /// `HOST:PORT`.
    address: String,
    /// The Engine API's shared secret.
    secret: Option<[u8; 32]>,
}

/// An error object of a JSON-RPC answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    /// The JSON-RPC or Engine API code.
    pub code: i64,
    /// What the server says about it.
    pub message: String,
}

impl Client {
    /// A client of `http://HOST:PORT`.
    pub fn new(url: &str) -> Self {
        let address = url.trim_start_matches("http://").trim_end_matches('/').to_string();
        Self { address, secret: None }
    }

    /// A client that proves itself with the hexadecimal secret of a file, as the Engine API wants.
    pub fn with_secret(url: &str, hex_secret: &str) -> Outcome<Self> {
        let mut secret = [0; 32];
        hex::decode_to_slice(hex_secret.trim().trim_start_matches("0x"), &mut secret)
            .map_err(|error| format!("the secret is not 32 bytes of hex: {error}"))?;
        Ok(Self { secret: Some(secret), ..Self::new(url) })
    }

    /// `http://HOST:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// One call; the result, or the error that the server names.
    pub fn call(&self, method: &str, params: Value) -> Outcome<Result<Value, RpcError>> {
        let answer = self.send(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))?;
        if let Some(error) = answer.get("error") {
            return Ok(Err(RpcError {
                code: error["code"].as_i64().unwrap_or_default(),
                message: error["message"].as_str().unwrap_or_default().to_string(),
            }));
        }
        answer.get("result").cloned().map(Ok).ok_or_else(|| format!("{method}: neither result nor error: {answer}"))
    }

    /// One call that must succeed.
    pub fn result(&self, method: &str, params: Value) -> Outcome<Value> {
        self.call(method, params)?.map_err(|error| format!("{method}: {} {}", error.code, error.message))
    }

    /// A request as it is; the answer as it is.
    pub fn send(&self, request: &Value) -> Outcome<Value> {
        self.send_text(&request.to_string()).map_err(|error| {
            let method = request["method"].as_str().unwrap_or("a request");
            format!("{method}: {error}")
        })
    }

    /// A request that is JSON already.
    pub fn send_text(&self, request: &str) -> Outcome<Value> {
        let (status, body) = self.post(request.as_bytes()).map_err(|error| format!("{}: {error}", self.address))?;
        serde_json::from_slice(&body)
            .map_err(|error| format!("HTTP {status}, not JSON ({error}): {}", String::from_utf8_lossy(&body)))
    }

    /// Connects for many requests, as consensus clients do.
    pub fn keep(&self) -> Outcome<Kept> {
        let stream = connect(&self.address).map_err(|error| format!("{}: {error}", self.address))?;
        Ok(Kept { client: self.clone(), stream: BufReader::new(stream) })
    }

    fn post(&self, body: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
        exchange(&self.address, &self.message(body, "Connection: close\r\n"))
    }

    /// The whole request; `more` are lines of its head.
    fn message(&self, body: &[u8], more: &str) -> Vec<u8> {
        let authorization = match &self.secret {
            Some(secret) => format!("Authorization: Bearer {}\r\n", token(secret)),
            None => String::new(),
        };
        let head = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             {authorization}{more}\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    }
}

/// A connection for many requests, one at a time.
#[derive(Debug)]
pub struct Kept {
    client: Client,
    stream: BufReader<TcpStream>,
}

impl Kept {
    /// `http://HOST:PORT`.
    pub fn url(&self) -> String {
        self.client.url()
    }

    /// A request that is JSON already.
    pub fn send_text(&mut self, request: &str) -> Outcome<Value> {
        let body = self.post(request.as_bytes()).map_err(|error| format!("{}: {error}", self.client.address))?;
        serde_json::from_slice(&body).map_err(|error| format!("not JSON ({error}): {}", String::from_utf8_lossy(&body)))
    }

    fn post(&mut self, body: &[u8]) -> std::io::Result<Vec<u8>> {
        self.stream.get_mut().write_all(&self.client.message(body, ""))?;
        let mut line = String::new();
        let mut length = None;
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().ok();
                }
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let length: usize = length.ok_or_else(|| std::io::Error::other("an answer without a Content-Length"))?;
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}

/// One GET, such as of `/readyz`; the status and the body.
pub fn get(url: &str, path: &str) -> std::io::Result<(u16, Vec<u8>)> {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    exchange(address, request.as_bytes())
}

fn connect(address: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(stream)
}

fn exchange(address: &str, request: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = connect(address)?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(&answer).ok_or_else(|| std::io::Error::other("the answer is not HTTP"))
}

fn parse(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?.to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = &answer[end + 4..];
    let chunked = head.lines().any(|line| line.starts_with("transfer-encoding:") && line.contains("chunked"));
    Some((status, if chunked { join_chunks(body)? } else { body.to_vec() }))
}

fn join_chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let length = std::str::from_utf8(&rest[..line]).ok()?.split(';').next()?.trim();
        let length = usize::from_str_radix(length, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        let start = line + 2;
        body.extend_from_slice(rest.get(start..start + length)?);
        rest = rest.get(start + length + 2..)?;
    }
}

/// A token of now: HS256 over `iat` alone, as the Engine API's authentication describes it.
fn token(secret: &[u8; 32]) -> String {
    let issued_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let head = BASE64_URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"iat":{issued_s}}}"#));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(format!("{head}.{claims}").as_bytes());
    format!("{head}.{claims}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

#[test]
fn answers_are_read_whole() {
    let check = |answer: &str, status: u16, body: &str| {
        assert_eq!(parse(answer.as_bytes()), Some((status, body.as_bytes().to_vec())), "{answer}");
    };
    check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, "{}");
    check("HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", 401, "abcde");
    assert_eq!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc"), None);
}
