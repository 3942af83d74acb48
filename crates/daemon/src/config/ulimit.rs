//! Default limits of processes: `nofile=1024:2048` on the command line, objects in the file.

use boxship_api::container::Ulimit;
use serde_json::Value;

/// One limit from `soft[:hard]`, or from dockerd's `{"Name":…,"Soft":…,"Hard":…}`.
pub(crate) fn parse(name: &str, value: &Value) -> Result<Ulimit, String> {
    let (soft, hard) = match value {
        Value::String(text) => match text.split_once(':') {
            Some((soft, hard)) => (number(name, soft)?, number(name, hard)?),
            None => (number(name, text)?, number(name, text)?),
        },
        Value::Object(fields) => {
            let field = |key: &str| fields.get(key).and_then(Value::as_i64);
            let hard = field("Hard").ok_or_else(|| format!("ulimit {name}: Hard is missing"))?;
            (field("Soft").unwrap_or(hard), hard)
        }
        _ => return Err(format!("ulimit {name} must be a text or an object")),
    };
    if hard != -1 && (soft > hard || soft == -1) {
        return Err(format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"));
    }
    Ok(Ulimit { name: name.to_owned(), soft, hard })
}

fn number(name: &str, text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("ulimit {name}: {text:?} is not a number"))
}
