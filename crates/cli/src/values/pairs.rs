//! `key=value` lists.

use std::collections::BTreeMap;

/// A map; a key without `=` has an empty value.
pub fn map(list: &[String]) -> BTreeMap<String, String> {
    list.iter().map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(own).collect()
}

fn own((key, value): (&str, &str)) -> (String, String) {
    (key.to_string(), value.to_string())
}

/// Filters of `--filter`, as the API takes them.
pub fn filters(list: &[String]) -> Result<boxship_api::Filters, String> {
    let mut filters = boxship_api::Filters::default();
    for filter in list.iter().filter(|filter| !filter.is_empty()) {
        let (key, value) = filter.split_once('=').ok_or_else(|| format!("invalid filter '{filter}'"))?;
        filters.add(key.trim().to_lowercase().as_str(), value.trim());
    }
    Ok(filters)
}

/// Checks one `--filter`.
pub fn check_filter(text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains('=') {
        return Ok(());
    }
    Err("bad format of filter (expected name=value)".into())
}
