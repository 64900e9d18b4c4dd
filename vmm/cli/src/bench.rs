//! `barscope bench`: what barscope costs, next to a loop that does nothing but answer.

use std::fs;
use std::io::{self, Write};

use barscope_cost::{Aim, Plan, Row};

use crate::args::Bench;
use crate::ending::{Code, Failure};
use crate::output::{self, Format, complain};

/// The option by which the command is the bare loop, for its start to be measured.
const BARE_START: &str = "--bare-start";

/// Runs the command. Each row is printed once it is measured; an aim that is missed is no failure.
///
/// # Errors
/// The host can't run a guest, or standard output can't be written.
pub fn bench(args: &Bench) -> Result<Code, Failure> {
    if args.bare_start {
        return Ok(barscope_cost::first_access(io::stdout()).map(|()| Code::Passed)?);
    }
    let plan = if args.quick { Plan::quick } else { Plan::thorough };
    let program = std::env::current_exe()?;
    let bare_start = ["bench", BARE_START].map(str::to_owned).to_vec();
    let group = Plan::GROUPS.into_iter().find(|(name, _)| args.group.as_deref() == Some(name));
    let only =
        group.map_or(args.only.clone(), |(_, rows)| rows.iter().map(|row| (*row).to_owned()).collect());
    let plan = Plan { only, vs_qemu: args.vs_qemu, bare_start, ..plan(program) };
    if cfg!(debug_assertions) {
        complain("warning: this is a debug build; figures are those of a release build only");
    }
    if let Some(load) = load().filter(|load| *load > 1.0) {
        complain(format_args!("warning: other programs are running (load {load}); figures will be worse"));
    }
    let mut out = io::stdout().lock();
    if args.format == Format::Text {
        writeln!(out, "{}", heading())?;
    }
    let mut code = Code::Passed;
    barscope_cost::measure(&plan, &mut |row| {
        if row.not_run.is_some() {
            code = Code::Host;
        }
        let printed = match args.format {
            Format::Text => writeln!(out, "{}", line(&row)),
            Format::Json => output::json(&mut out, &row),
        };
        printed.and_then(|()| out.flush()).map_err(barscope_cost::Error::Print)
    })?;
    Ok(code)
}

/// How many threads of this machine wanted to run in the last minute.
fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

fn heading() -> String {
    columns(["", "", "measured", "ratio", "spread", "aim", ""])
}

fn line(row: &Row) -> String {
    let what = match (row.op, row.ring) {
        (Some(op), Some(ring)) => format!("{}{ring}", op.letter()),
        _ => String::new(),
    };
    if let Some(why) = &row.not_run {
        return format!("{:<22} {what:<2} NOT RUN: {why}", row.name);
    }
    let value = row.value.map(|value| with_unit(value, row.unit)).unwrap_or_default();
    let ratio = row.ratio.map(|ratio| format!("x{ratio:.3}")).unwrap_or_default();
    let spread = row.spread.map(|spread| format!("{:.1} %", 100.0 * spread)).unwrap_or_default();
    let aim = row.aim.map(|aim| aim_text(aim, row.unit)).unwrap_or_default();
    let met = match row.met {
        Some(true) => "met",
        Some(false) => "missed",
        None => "",
    };
    columns([row.name, &what, &value, &ratio, &spread, &aim, met])
}

fn aim_text(aim: Aim, unit: &str) -> String {
    if aim.is_ratio() { aim.to_string() } else { format!("{} {}", aim.sign(), with_unit(aim.limit(), unit)) }
}

fn columns([name, what, value, ratio, spread, aim, met]: [&str; 7]) -> String {
    let line = format!("{name:<22} {what:<2} {value:>12} {ratio:>8} {spread:>9}  {aim:<10} {met}");
    line.trim_end().to_owned()
}

/// With three or four digits, times in the unit that gives them.
fn with_unit(value: f64, unit: &str) -> String {
    let (value, unit) = match unit {
        "ns" if value >= 1e6 => (value / 1e6, "ms"),
        "ns" if value >= 1e3 => (value / 1e3, "us"),
        unit => (value, unit),
    };
    let decimals = match value {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use barscope_cost::Op;

    use super::*;

    #[test]
    fn a_row_says_in_80_columns_what_was_measured_and_whether_that_is_as_it_ought_to_be() {
        let row =
            Row { value: Some(8931.4), ratio: Some(1.0432), spread: Some(0.021), ..Row::new("traced", "ns") };
        let row = row.of(0, Op::Read).aim(Aim::ratio_at_most(1.05));
        assert_eq!(line(&row), "traced                 R0      8.93 us   x1.043     2.1 %  <= x1.05   met");
        let row = Row { value: Some(412.0), ..Row::new("user-space-p50", "ns") }.aim(Aim::at_most(350.0));
        assert_eq!(
            line(&row),
            "user-space-p50                  412 ns                     <= 350 ns  missed"
        );
        let row = Row { not_run: Some("no QEMU".to_owned()), ..Row::new("qemu", "ns") };
        assert_eq!(line(&row), "qemu                      NOT RUN: no QEMU");
    }

    #[test]
    fn times_have_the_unit_that_reads_best() {
        assert_eq!(with_unit(349.6, "ns"), "350 ns");
        assert_eq!(with_unit(1234.0, "ns"), "1.23 us");
        assert_eq!(with_unit(13_500_000.0, "ns"), "13.5 ms");
        assert_eq!(with_unit(11.04, "M/s"), "11.0 M/s");
    }
}
