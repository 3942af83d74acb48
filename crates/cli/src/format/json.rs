//! JSON that keeps the order of its keys, printed as Go prints it.

use std::fmt::Write;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// A string.
    Text(String),
    /// `[…]`
    List(Vec<Json>),
    /// `{…}`, in its order.
    Object(Vec<(String, Json)>),
    /// A field that templates may ask for although it isn't written: its value.
    Unwritten(Box<Json>),
}

impl Json {
    /// What a serializable value is in JSON.
    pub fn of(value: &impl serde::Serialize) -> Json {
        let text = serde_json::to_string(value).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or(Json::Null)
    }

    /// The value at a key of an object.
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(pairs) => pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn at(&mut self, key: &str) -> Option<&mut Json> {
        match self {
            Json::Object(pairs) => pairs.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Adds `name`, for templates alone, to the object at `part` (or to this one) unless it is there.
    pub fn fill(&mut self, part: &str, name: &str, value: Json) {
        let Json::Object(pairs) = self else { return };
        if !part.is_empty() {
            if let Some((_, inner)) = pairs.iter_mut().find(|(key, _)| key == part) {
                inner.fill("", name, value);
            }
        } else if !pairs.iter().any(|(key, _)| key == name) {
            pairs.push((name.to_string(), Json::Unwritten(Box::new(value))));
        }
    }

    /// On one line, without spaces; with `html`, `<`, `>` and `&` are escaped as Go does unless told not to.
    pub fn compact(&self, html: bool) -> String {
        let mut out = String::new();
        self.write(&mut out, html, None);
        out
    }

    /// On many lines, each level four spaces further in.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, false, Some(0));
        out
    }

    fn write(&self, out: &mut String, html: bool, depth: Option<usize>) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Number(number) => drop(write!(out, "{number}")),
            Json::Text(text) => quote(text, html, out),
            Json::Unwritten(value) => value.write(out, html, depth),
            Json::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    separate(out, at, depth);
                    item.write(out, html, depth.map(|depth| depth + 1));
                }
                close(out, ']', items.is_empty(), depth);
            }
            Json::Object(pairs) => {
                out.push('{');
                let written = pairs.iter().filter(|(_, value)| !matches!(value, Json::Unwritten(_)));
                let mut empty = true;
                for (at, (key, value)) in written.enumerate() {
                    empty = false;
                    separate(out, at, depth);
                    quote(key, html, out);
                    out.push_str(if depth.is_some() { ": " } else { ":" });
                    value.write(out, html, depth.map(|depth| depth + 1));
                }
                close(out, '}', empty, depth);
            }
        }
    }
}

fn separate(out: &mut String, at: usize, depth: Option<usize>) {
    if at > 0 {
        out.push(',');
    }
    if let Some(depth) = depth {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", depth + 1));
    }
}

fn close(out: &mut String, bracket: char, empty: bool, depth: Option<usize>) {
    if let Some(depth) = depth.filter(|_| !empty) {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", depth));
    }
    out.push(bracket);
}

/// A string as Go's encoding/json writes it.
fn quote(text: &str, html: bool, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' if html => drop(write!(out, "\\u{:04x}", u32::from(letter))),
            '\u{2028}' | '\u{2029}' => drop(write!(out, "\\u{:04x}", u32::from(letter))),
            letter if u32::from(letter) < 0x20 => drop(write!(out, "\\u{:04x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::Text(text.to_string())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Json {
        Json::Text(text)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(serde_json::Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = access.next_entry()? {
            pairs.push(pair);
        }
        Ok(Json::Object(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_layout_are_kept() {
        let text = r#"{"b":1,"a":[],"c":{"x":null,"y":[true,"<ü>"]},"d":{}}"#;
        let json: Json = serde_json::from_str(text).unwrap();
        assert_eq!(json.compact(false), text);
        assert_eq!(json.get("c").unwrap().compact(true), r#"{"x":null,"y":[true,"\u003cü\u003e"]}"#);
        assert_eq!(
            json.pretty(),
            "{\n    \"b\": 1,\n    \"a\": [],\n    \"c\": {\n        \"x\": null,\n        \"y\": [\n            true,\n            \
             \"<ü>\"\n        ]\n    },\n    \"d\": {}\n}"
        );
    }
}
