use crate::ApiError;
use jsonrpsee::types::Params;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The positional arguments of a call, taken one by one from the left. Errors count from 0, as geth's do.
#[derive(Debug)]
pub(crate) struct Args<'a> {
    values: Vec<&'a RawValue>,
    taken: usize,
}

impl<'a> Args<'a> {
    /// Splits the `params` of a request; absent and null count as empty.
    pub(crate) fn new(params: &'a Params<'_>) -> Result<Self, ApiError> {
        let values = match params.as_str() {
            None | Some("null") => Vec::new(),
            Some(text) => serde_json::from_str(text).map_err(|_| ApiError::params("non-array args"))?,
        };
        Ok(Self { values, taken: 0 })
    }

    /// The next argument, which must be there.
    pub(crate) fn required<T: Deserialize<'a>>(&mut self) -> Result<T, ApiError> {
        let index = self.taken;
        self.optional()?.ok_or_else(|| ApiError::params(format!("missing value for required argument {index}")))
    }

    /// The next argument, none if it is absent or null.
    pub(crate) fn optional<T: Deserialize<'a>>(&mut self) -> Result<Option<T>, ApiError> {
        let index = self.taken;
        self.taken += 1;
        match self.values.get(index) {
            None => Ok(None),
            Some(value) if value.get() == "null" => Ok(None),
            Some(value) => match serde_json::from_str(value.get()) {
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(ApiError::params(format!("invalid argument {index}: {}", json_error(&error)))),
            },
        }
    }

    /// All arguments have been taken; more are an error.
    pub(crate) fn end(self) -> Result<(), ApiError> {
        if self.values.len() > self.taken {
            return Err(ApiError::params(format!("too many arguments, want at most {}", self.taken)));
        }
        Ok(())
    }
}

/// A JSON error without serde's `at line 1 column 9`, which counts within the argument and tells nobody.
pub(crate) fn json_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::Quantity;

    fn check(params: Option<&str>, expect: Result<(u64, Option<u64>), &str>) {
        let params = Params::new(params);
        let take = || {
            let mut args = Args::new(&params)?;
            let first: Quantity = args.required()?;
            let second: Option<Quantity> = args.optional()?;
            args.end()?;
            Ok((first.0, second.map(|quantity| quantity.0)))
        };
        assert_eq!(take(), expect.map_err(ApiError::params), "{params:?}");
    }

    #[test]
    fn as_geth_counts_them() {
        check(Some(r#"["0x1"]"#), Ok((1, None)));
        check(Some(r#"["0x1",null]"#), Ok((1, None)));
        check(Some(r#"["0x1","0x2"]"#), Ok((1, Some(2))));
        check(Some(r#"["0x1","0x2","0x3"]"#), Err("too many arguments, want at most 2"));
        check(Some(r#"[null]"#), Err("missing value for required argument 0"));
        check(Some("[]"), Err("missing value for required argument 0"));
        check(None, Err("missing value for required argument 0"));
        check(Some(r#"{"a":1}"#), Err("non-array args"));
        check(Some(r#"["0x1","2"]"#), Err("invalid argument 1: hex string without 0x prefix"));
    }
}
