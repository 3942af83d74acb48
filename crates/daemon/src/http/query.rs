//! The query string, read as Docker reads it: repeated names, loose booleans, filters as JSON.

use std::borrow::Cow;

use super::Failure;

/// The parameters of a request.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Parse `a=b&c=d`, percent-decoded. More parameters than anybody needs are refused.
    pub(crate) fn parse(text: &str) -> Result<Query, Failure> {
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == 4096 {
                return Err(Failure::invalid("too many query parameters"));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(name, true)?.into_owned(), decode(value, true)?.into_owned()));
        }
        Ok(Query { pairs })
    }

    /// The first value of a parameter; absent and empty are the same.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.first(name).filter(|value| !value.is_empty())
    }

    /// The same, owned.
    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// Every value of a parameter.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.pairs.iter().filter(|pair| pair.0 == name).map(|pair| pair.1.clone()).collect()
    }

    /// Whether the parameter is there at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// A switch: everything but these words is true.
    pub(crate) fn switch(&self, name: &str) -> bool {
        let value = self.first(name).unwrap_or_default().trim().to_ascii_lowercase();
        !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// A switch that is `default` where the parameter is missing.
    pub(crate) fn switch_or(&self, name: &str, default: bool) -> bool {
        if self.has(name) { self.switch(name) } else { default }
    }

    /// A number, if it is there.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Failure> {
        self.text(name).map(number).transpose()
    }

    /// The filters: `{"name":["a","b"]}`, or the older `{"name":{"a":true}}`.
    pub(crate) fn filters(&self) -> Result<boxship_api::Filters, Failure> {
        boxship_api::Filters::parse(self.first("filters").unwrap_or_default())
            .map_err(|error| Failure::invalid(error.to_string()))
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str())
    }
}

/// A whole number, refused in Go's words: clients show them.
fn number(text: &str) -> Result<i64, Failure> {
    text.parse().map_err(|_| Failure::invalid(format!("strconv.Atoi: parsing {text:?}: invalid syntax")))
}

/// Undo percent-encoding; in a query `+` is a blank too.
pub(crate) fn decode(text: &str, plus: bool) -> Result<Cow<'_, str>, Failure> {
    if !text.bytes().any(|byte| byte == b'%' || (plus && byte == b'+')) {
        return Ok(Cow::Borrowed(text));
    }
    let invalid = || Failure::invalid(format!("invalid URL escape in {text:?}"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'%' => {
                let (digits, tail) = tail.split_at_checked(2).ok_or_else(invalid)?;
                let digits = std::str::from_utf8(digits).map_err(|_| invalid())?;
                bytes.push(u8::from_str_radix(digits, 16).map_err(|_| invalid())?);
                rest = tail;
            }
            b'+' if plus => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters() {
        let query = Query::parse("a=1&b=x%2Fy+z&a=2&c&d=False&e=no&f=maybe&t=10&u=ten").unwrap();
        assert_eq!(query.text("a"), Some("1"));
        assert_eq!(query.all("a"), ["1", "2"]);
        assert_eq!(query.text("b"), Some("x/y z"));
        assert_eq!(query.text("c"), None);
        assert!(query.has("c") && !query.has("z"));
        for (name, expect) in
            [("a", true), ("c", false), ("d", false), ("e", false), ("f", true), ("z", false)]
        {
            assert_eq!(query.switch(name), expect, "{name}");
        }
        assert!(query.switch_or("z", true) && !query.switch_or("c", true));
        assert_eq!(query.number("t").unwrap(), Some(10));
        assert_eq!(query.number("u").unwrap_err().message(), "strconv.Atoi: parsing \"ten\": invalid syntax");
    }

    #[test]
    fn broken_escapes_are_refused() {
        for text in ["a=%", "a=%2", "a=%zz", "a=%ff", "%=1"] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
    }
}
