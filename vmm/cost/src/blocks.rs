//! Blocks of accesses that take turns, so that what disturbs one disturbs those that it is compared with.

use std::time::Duration;

use crate::samples::Samples;
use crate::{Error, Plan};

/// The fewest accesses of a block, which is also how many are made to warm up.
const LEAST: u32 = 1000;
/// The most: what is recorded of them stays within what a trace may take.
const MOST: u32 = 4_000_000;

/// Something that makes accesses: given how many, it says the nanoseconds that one took.
pub type Run<'a> = Box<dyn Fn(u32) -> Result<f64, Error> + 'a>;

/// Nanoseconds an access, a figure a block, of each of those that run. One that runs later in a turn is beside all others
/// of that turn.
///
/// # Errors
/// What one of them fails with.
pub fn take_turns(plan: &Plan, runs: &[Run<'_>]) -> Result<Vec<Samples>, Error> {
    let counts: Vec<u32> =
        runs.iter().map(|run| Ok(accesses(plan, run(LEAST)?))).collect::<Result<_, Error>>()?;
    let mut figures = vec![Samples::default(); runs.len()];
    for _ in 0..plan.blocks {
        for ((run, &count), figures) in runs.iter().zip(&counts).zip(&mut figures) {
            figures.extend(run(count)?);
        }
    }
    Ok(figures)
}

/// How many accesses of so many nanoseconds make a block.
pub fn accesses(plan: &Plan, ns: f64) -> u32 {
    // Too large a number for the type becomes its largest.
    ((plan.block.as_nanos() as f64 / ns) as u32).clamp(LEAST, MOST)
}

/// Nanoseconds that each of `count` accesses took of this time.
pub fn each(time: Duration, count: u32) -> f64 {
    time.as_nanos() as f64 / f64::from(count)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_block_takes_about_as_long_as_asked_for_but_has_accesses_enough() {
        let plan = Plan { block: Duration::from_millis(40), ..Plan::quick(PathBuf::new()) };
        assert_eq!(accesses(&plan, 8000.0), 5000);
        assert_eq!(accesses(&plan, 100_000.0), 1000);
        assert_eq!(accesses(&plan, 0.5), 4_000_000);
    }

    #[test]
    fn each_runs_once_a_turn_after_one_that_warms_up() {
        let order = std::cell::RefCell::new(Vec::new());
        let run = |name: char, ns: f64| -> Run<'_> {
            let order = &order;
            Box::new(move |_| {
                order.borrow_mut().push(name);
                Ok(ns)
            })
        };
        let plan = Plan { blocks: 2, ..Plan::quick(PathBuf::new()) };
        let figures = take_turns(&plan, &[run('a', 1.0), run('b', 2.0)]).unwrap();
        assert_eq!(figures, [Samples::from_iter([1.0, 1.0]), Samples::from_iter([2.0, 2.0])]);
        assert_eq!(order.into_inner(), ['a', 'b', 'a', 'b', 'a', 'b']);
    }
}
