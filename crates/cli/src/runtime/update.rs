//! `update`: change the limits of a container, from options or a file.

use std::io::Read;

use boxship_oci::runtime::{BlockIo, Cpu, Memory, Pids, Resources};

use super::Context;
use super::arguments::{Arguments, Flag, value};
use super::failure::{Failure, Result};

pub(super) const FLAGS: &[Flag] = &[
    value(
        "resources",
        Some('r'),
        "file with the limits as JSON (the specification's linux.resources), - for standard input; other options are then not looked at",
    ),
    value("blkio-weight", None, "block I/O weight, 10 to 1000"),
    value("cpu-period", None, "CPU period in microseconds"),
    value("cpu-quota", None, "CPU microseconds in each period"),
    value("cpu-burst", None, "CPU microseconds that may be saved up"),
    value("cpu-share", None, "CPU shares against other containers"),
    value("cpu-rt-period", None, "real-time CPU period in microseconds"),
    value("cpu-rt-runtime", None, "real-time CPU microseconds in each period"),
    value("cpu-idle", None, "1: run only when nothing else does"),
    value("cpuset-cpus", None, "CPUs to use, such as 0-3,7"),
    value("cpuset-mems", None, "memory nodes to use"),
    value("kernel-memory", None, "not used: the kernel has no such limit any more"),
    value("kernel-memory-tcp", None, "memory for TCP buffers (cgroup v1)"),
    value("memory", None, "memory limit in bytes, or with a suffix such as m"),
    value("memory-reservation", None, "memory that is not reclaimed first"),
    value("memory-swap", None, "memory and swap together; -1: no limit on swap"),
    value("pids-limit", None, "how many processes"),
    value("l3-cache-schema", None, "Intel RDT cache schema"),
    value("mem-bw-schema", None, "Intel RDT memory bandwidth schema"),
];

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<u8> {
    let container = context.container(arguments)?;
    let resources = match arguments.text("resources") {
        Some(path) => read(path)?,
        None => from_options(arguments)?,
    };
    if arguments.text("kernel-memory").is_some() {
        context.log.warning("kernel memory limits are ignored: the kernel has none since 5.16");
    }
    container.update(&resources)?;
    Ok(0)
}

fn read(path: &str) -> Result<Resources> {
    let mut text = Vec::new();
    let done = match path {
        "-" => std::io::stdin().read_to_end(&mut text),
        path => std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut text)),
    };
    done.map_err(|error| Failure::from(error).while_doing(&format!("read {path}")))?;
    serde_json::from_slice(&text).map_err(|error| Failure::from(error).while_doing(&format!("parse {path}")))
}

fn from_options(arguments: &Arguments) -> Result<Resources> {
    for (name, what) in [("l3-cache-schema", "l3 cache schema"), ("mem-bw-schema", "memory bandwidth schema")]
    {
        if arguments.text(name).is_some() {
            return Err(Failure::new(format!("Intel RDT: {what} is not supported by update")));
        }
    }
    let bytes = |name: &str| arguments.text(name).map(|text| bytes(name, text)).transpose();
    let list = |name: &str| arguments.text(name).map(str::to_owned);
    let memory = Memory {
        limit: bytes("memory")?,
        reservation: bytes("memory-reservation")?,
        swap: bytes("memory-swap")?,
        kernel: bytes("kernel-memory")?,
        kernel_tcp: bytes("kernel-memory-tcp")?,
        ..Memory::default()
    };
    let cpu = Cpu {
        shares: arguments.number("cpu-share")?,
        quota: arguments.number("cpu-quota")?,
        burst: arguments.number("cpu-burst")?,
        period: arguments.number("cpu-period")?,
        realtime_runtime: arguments.number("cpu-rt-runtime")?,
        realtime_period: arguments.number("cpu-rt-period")?,
        cpus: list("cpuset-cpus"),
        mems: list("cpuset-mems"),
        idle: arguments.number("cpu-idle")?,
    };
    let block = BlockIo { weight: arguments.number("blkio-weight")?, ..BlockIo::default() };
    let pids = Pids { limit: arguments.number("pids-limit")? };
    Ok(Resources {
        memory: (memory != Memory::default()).then_some(memory),
        cpu: (cpu != Cpu::default()).then_some(cpu),
        pids: pids.limit.is_some().then_some(pids),
        block_io: block.weight.is_some().then_some(block),
        ..Resources::default()
    })
}

/// `512m`, `1.5GiB`, `-1`: suffixes are powers of 1024, as Docker reads memory sizes.
fn bytes(name: &str, text: &str) -> Result<i64> {
    if text == "-1" {
        return Ok(-1);
    }
    let wrong = || Failure::new(format!("invalid value for {name}: invalid size: {text:?}"));
    let split = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let suffix = suffix.trim_start().to_ascii_lowercase();
    let unit = suffix.trim_end_matches('b').trim_end_matches('i');
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(wrong()),
    };
    Ok((number * 1024_f64.powi(power)) as i64)
}

#[cfg(test)]
mod tests {
    use super::super::arguments::Order;
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("1k", Some(1024)),
            ("64M", Some(64 << 20)),
            ("1.5GiB", Some(3 << 29)),
            ("2gb", Some(2 << 30)),
            ("-1", Some(-1)),
            ("-5", None),
            ("m", None),
            ("5x", None),
        ] {
            assert_eq!(bytes("memory", text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn only_what_is_given_changes() {
        let parse = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            from_options(&Arguments::parse(FLAGS, Order::Mixed, &words).unwrap())
        };
        let resources = parse("id --memory 64m --pids-limit 20").unwrap();
        assert_eq!(resources.memory.unwrap().limit, Some(64 << 20));
        assert_eq!(resources.pids.unwrap().limit, Some(20));
        assert!(resources.cpu.is_none() && resources.block_io.is_none());
        assert_eq!(parse("id").unwrap(), Resources::default());
        assert!(parse("id --cpu-quota x").is_err());
        assert!(parse("id --l3-cache-schema x").is_err());
    }
}
