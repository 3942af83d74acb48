//! Requests and refusals as the stock client makes them, recorded by `tests/fixtures/record.py`: ours must be equal.

use std::collections::BTreeMap;

use serde_json::Value;

use super::create::CREATE;
use super::request;
use crate::client_role::prepare;
use crate::failure::Failure;

fn flat(value: &Value, path: &str, out: &mut BTreeMap<String, Value>) {
    // The stock client sends variables in an order of chance.
    if let ("/Env", Some(variables)) = (path, value.as_array()) {
        let mut variables: Vec<&str> = variables.iter().filter_map(Value::as_str).collect();
        variables.sort_unstable();
        out.insert(path.to_string(), variables.into());
        return;
    }
    match value.as_object().filter(|object| !object.is_empty()) {
        Some(object) => object.iter().for_each(|(name, inner)| flat(inner, &format!("{path}/{name}"), out)),
        None => drop(out.insert(path.to_string(), value.clone())),
    }
}

fn flattened(value: &Value) -> BTreeMap<String, Value> {
    let mut out = BTreeMap::new();
    flat(value, "", &mut out);
    out
}

/// What `create` sends for these arguments, or what it says and its exit code.
fn ours(arguments: &[String]) -> Result<BTreeMap<String, Value>, (String, u64)> {
    let parsed = prepare("docker", &CREATE, "create", arguments).and_then(|parsed| {
        crate::commands::container::create::check(&parsed)?;
        let request = request::build(&parsed).map_err(|why| Failure::Hinted(why, 125))?;
        Ok(request)
    });
    match parsed {
        Ok(request) => {
            let here = std::env::current_dir().unwrap().display().to_string();
            let text = serde_json::to_string(&request).unwrap().replace(&here, "$PWD");
            Ok(flattened(&serde_json::from_str(&text).unwrap()))
        }
        Err(failure) => {
            let code = match &failure {
                Failure::Usage(_) => 125,
                Failure::Hinted(_, code) | Failure::Code(_, code) => *code,
                _ => 1,
            };
            Err((failure.message(), code.into()))
        }
    }
}

#[test]
fn requests_are_the_stock_clients() {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../../tests/fixtures/create.json")).unwrap();
    assert!(cases.len() > 140);
    let base = flattened(&cases[0]["body"]);
    let mut wrong = Vec::new();
    for case in &cases {
        let arguments: Vec<String> = serde_json::from_value(case["args"].clone()).unwrap();
        let expected = match case["error"].as_str() {
            Some(error) => Err((error.to_string(), case["code"].as_u64().unwrap())),
            None => {
                let mut body = base.clone();
                case["gone"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .for_each(|path| drop(body.remove(path.as_str().unwrap())));
                for (path, value) in case["changed"].as_object().into_iter().flatten() {
                    flat(value, path, &mut body);
                }
                Ok(body)
            }
        };
        let got = ours(&arguments);
        if got != expected {
            wrong.push(match (got, expected) {
                (Ok(got), Ok(expected)) => {
                    let more: Vec<_> =
                        got.iter().filter(|(path, value)| expected.get(*path) != Some(value)).collect();
                    let less: Vec<_> =
                        expected.iter().filter(|(path, value)| got.get(*path) != Some(value)).collect();
                    format!("{arguments:?}: ours {more:?}, theirs {less:?}")
                }
                (got, expected) => {
                    format!("{arguments:?}: ours {:?}, theirs {:?}", got.err(), expected.err())
                }
            });
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
