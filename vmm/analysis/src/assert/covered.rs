//! Whether accesses reached the shares that a clause asks for.

use barscope_device::Bdf;

use super::clause::Goal;
use super::decision::Finish;
use super::evidence::Evidence;
use crate::coverage::{Counts, Coverage, FunctionCoverage, Share};

/// How many things that aren't covered are named.
const LISTED: usize = 12;

pub(super) fn covered(coverage: &Coverage, goal: &Goal, scope: Option<&[Bdf]>) -> Finish {
    let is_meant = |bdf: &Bdf| scope.is_none_or(|scope| scope.contains(bdf));
    let functions = coverage.functions().iter().filter(|function| is_meant(&function.bdf));
    let counts: Counts = functions.map(FunctionCoverage::counts).sum();
    let shares = [
        ("registers", counts.registers, goal.registers),
        ("fields", counts.fields, goal.fields),
        ("values", counts.values, goal.values),
    ];
    for (what, Share { covered, of }, wanted) in shares {
        if wanted > 0 && of == 0 {
            return Finish::Broken(Evidence::because(format!("there are no {what} to cover")));
        }
        if u128::from(covered) * 100 < u128::from(of) * u128::from(wanted) {
            let missing: Vec<_> = coverage
                .missing()
                .into_iter()
                .filter(|missing| is_meant(&missing.function.bdf))
                .filter(|missing| match (what, missing.field) {
                    ("registers", field) => field.is_none(),
                    ("fields", None) => !missing.register.fields.is_empty(),
                    ("fields", Some(_)) => missing.value.is_none(),
                    (_, None) => missing.register.fields.iter().any(|field| !field.values.is_empty()),
                    (_, Some(field)) => !field.values.is_empty(),
                })
                .map(|missing| missing.to_string())
                .collect();
            let more = missing.len().saturating_sub(LISTED);
            let more = if more > 0 { format!("\n    and {more} more") } else { String::new() };
            let missing = &missing[..missing.len().min(LISTED)];
            let reason = format!(
                "{covered} of {of} {what} are covered; missing:\n    {}{more}",
                missing.join("\n    ")
            );
            return Finish::Lacks(Evidence::because(reason));
        }
    }
    Finish::Held
}
