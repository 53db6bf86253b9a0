//! How an answer is held to the published one.
//!
//! As hive does: error messages are not compared, where both sides have one; their `code` and `data` are. Nothing may
//! be missing and nothing may be added; numbers count as numbers, text letter by letter. Where only the shape counts,
//! an answer needs the example's members with the example's types, unless it is an error, which is compared in full; a
//! map by address or nonce may have other keys.

use serde_json::Value;

use super::io::Case;

/// Members that the specification makes optional although an example has them: a node that keeps everything has no
/// strategy to delete it (execution-apis, `eth_capabilities`).
const OPTIONAL: &[(&str, &str)] = &[("eth_capabilities", "deleteStrategy")];

/// What is wrong with an answer, one line each.
pub(super) fn differences(case: &Case, expected: &Value, answer: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match (case.shape_only, expected.get("result"), answer.get("result")) {
        (true, Some(example), Some(result)) => shape(&case.method, "result", example, result, &mut found),
        _ => exact("", expected, answer, &mut found),
    }
    found
}

fn exact(path: &str, expected: &Value, answer: &Value, found: &mut Vec<String>) {
    match (expected, answer) {
        (Value::Object(wanted), Value::Object(given)) => {
            let spared = |name: &str| {
                name == "message" && path.ends_with("error") && wanted.contains_key(name) && given.contains_key(name)
            };
            for (name, value) in wanted.iter().filter(|(name, _)| !spared(name)) {
                let inner = join(path, name);
                match given.get(name) {
                    Some(other) => exact(&inner, value, other, found),
                    None => found.push(format!("{inner} is missing, should be {}", short(value))),
                }
            }
            let added = given.iter().filter(|(name, _)| !wanted.contains_key(name.as_str()));
            found.extend(added.map(|(name, value)| format!("{} is too much: {}", join(path, name), short(value))));
        }
        (Value::Array(wanted), Value::Array(given)) if wanted.len() == given.len() => {
            for (index, (value, other)) in wanted.iter().zip(given).enumerate() {
                exact(&format!("{path}[{index}]"), value, other, found);
            }
        }
        (Value::Number(wanted), Value::Number(given)) if wanted.as_f64() == given.as_f64() => {}
        _ if expected == answer => {}
        _ => found.push(format!("{path} is {}, should be {}", short(answer), short(expected))),
    }
}

fn shape(method: &str, path: &str, example: &Value, answer: &Value, found: &mut Vec<String>) {
    match (example, answer) {
        (Value::Null, _) => {}
        (Value::Object(wanted), Value::Object(given)) if wanted.keys().any(|name| is_data(name)) => {
            for (name, value) in given {
                let path = join(path, name);
                let against = |example: &Value| {
                    let mut found = Vec::new();
                    shape(method, &path, example, value, &mut found);
                    found
                };
                // Entries differ in kind (transactions of each type): one example that fits is enough.
                let fewest = wanted.values().map(against).min_by_key(Vec::len);
                found.extend(fewest.unwrap_or_default());
            }
        }
        (Value::Object(wanted), Value::Object(given)) => {
            for (name, value) in wanted {
                match given.get(name) {
                    Some(other) => shape(method, &join(path, name), value, other, found),
                    None if OPTIONAL.contains(&(method, name.as_str())) => {}
                    None => found.push(format!("{} is missing", join(path, name))),
                }
            }
        }
        (Value::Array(wanted), Value::Array(given)) => {
            let Some(pattern) = wanted.first() else { return };
            for (index, value) in given.iter().enumerate() {
                shape(method, &format!("{path}[{index}]"), wanted.get(index).unwrap_or(pattern), value, found);
            }
        }
        (Value::String(wanted), Value::String(given)) if wanted.starts_with("0x") == given.starts_with("0x") => {}
        (Value::Number(_), Value::Number(_)) | (Value::Bool(_), Value::Bool(_)) => {}
        _ => found.push(format!("{path} is {}, an example is {}", short(answer), short(example))),
    }
}

/// Whether a member's name is data, an address or a nonce: then the object is a map, and other names are as good.
fn is_data(name: &str) -> bool {
    name.starts_with("0x") || (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_string() } else { format!("{path}.{name}") }
}

/// A value, cut to what fits on a line.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(method: &str, shape_only: bool, expected: Value, answer: Value, wrong: &[&str]) {
        let case = Case { name: String::new(), method: method.into(), shape_only, exchanges: Vec::new() };
        assert_eq!(differences(&case, &expected, &answer), wrong, "{expected} against {answer}");
    }

    #[test]
    fn only_messages_of_errors_are_free() {
        let error =
            |code: i64, message: &str, data: &str| json!({"error": {"code": code, "message": message, "data": data}});
        check("m", false, error(3, "a", "0x"), error(3, "b", "0x"), &[]);
        check("m", false, error(3, "a", "0x"), error(4, "a", "0x"), &["error.code is 4, should be 3"]);
        check("m", false, error(3, "a", "0x"), error(3, "a", "0x1"), &["error.data is \"0x1\", should be \"0x\""]);
        check("m", false, json!({"result": 1}), json!({"result": 1.0}), &[]);
        check(
            "m",
            false,
            json!({"result": "0xA"}),
            json!({"result": "0xa"}),
            &["result is \"0xa\", should be \"0xA\""],
        );
        check("m", false, json!({"result": {}}), json!({"result": {"a": 1}}), &["result.a is too much: 1"]);
        check("m", false, json!({"result": {"a": 1}}), json!({"result": {}}), &["result.a is missing, should be 1"]);
    }

    #[test]
    fn shape_needs_members_and_types() {
        check("m", true, json!({"result": {"a": "0x1"}}), json!({"result": {"a": "0x2", "b": 1}}), &[]);
        check("m", true, json!({"result": {"a": "0x1"}}), json!({"result": {}}), &["result.a is missing"]);
        check("m", true, json!({"result": "0x1"}), json!({"result": 1}), &["result is 1, an example is \"0x1\""]);
        check("m", true, json!({"result": ["0x1"]}), json!({"result": ["0x1", "0x2"]}), &[]);
        let by_nonce = json!({"result": {"0": {"a": "0x1"}, "1": {"b": "0x1"}}});
        check("m", true, by_nonce.clone(), json!({"result": {}}), &[]);
        check("m", true, by_nonce.clone(), json!({"result": {"7": {"b": "0x2"}}}), &[]);
        check("m", true, by_nonce, json!({"result": {"7": {"c": "0x2"}}}), &["result.7.a is missing"]);
        let error = json!({"error": {"code": 3}});
        check("m", true, error.clone(), error, &[]);
        check("eth_capabilities", true, json!({"result": {"deleteStrategy": {}}}), json!({"result": {}}), &[]);
    }
}
