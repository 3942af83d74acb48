//! Requests and refusals as the stock client makes them, recorded by `tests/fixtures/record.py`: ours must be equal.

use serde_json::Value;

use super::{connect, create, disconnect};
use crate::client_role::prepare;
use crate::failure::{Failure, Result};

/// The path and the body that are sent for these arguments, or what is said and the exit code.
fn ours(arguments: &[String]) -> std::result::Result<(String, Value), (String, u64)> {
    let made = || -> Result<(String, Value)> {
        let parsed =
            |command| prepare("docker", command, &format!("network {}", arguments[0]), &arguments[1..]);
        let json = |request: serde_json::Result<Value>| request.map_err(|e| Failure::new(e.to_string()));
        match arguments[0].as_str() {
            "create" => {
                let request = create::request(&parsed(&create::CREATE)?).map_err(Failure::new)?;
                Ok(("/networks/create".into(), json(serde_json::to_value(request))?))
            }
            "connect" => {
                let parsed = parsed(&connect::CONNECT)?;
                let request = connect::request(&parsed).map_err(Failure::new)?;
                Ok((super::path(parsed.operand(0), "connect")?, json(serde_json::to_value(request))?))
            }
            _ => {
                let parsed = parsed(&disconnect::DISCONNECT)?;
                let request = disconnect::request(&parsed);
                Ok((super::path(parsed.operand(0), "disconnect")?, json(serde_json::to_value(request))?))
            }
        }
    };
    made().map_err(|failure| {
        let code = if matches!(failure, Failure::Usage(_)) { 125 } else { 1 };
        (failure.message(), code)
    })
}

#[test]
fn requests_are_the_stock_clients() {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../../tests/fixtures/network.json")).unwrap();
    assert!(cases.len() > 60);
    for case in &cases {
        let arguments: Vec<String> = serde_json::from_value(case["args"].clone()).unwrap();
        let mut got = ours(&arguments);
        let expected = match case["error"].as_str() {
            Some(error) => {
                // Docker tells the program's name with the number of arguments; `report` puts ours there.
                Err((error.to_string(), case["code"].as_u64().unwrap()))
            }
            None => Ok((format!("/{}", case["path"].as_str().unwrap()), case["body"].clone())),
        };
        // The stock client sends subnets in an order of chance.
        let mut expected = expected;
        [&mut got, &mut expected].into_iter().for_each(sort_subnets);
        assert_eq!(got, expected, "{arguments:?}");
    }
}

fn sort_subnets(request: &mut std::result::Result<(String, Value), (String, u64)>) {
    if let Ok((_, body)) = request
        && let Some(list) = body["IPAM"]["Config"].as_array_mut()
    {
        list.sort_by_key(|config| config["Subnet"].to_string());
    }
}
