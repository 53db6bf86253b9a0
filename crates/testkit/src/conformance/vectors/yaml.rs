//! As much of YAML as the KZG files use: members by indentation, lists, quoted and bare scalars, lists in brackets
//! over several lines.

use serde_json::Value;

/// Reads a file. A scalar is a text, a number, a flag or null.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let lines = lines(text);
    let mut rest = lines.as_slice();
    let value = block(&mut rest)?;
    match rest.first() {
        None => Ok(value),
        Some(line) => Err(format!("cannot read {:.40}", line.text)),
    }
}

/// A line without its indentation, brackets closed.
#[derive(Debug, Clone)]
struct Line {
    indent: usize,
    text: String,
}

fn lines(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match lines.last_mut() {
            Some(open) if open.text.contains('[') && !open.text.contains(']') => open.text.push_str(line.trim()),
            _ => {
                let text = line.trim();
                lines.push(Line { indent: line.len() - line.trim_start().len(), text: text.into() });
            }
        }
    }
    lines
}

/// What stands at the indentation of the first line.
fn block(rest: &mut &[Line]) -> Result<Value, String> {
    let Some(first) = rest.first() else { return Ok(Value::Null) };
    if first.text.starts_with('-') { list(rest, first.indent) } else { object(rest, first.indent) }
}

fn list(rest: &mut &[Line], indent: usize) -> Result<Value, String> {
    let mut items = Vec::new();
    while let Some((line, after)) = rest.split_first() {
        let Some(item) = line.text.strip_prefix('-').filter(|_| line.indent == indent) else { break };
        let item = item.trim_start();
        if !item.starts_with('-') {
            *rest = after;
            items.push(scalar(item)?);
            continue;
        }
        // A list in the list begins on the same line: read it as if it stood on one of its own.
        let inner = Line { indent: indent + (line.text.len() - item.len()), text: item.into() };
        let below = after.iter().take_while(|line| line.indent >= inner.indent).count();
        let lines = [&[inner], &after[..below]].concat();
        items.push(block(&mut lines.as_slice())?);
        *rest = &after[below..];
    }
    Ok(Value::Array(items))
}

fn object(rest: &mut &[Line], indent: usize) -> Result<Value, String> {
    let mut members = serde_json::Map::new();
    while let Some((line, after)) = rest.split_first().filter(|(line, _)| line.indent == indent) {
        let (name, value) = line.text.split_once(':').ok_or_else(|| format!("no member: {:.40}", line.text))?;
        *rest = after;
        let value = match (value.trim(), after.first()) {
            // A list may stand as far left as the member that it belongs to.
            ("", Some(next)) if next.indent > indent || next.text.starts_with('-') => block(rest)?,
            (value, _) => scalar(value)?,
        };
        members.insert(name.into(), value);
    }
    Ok(Value::Object(members))
}

fn scalar(text: &str) -> Result<Value, String> {
    if let Some(items) = text.strip_prefix('[') {
        let items = items.strip_suffix(']').ok_or("a bracket that is not closed")?;
        let items = items.split(',').map(str::trim).filter(|item| !item.is_empty());
        return Ok(Value::Array(items.map(scalar).collect::<Result<_, _>>()?));
    }
    let unquoted = ['\'', '"'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
    Ok(match (unquoted, text) {
        (Some(text), _) => text.into(),
        (_, "" | "null" | "~") => Value::Null,
        (_, "true") => true.into(),
        (_, "false") => false.into(),
        (_, bare) => bare.parse::<u64>().map_or_else(|_| bare.into(), Value::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(text: &str, expected: Value) {
        assert_eq!(parse(text), Ok(expected), "{text}");
    }

    #[test]
    fn shapes_of_the_files() {
        check("input:\n  blob: '0x12'\noutput: null\n", json!({ "input": { "blob": "0x12" }, "output": null }));
        check("input: {}\noutput: true", json!({ "input": "{}", "output": true }));
        check("a:\n- '0x1'\n- '0x2'\nb: []\n", json!({ "a": ["0x1", "0x2"], "b": [] }));
        check("a:\n  b: [0, 1,\n    2, 3]\n  c:\n  - 4\n", json!({ "a": { "b": [0, 1, 2, 3], "c": [4] } }));
        check("a:\n- - 1\n  - 2\n- - 3\nb: 4", json!({ "a": [[1, 2], [3]], "b": 4 }));
    }
}
