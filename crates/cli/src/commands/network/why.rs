//! `network why`: how a packet to an address would travel, or why it is dropped. A command of our own.

use boxship_api::network::Why;
use boxship_client::Query;

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::Result;
use crate::flags::Flag;
use crate::format::{self, Json};
use crate::invocation::Invocation;

/// `network why`.
pub const WHY: Command = Command {
    name: "why",
    usage: "[OPTIONS] HOST:PORT",
    about: "Explain how a packet to an address travels, or why it is dropped",
    operands: Operands::Exactly(1),
    mixed: true,
    flags: &[
        Flag::value("format", "string", format::HELP_ONE).short('f'),
        Flag::value("from", "string", "Where it comes from: outside, host or a container").default("outside"),
        Flag::value("protocol", "string", "Its protocol: tcp, udp or sctp").default("tcp"),
    ],
    shared: &[],
    aliases: &[],
    action: action!(why),
};

async fn why(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let query = Query::new()
        .set("address", parsed.operand(0))
        .set("from", parsed.text("from").unwrap_or("outside"))
        .set("protocol", parsed.text("protocol").unwrap_or("tcp"));
    let answer: Why = invocation.client().await?.get("/boxship/network/why", query).await?;
    match parsed.text("format").unwrap_or_default() {
        "" => invocation.print(told(&answer))?,
        format => invocation.line(format::value(format, "why", "network.Why", &Json::of(&answer))?)?,
    }
    Ok(0)
}

/// The answer for a reader: the sentence, then the stations, each rule below its station.
fn told(answer: &Why) -> String {
    let width = answer.steps.iter().map(|step| step.place.chars().count()).max().unwrap_or(0);
    let mut text = format!("{}: {}\n", answer.verdict, answer.summary);
    for (number, step) in answer.steps.iter().enumerate() {
        text.push_str(&format!("{:>3}  {:width$}  {}\n", number + 1, step.place, step.what));
        if !step.rule.is_empty() {
            text.push_str(&format!("     {:width$}  {}\n", "", step.rule));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxship_api::network::WhyStep;

    #[test]
    fn stations_stand_in_columns() {
        let step = |place: &str, what: &str, rule: &str| WhyStep {
            place: place.into(),
            what: what.into(),
            rule: rule.into(),
        };
        let answer = Why {
            verdict: "dropped".into(),
            summary: "no container publishes tcp port 80".into(),
            steps: vec![step("prerouting", "no entry", "map ports"), step("input", "accepted", "")],
        };
        assert_eq!(
            told(&answer),
            "dropped: no container publishes tcp port 80\n  1  prerouting  no entry\n                 map ports\n  2  input       \
             accepted\n"
        );
    }
}
