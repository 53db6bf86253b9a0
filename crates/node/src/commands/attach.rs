//! `attach`: one JSON-RPC call, or a prompt for several.

use super::{
    named_datadir,
    rpc_client::{Endpoint, call},
    say,
};
use crate::{
    cli::AttachArgs,
    failure::{Context, Failure},
};
use serde_json::Value;
use std::io::{self, BufRead, IsTerminal, Write};

pub(super) fn run(args: &AttachArgs) -> Result<(), Failure> {
    let endpoint = match (&args.url, &args.ipc) {
        (Some(url), _) => Endpoint::Http(url.clone()),
        (None, Some(path)) => Endpoint::Ipc(path.clone()),
        (None, None) => Endpoint::Ipc(named_datadir(&args.datadir)?.ipc()),
    };
    match &args.method {
        Some(method) => {
            let params: Vec<_> = args.params.iter().map(|param| parameter(param)).collect();
            say(&answer(&endpoint, method, &params)?)
        }
        None => prompt(&endpoint),
    }
}

/// A parameter is JSON; what is not JSON is taken as a string, so that quotes can be left out.
fn parameter(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.into()))
}

fn answer(endpoint: &Endpoint, method: &str, params: &[Value]) -> Result<String, Failure> {
    let mut response = call(endpoint, method, params)?;
    if let Some(error) = response.get("error") {
        let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
        let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
        let data = error.get("data").map(|data| format!(" (data {data})")).unwrap_or_default();
        return Err(Failure::new(format_args!("{method}: error {code}: {message}{data}")));
    }
    let result = response.get_mut("result").map(Value::take);
    let result =
        result.ok_or_else(|| Failure::new(format_args!("{method}: the answer has neither result nor error")))?;
    Ok(format!("{result:#}"))
}

fn prompt(endpoint: &Endpoint) -> Result<(), Failure> {
    let interactive = io::stdin().is_terminal();
    if interactive {
        eprintln!("METHOD [JSON…] calls, `exit` ends. Try: eth_blockNumber");
    }
    let mut lines = io::stdin().lock().lines();
    loop {
        if interactive {
            eprint!("> ");
            // A prompt that is not seen does no harm.
            let _ = io::stderr().flush();
        }
        let Some(line) = lines.next().transpose().context("cannot read the prompt")? else { return Ok(()) };
        let Some((method, params)) = split(&line) else { continue };
        if matches!(method, "exit" | "quit") {
            return Ok(());
        }
        match answer(endpoint, method, &params) {
            Ok(text) => say(&text)?,
            Err(failure) if interactive => eprintln!("{failure}"),
            Err(failure) => return Err(failure),
        }
    }
}

/// A line's method and parameters; JSON may hold blanks, bare words may not.
fn split(line: &str) -> Option<(&str, Vec<Value>)> {
    let line = line.trim();
    let (method, mut rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let mut params = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return (!method.is_empty()).then_some((method, params));
        }
        let word = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let (value, used) = match values.next() {
            Some(Ok(value)) if values.byte_offset() >= word.len() || rest.starts_with(['{', '[', '"']) => {
                (value, values.byte_offset())
            }
            _ => (Value::String(word.into()), word.len()),
        };
        params.push(value);
        rest = &rest[used..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_are_split_into_method_and_parameters() {
        let check = |line: &str, expect: Option<(&str, Value)>| {
            let got = split(line).map(|(method, params)| (method, Value::Array(params)));
            assert_eq!(got, expect, "{line}");
        };
        check("", None);
        check("  eth_blockNumber ", Some(("eth_blockNumber", json!([]))));
        check("eth_getBalance 0x12 latest", Some(("eth_getBalance", json!(["0x12", "latest"]))));
        check(r#"eth_getBalance "0x12" "latest""#, Some(("eth_getBalance", json!(["0x12", "latest"]))));
        check(r#"eth_call {"to": "0x1"} 7 true"#, Some(("eth_call", json!([{"to": "0x1"}, 7, true]))));
        check("m [1, 2] null", Some(("m", json!([[1, 2], null]))));
    }
}
