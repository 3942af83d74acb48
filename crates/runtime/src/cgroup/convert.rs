//! From the v1 units of the OCI specification to those of cgroup v2. Pure arithmetic.
//!
//! The formulas are those of opencontainers/cgroups (`utils.go`, used by runc) so that a limit means the same
//! under either runtime.

use super::error::{Error, Result};

/// CPU shares (2..=262144, default 1024) to `cpu.weight` (1..=10000, default 100): the quadratic in log2 that maps
/// minimum, default and maximum onto each other, as runc 1.3.2 and crun 1.23 have it. Zero stays "unset".
pub(super) fn cpu_weight(shares: u64) -> u64 {
    match shares {
        0 => 0,
        1 | 2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10_f64.powf(exponent).ceil() as u64
        }
    }
}

/// Block I/O weight (10..=1000) to `io.weight` (1..=10000), linear.
pub(super) fn io_weight(weight: u16) -> u64 {
    match u64::from(weight) {
        0 => 0,
        weight => 1 + weight.saturating_sub(10) * 9999 / 990,
    }
}

/// Memory plus swap, as v1 counts, to swap alone, as v2 counts. `None`: leave as it is.
pub(super) fn swap(memory_and_swap: Option<i64>, memory: Option<i64>) -> Result<Option<i64>> {
    let invalid = |reason: String| Error::Invalid { setting: "memory+swap limit", reason };
    match (memory_and_swap.unwrap_or(0), memory.unwrap_or(0)) {
        // v1 lifts both when memory is lifted and swap isn't mentioned.
        (0, -1) => Ok(Some(-1)),
        (0, _) => Ok(None),
        (-1, _) => Ok(Some(-1)),
        (both, -1) => Ok(Some(both)),
        (_, 0) => Err(invalid("unable to set swap limit without memory limit".into())),
        (_, memory) if memory < 0 => Err(invalid(format!("memory limit is {memory}"))),
        (both, memory) if both < memory => Err(invalid("it should be at least the memory limit".into())),
        (both, memory) => Ok(Some(both - memory)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_to_weight() {
        for (shares, weight) in [
            (0, 0),
            (1, 1),
            (2, 1),
            (1024, 100),
            (512, 59),
            (2048, 174),
            (262_144, 10_000),
            (300_000, 10_000),
        ] {
            assert_eq!(cpu_weight(shares), weight, "{shares}");
        }
    }

    #[test]
    fn block_weight() {
        for (old, new) in [(0, 0), (10, 1), (500, 4950), (1000, 10_000)] {
            assert_eq!(io_weight(old), new, "{old}");
        }
    }

    #[test]
    fn swap_limit() {
        for (both, memory, expected) in [
            (None, None, Some(None)),
            (None, Some(-1), Some(Some(-1))),
            (Some(-1), Some(100), Some(Some(-1))),
            (Some(0), Some(100), Some(None)),
            (Some(300), Some(100), Some(Some(200))),
            (Some(100), Some(100), Some(Some(0))),
            (Some(300), Some(-1), Some(Some(300))),
            (Some(300), None, None),
            (Some(50), Some(100), None),
            (Some(50), Some(-2), None),
        ] {
            assert_eq!(swap(both, memory).ok(), expected, "{both:?} {memory:?}");
        }
    }
}
