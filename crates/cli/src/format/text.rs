//! Pieces of text as tables show them: short ids, ellipses, Go's quotes, the order of names.

use std::cmp::Ordering;

/// The first twelve digits of an id, without its algorithm.
pub fn short_id(id: &str) -> String {
    let bare = id.split_once(':').map_or(id, |(_, digits)| digits);
    bare.chars().take(12).collect()
}

/// At most `width` columns; what is longer ends in an ellipsis.
pub fn ellipsis(text: &str, width: usize) -> String {
    if text.chars().map(columns).sum::<usize>() <= width {
        return text.to_string();
    }
    let mut used = 0;
    let kept = text.chars().take_while(|letter| {
        used += columns(*letter);
        used < width
    });
    format!("{}…", kept.collect::<String>())
}

/// East Asian wide letters take two columns.
fn columns(letter: char) -> usize {
    let wide = matches!(u32::from(letter),
        0x1100..=0x115f | 0x2e80..=0x303e | 0x3041..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1f64f | 0x20000..=0x3fffd);
    if wide { 2 } else { 1 }
}

/// The order in which Docker sorts names: digits by the number they are, so that `web2` stands before `web10`.
pub fn natural(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one, other);
    while let (Some(a), Some(b)) = (left.chars().next(), right.chars().next()) {
        let order = if a.is_ascii_digit() && b.is_ascii_digit() {
            let (a, b) = (digits(&mut left), digits(&mut right));
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        } else {
            (left, right) = (&left[a.len_utf8()..], &right[b.len_utf8()..]);
            a.cmp(&b)
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| one.cmp(other))
}

/// Takes the digits at the front; gives them without leading zeros.
fn digits<'a>(text: &mut &'a str) -> &'a str {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number;
    (number, *text) = text.split_at(end);
    number.trim_start_matches('0')
}

/// A string in Go's quotes.
pub fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            letter if u32::from(letter) < 0x20 || letter == '\u{7f}' => {
                out.push_str(&format!("\\x{:02x}", u32::from(letter)))
            }
            letter if letter.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_by_their_numbers() {
        let mut names = [
            "web10",
            "web2",
            "80/tcp -> [::]:80",
            "8/tcp",
            "web02",
            "web",
            "é",
            "Web",
            "99999999999999999999999",
        ];
        names.sort_by(|one, other| natural(one, other));
        assert_eq!(
            names,
            [
                "8/tcp",
                "80/tcp -> [::]:80",
                "99999999999999999999999",
                "Web",
                "web",
                "web02",
                "web2",
                "web10",
                "é"
            ]
        );
    }

    #[test]
    fn pieces() {
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(ellipsis("sleep 1000", 10), "sleep 1000");
        assert_eq!(ellipsis("sleep 10000", 10), "sleep 100…");
        assert_eq!(ellipsis("日本語です", 5), "日本…");
        assert_eq!(quote("a\"b\\\n\u{1}ü…"), "\"a\\\"b\\\\\\n\\x01ü…\"");
    }
}
