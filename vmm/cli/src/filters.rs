//! Filters of the command line.

use barscope_analysis::filter::{Compiled, Filter};
use barscope_trace::Definitions;

use crate::ending::Failure;

/// A filter from the command line, in one piece or in several.
pub fn filter(parts: &[String]) -> Result<Option<(Filter, String)>, Failure> {
    if parts.is_empty() {
        return Ok(None);
    }
    let text = parts.join(" ");
    match Filter::parse(&text) {
        Ok(filter) => Ok(Some((filter, text))),
        Err(diagnostic) => Err(Failure::Diagnostic(diagnostic.show("filter", &text))),
    }
}

/// Holds a filter against a trace.
pub fn compile(
    filter: Option<(Filter, String)>,
    definitions: &Definitions,
) -> Result<Option<Compiled>, Failure> {
    let Some((filter, text)) = filter else { return Ok(None) };
    match filter.compile(definitions) {
        Ok(compiled) => Ok(Some(compiled)),
        Err(diagnostic) => Err(Failure::Diagnostic(diagnostic.show("filter", &text))),
    }
}
