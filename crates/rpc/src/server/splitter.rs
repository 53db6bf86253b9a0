//! Cuts JSON values out of a byte stream by the JSON itself.
//!
//! Clients of the IPC socket need not end a request with a newline, nor send it in one piece. So the
//! splitter follows braces, brackets and strings, one byte at a time and each byte once; whether a value
//! is JSON inside is for the parser to say.

/// Follows a stream from value to value.
#[derive(Debug)]
pub(super) struct Splitter {
    /// The value being read; empty between values.
    value: Vec<u8>,
    value_bytes_max: usize,
    /// Open braces and brackets.
    depth: usize,
    in_string: bool,
    escaped: bool,
}

/// The stream cannot be followed any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SplitError {
    /// Something other than an object, an array or white space stands between values.
    #[error("a request must be a JSON object or array")]
    NotAValue,
    /// A value is longer than may be.
    #[error("the request is larger than {0} bytes")]
    TooLong(usize),
}

impl Splitter {
    pub(super) fn new(value_bytes_max: usize) -> Self {
        Self { value: Vec::new(), value_bytes_max, depth: 0, in_string: false, escaped: false }
    }

    /// Reads on until a value is complete and takes the bytes used off `input`; none when it is used up.
    pub(super) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, SplitError> {
        if self.depth == 0 {
            *input = input.trim_ascii_start();
            match input.first() {
                None => return Ok(None),
                Some(b'{' | b'[') => {}
                Some(_) => return Err(SplitError::NotAValue),
            }
        }
        let end = input.iter().position(|byte| self.step(*byte));
        let (taken, rest) = input.split_at(end.map_or(input.len(), |end| end + 1));
        if self.value.len() + taken.len() > self.value_bytes_max {
            return Err(SplitError::TooLong(self.value_bytes_max));
        }
        self.value.extend_from_slice(taken);
        *input = rest;
        Ok(end.map(|_| std::mem::take(&mut self.value)))
    }

    /// Follows one byte; true if it ends a value.
    fn step(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds chunks and collects what comes out.
    fn split<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, max: usize) -> Result<Vec<String>, SplitError> {
        let mut splitter = Splitter::new(max);
        let mut values = Vec::new();
        for mut chunk in chunks {
            while let Some(value) = splitter.next(&mut chunk)? {
                values.push(String::from_utf8_lossy(&value).into_owned());
            }
        }
        Ok(values)
    }

    fn check(input: &str, expect: Result<&[&str], SplitError>) {
        let expect = expect.map(|values| values.iter().map(|&value| value.to_owned()).collect());
        assert_eq!(split([input.as_bytes()], 64), expect, "{input}");
    }

    #[test]
    fn values() {
        check("", Ok(&[]));
        check(" \n", Ok(&[]));
        check("{}", Ok(&["{}"]));
        check("{}[]\n{\"a\":1}", Ok(&["{}", "[]", "{\"a\":1}"]));
        check(r#"{"a":"}\"]"}{"#, Ok(&[r#"{"a":"}\"]"}"#]));
        check(r#"{"a":"\\"}[1]"#, Ok(&[r#"{"a":"\\"}"#, "[1]"]));
        check("nonsense", Err(SplitError::NotAValue));
        check("}", Err(SplitError::NotAValue));
        check("1", Err(SplitError::NotAValue));
        check(&format!("[{}]", "1,".repeat(40)), Err(SplitError::TooLong(64)));
        check(&"[".repeat(65), Err(SplitError::TooLong(64)));
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![any::<i64>().prop_map(Into::into), ".{0,12}".prop_map(serde_json::Value::String)];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::Array),
                prop::collection::btree_map(".{0,6}", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            values in prop::collection::vec(json(), 0..6),
            cuts in prop::collection::vec(1..20usize, 1..40),
        ) {
            let values: Vec<String> = values.iter().filter(|v| v.is_object() || v.is_array()).map(ToString::to_string).collect();
            let stream = values.join(" \n");
            let (mut rest, mut chunks, mut cuts) = (stream.as_bytes(), Vec::new(), cuts.into_iter().cycle());
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            prop_assert_eq!(split(chunks, 1 << 20), Ok(values));
        }

        #[test]
        fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = split([bytes.as_slice()], 100);
        }
    }
}
