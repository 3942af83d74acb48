//! One record of comma-separated fields with quotes, as Go's encoding/csv reads it.

/// The fields of one record.
pub fn fields(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Err("EOF".into());
    }
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let field = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (field, after) = quoted_field(quoted)?;
                rest = after;
                field
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let field = &rest[..end];
                if field.contains('"') {
                    return Err("parse error on line 1, column 1: bare \" in non-quoted-field".into());
                }
                rest = &rest[end..];
                field.to_string()
            }
        };
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

/// Reads behind an opening quote; gives the field and what follows its closing quote.
fn quoted_field(mut rest: &str) -> Result<(String, &str), String> {
    let wrong = || "parse error on line 1, column 1: extraneous or missing \" in quoted-field".to_string();
    let mut field = String::new();
    loop {
        let end = rest.find('"').ok_or_else(wrong)?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None if rest.is_empty() || rest.starts_with(',') => return Ok((field, rest)),
            None => return Err(wrong()),
        }
    }
}

/// Checks the value of a flag that takes such a record, or nothing.
pub fn check(text: &str) -> Result<(), String> {
    if text.is_empty() { Ok(()) } else { fields(text).map(drop) }
}

/// The fields of all values of a flag.
pub fn list(values: &[String]) -> Result<Vec<String>, String> {
    let lists = values.iter().filter(|text| !text.is_empty()).map(|text| fields(text));
    Ok(lists.collect::<Result<Vec<_>, _>>()?.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_quotes() {
        assert_eq!(fields("a=1,b=2").unwrap(), ["a=1", "b=2"]);
        assert_eq!(fields("a,\"b=x,y\",\"c\"\"d\"").unwrap(), ["a", "b=x,y", "c\"d"]);
        assert_eq!(fields("a,").unwrap(), ["a", ""]);
        assert!(fields("\"open").is_err() && fields("a\"b").is_err() && fields("").is_err());
    }
}
