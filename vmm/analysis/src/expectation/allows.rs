//! Lines that allow what lints find.

use barscope_device::diagnostic::Diagnostic;

use crate::assert::Location;
use crate::filter::lexer::Token;
use crate::filter::parser::Parser;
use crate::filter::{Spot, Target};
use crate::lint::{self, Allow};

/// What follows `allow`.
pub(super) fn allow(parser: &mut Parser<'_>, location: Location) -> Result<Allow, Diagnostic> {
    let span = parser.span();
    let name = parser.name("the lint's name, as `barscope lint --list` has it")?;
    let lint = lint::find(&name).map_err(|message| Diagnostic::new(span, message))?;
    if !parser.word("on") {
        return Err(parser.expected("\"on\" and a register, like on BAR0.STATUS"));
    }
    let place = place(parser)?;
    let mut scenario = None;
    if parser.word("in") {
        if !parser.word("scenario") {
            return Err(parser.expected("\"scenario\" and its name"));
        }
        scenario = Some(parser.name("the scenario's name")?);
    }
    if !parser.word("because") {
        return Err(parser.expected("\"because\" and the reason in quotes"));
    }
    let span = parser.span();
    let reason = parser.text("the reason in quotes")?;
    if reason.trim().is_empty() {
        return Err(Diagnostic::new(span, "the reason is empty: say why it is right here"));
    }
    Ok(Allow { lint, place, scenario, reason, location })
}

/// A register or a region, as findings are of.
fn place(parser: &mut Parser<'_>) -> Result<Target, Diagnostic> {
    const EXPECTED: &str = "a register or a region, like BAR0.STATUS, BAR0+0x40, CONFIG or lab.BAR0.STATUS";
    let span = parser.span();
    let parsed = match parser.peek() {
        Some(Token::Word(word)) => Target::parse(word),
        _ => None,
    };
    match parsed {
        Some((target, None)) if !matches!(target.spot, Spot::Register { plus: Some(_), .. }) => {
            parser.advance();
            Ok(target)
        }
        Some(_) => {
            Err(Diagnostic::new(span, "findings are of whole registers: leave out what follows its name"))
        }
        None => Err(parser.expected(EXPECTED)),
    }
}
