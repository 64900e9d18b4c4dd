//! Do equal runs give equal traces?

use anyhow::Result;
use barscope_bench::command::Session;

/// What the host's clock decides.
const HOST_TIMES: [&str; 2] = ["host_ns", "service_ns"];

/// A run's trace in JSON, its host times taken out.
fn trace() -> Result<Vec<String>> {
    let ended = Session::new()?.run(&["--format", "json"])?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
        .stdout
        .lines()
        .map(|line| {
            let mut record: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line)?;
            for key in HOST_TIMES {
                record.remove(key);
            }
            Ok(serde_json::to_string(&record)?)
        })
        .collect()
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn five_runs_give_the_same_trace_but_for_host_times() -> Result<()> {
    are_equal(5)
}

#[test]
#[ignore = "needs this machine's /dev/kvm and minutes"]
fn a_hundred_runs_give_the_same_trace_but_for_host_times() -> Result<()> {
    are_equal(100)
}

fn are_equal(runs: usize) -> Result<()> {
    let first = trace()?;
    assert!(first.len() > 1000, "{} records", first.len());
    for run in 2..=runs {
        let this = trace()?;
        assert_eq!(first.len(), this.len(), "run {run} has another number of records");
        for (index, (left, right)) in first.iter().zip(&this).enumerate() {
            assert_eq!(left, right, "run {run} differs from the first one in line {}", index + 1);
        }
    }
    Ok(())
}
