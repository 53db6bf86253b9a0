//! A small JSON-RPC client: over the socket of a node on this machine, or over plain HTTP.

use crate::failure::{Context, Failure};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

/// Longest wait for an answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(120);
/// Largest answer that is taken.
const ANSWER_SIZE_BYTES_MAX: u64 = 1 << 30;

/// Where a node is reached.
#[derive(Debug, Clone)]
pub(crate) enum Endpoint {
    /// Its socket.
    Ipc(PathBuf),
    /// `http://HOST:PORT/PATH`
    Http(String),
}

/// Sends one call and returns the whole response object.
pub(crate) fn call(endpoint: &Endpoint, method: &str, params: &[Value]) -> Result<Value, Failure> {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    match endpoint {
        Endpoint::Ipc(path) => call_ipc(path, &request),
        Endpoint::Http(url) => call_http(url, &request),
    }
}

fn call_ipc(path: &Path, request: &str) -> Result<Value, Failure> {
    let shown = path.display();
    let mut stream = UnixStream::connect(path).map_err(|error| {
        Failure::new(format_args!("no node answers on {shown}: {error}"))
            .remedy("start one with `starling node`, or name another --ipc, --url or --datadir")
    })?;
    let talk = |stream: &mut UnixStream| -> std::io::Result<Value> {
        stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
        stream.write_all(request.as_bytes())?;
        stream.write_all(b"\n")?;
        first_value(BufReader::new(stream))
    };
    talk(&mut stream).context(shown)
}

fn first_value(input: impl Read) -> std::io::Result<Value> {
    let mut values = serde_json::Deserializer::from_reader(input.take(ANSWER_SIZE_BYTES_MAX)).into_iter::<Value>();
    values.next().ok_or_else(|| std::io::Error::other("the node hung up"))?.map_err(Into::into)
}

fn call_http(url: &str, request: &str) -> Result<Value, Failure> {
    let rest = url.strip_prefix("http://").ok_or_else(|| {
        Failure::usage(format_args!("{url} does not begin with http://")).remedy("use a tunnel for TLS")
    })?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = if host.contains(':') { host.to_string() } else { format!("{host}:80") };
    let mut stream = TcpStream::connect(&address).map_err(|error| {
        Failure::new(format_args!("no node answers on {url}: {error}")).remedy("is it running, and with --http?")
    })?;
    let talk = |stream: &mut TcpStream| -> std::io::Result<Value> {
        stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
        let length = request.len();
        write!(
            stream,
            "POST /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{request}"
        )?;
        read_response(BufReader::new(stream))
    };
    talk(&mut stream).context(url)
}

/// Reads an HTTP response whose body is JSON, of known length, in chunks, or up to the end.
fn read_response(input: impl BufRead) -> std::io::Result<Value> {
    let mut input = input.take(ANSWER_SIZE_BYTES_MAX);
    let mut line = String::new();
    input.read_line(&mut line)?;
    let status = line.split(' ').nth(1).unwrap_or_default().to_string();
    let mut chunked = false;
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let header = line.to_ascii_lowercase();
        chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
    }
    let mut body = Vec::new();
    match chunked {
        true => read_chunks(&mut input, &mut body)?,
        false => input.read_to_end(&mut body).map(|_| ())?,
    }
    serde_json::from_slice(&body).map_err(|_| {
        let text = String::from_utf8_lossy(&body);
        std::io::Error::other(format!("HTTP status {status}: {}", text.lines().next().unwrap_or_default()))
    })
}

fn read_chunks(input: &mut impl BufRead, body: &mut Vec<u8>) -> std::io::Result<()> {
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        let digits = line.trim().split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(digits, 16).map_err(|_| std::io::Error::other("malformed HTTP chunk"))?;
        if size == 0 {
            return Ok(());
        }
        input.take(size).read_to_end(body)?;
        line.clear();
        input.read_line(&mut line)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_of_every_form_are_read() {
        let check = |response: &str, expect: Result<Value, &str>| {
            let got = read_response(BufReader::new(response.as_bytes())).map_err(|error| error.to_string());
            assert_eq!(got, expect.map_err(String::from), "{response}");
        };
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", Ok(json!({})));
        check("HTTP/1.1 200 OK\r\n\r\n[1]", Ok(json!([1])));
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n", Ok(json!([1])));
        check("HTTP/1.1 403 Forbidden\r\n\r\ninvalid host", Err("HTTP status 403: invalid host"));
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", Err("malformed HTTP chunk"));
        check("", Err("HTTP status : "));
    }
}
