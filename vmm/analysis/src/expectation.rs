//! Expectation files: tests for traces, as text.
//!
//! A file is a list of lines; what belongs to a line is indented more than it, and `#` begins a remark. A
//! line that ends with `\` goes on in the next one.
//!
//! ```text
//! device lab at 00:04.0                  # such a device has to be there
//! mark "given up"                        # such a mark may be absent
//! window user = mark "begin" .. mark "end"
//!
//! test "an interrupt is acknowledged" on lab in scenario interrupt
//!   seq
//!     write BAR0.OPCODE {OPCODE=FACTORIAL} as go
//!     msi 0 within 50us caused by go as irq
//!     read BAR0.INT_STATUS in handler caused by go within 1ms of irq
//!   each msi 0: then write BAR0.INT_STATUS {DONE=1} within 1ms
//!   never access BAR0 pat WB
//!   in user: access BAR0 by user exactly 1000 times
//!   in user: kernel entries exactly 0 times
//!
//! coverage registers >= 80% fields >= 50%
//!
//! allow torn-64 on BAR0.COUNTER because "the device keeps the upper half"
//! ```
//!
//! ```text
//! file     = { "device" NAME "at" ADDRESS | "window" NAME "=" span | "mark" TEXT | "scenario" NAME
//!            | test | coverage | allow }
//! span     = filter ".." ( filter | "end" ) | "scenario" NAME
//! test     = "test" TEXT { "on" DEVICE | "for" "each" DEVICE | "in" window } { clause }
//! window   = NAME | "scenario" NAME | "trace"
//! clause   = [ "in" window ":" ] [ "always" ":" ]
//!            ( "seq" { step }
//!            | "each" step [ "if" "any" ] ":" { "then" step }
//!            | "never" filter
//!            | filter amount
//!            | "kernel" "entries" amount
//!            | coverage )
//! step     = filter { "as" NAME | "caused" "by" NAME | "within" TIME [ "device" | "host" ] [ "of" NAME ] }
//! amount   = ( "at" "least" | "at" "most" | "exactly" ) NUMBER [ "times" ] | NUMBER ".." NUMBER [ "times" ]
//! allow    = "allow" LINT "on" PLACE [ "in" "scenario" NAME ] "because" TEXT
//! coverage = "coverage" { ( "registers" | "fields" | "values" ) ">=" PERCENT }
//! ```
//!
//! Names of tests differ, as do those of steps in a clause. What asks for nothing (`at least 0`) is a mistake. A
//! window that is to stay open until the trace's end says `.. end`. `mark` and `scenario` at the margin declare
//! that these may be absent: a clause that holds because there are none passes then. `allow` is for [`crate::lint`] alone.
//!
//! Filters are those of [`crate::filter`]. What clauses mean is told at [`crate::assert`]. A time is that of
//! the device clock unless it says `host`. Without `of`, it counts from the step before; in `each`, the first
//! `then` counts from what triggered it. A test `on` a device, or `for each` of a name, is about events of
//! that device and about those that are of none, like marks.

mod allows;
mod clauses;
mod lines;
mod reference;

pub use reference::reference;

use barscope_device::diagnostic::{Diagnostic, did_you_mean, one_of};

use self::clauses::Clauses;
use self::lines::{Line, lines};
use crate::assert::{Clause, Devices, Placed, Suite, Test, Window};
use crate::filter::lexer::Token;
use crate::filter::parser::Parser;
use crate::lint::Allow;

/// What may begin a line that isn't indented.
const ITEMS: [&str; 7] = ["test", "device", "window", "coverage", "mark", "scenario", "allow"];

/// What an expectation file says.
#[derive(Clone, Debug)]
pub struct Contents {
    /// What traces have to pass; no test if all lines allow something.
    pub suite: Suite,
    /// What lints may find.
    pub allows: Vec<Allow>,
}

/// Reads the tests of an expectation file. `file` is its name, for failures.
///
/// # Errors
/// The first mistake, and where it is in `text`. No test is one.
pub fn parse(file: &str, text: &str) -> Result<Suite, Diagnostic> {
    let Contents { suite, .. } = read(file, text)?;
    if suite.tests.is_empty() { Err(no_test(text)) } else { Ok(suite) }
}

/// Reads an expectation file. `file` is its name, for failures.
///
/// # Errors
/// The first mistake, and where it is in `text`. A file that neither tests nor allows anything is one.
pub fn read(file: &str, text: &str) -> Result<Contents, Diagnostic> {
    let mut clauses = Clauses::new(file);
    let mut allows = Vec::new();
    let mut tests = Vec::new();
    let mut common = Vec::new();
    let (mut declared_marks, mut declared_scenarios) = (Vec::new(), Vec::new());
    for line in &lines(text)? {
        let mut parser = line.parser();
        if parser.word("test") {
            let span = parser.span();
            let test = test(&mut clauses, line, &mut parser)?;
            if tests.iter().any(|known: &Test| known.name == test.name) {
                return Err(Diagnostic::new(span, format!("there is a test {:?} already", test.name)));
            }
            tests.push(test);
            continue;
        }
        if parser.at_word("coverage") {
            common.push(clauses.placed(line, Window::Whole)?);
            continue;
        }
        if parser.word("device") {
            let name = parser.name("the device's name")?;
            let clause = match (parser.word("at"), parser.peek()) {
                (true, Some(Token::Address(address))) => match address.parse() {
                    Ok(bdf) => Clause::Device { name, bdf },
                    Err(_) => return Err(parser.expected("an address like 00:04.0")),
                },
                (true, _) => return Err(parser.expected("an address like 00:04.0")),
                (false, _) => return Err(parser.expected("\"at\" and an address, like at 00:04.0")),
            };
            parser.advance();
            let location = Some(clauses.location(line));
            common.push(Placed { clause, window: Window::Whole, location });
        } else if parser.word("window") {
            clauses.window(&mut parser)?;
        } else if parser.word("mark") {
            declared_marks.push(parser.text("the mark's text in quotes")?);
        } else if parser.word("scenario") {
            declared_scenarios.push(parser.name("the scenario's name")?);
        } else if parser.word("allow") {
            allows.push(allows::allow(&mut parser, clauses.location(line))?);
        } else {
            let hint = match parser.peek() {
                Some(Token::Word(word)) => did_you_mean(word, ITEMS),
                _ => String::new(),
            };
            let diagnostic = parser.expected(&one_of(ITEMS));
            return Err(Diagnostic { message: diagnostic.message + &hint, ..diagnostic });
        }
        line.ends(&parser)?;
        line.has_no_children()?;
    }
    if !common.is_empty() {
        let name = "devices and coverage".to_owned();
        tests.insert(0, Test { name, devices: Devices::All, clauses: common });
    }
    if tests.is_empty() && allows.is_empty() {
        return Err(no_test(text));
    }
    Ok(Contents { suite: Suite { tests, declared_marks, declared_scenarios }, allows })
}

fn no_test(text: &str) -> Diagnostic {
    let end = text.len();
    Diagnostic::new((end..end).into(), "no test here: a file that asks for nothing can't fail")
}

/// What follows `test`.
fn test(clauses: &mut Clauses, line: &Line, parser: &mut Parser<'_>) -> Result<Test, Diagnostic> {
    let name = parser.text("the test's name in quotes")?;
    let mut devices = Devices::All;
    let mut window = Window::Whole;
    while !parser.is_done() {
        if parser.word("on") {
            devices = Devices::On(parser.device()?);
        } else if parser.words(&["for", "each"]) {
            devices = Devices::Each(parser.device()?);
        } else if parser.word("in") {
            window = clauses.window_named(parser)?;
        } else {
            return Err(parser.expected("on DEVICE, for each DEVICE, in WINDOW or the end of the line"));
        }
    }
    if line.children.is_empty() {
        let message = "a test needs clauses: lines below it that are indented more";
        return Err(Diagnostic::new(line.span, message));
    }
    let placed = line.children.iter().map(|child| clauses.placed(child, window.clone()));
    Ok(Test { name, devices, clauses: placed.collect::<Result<_, _>>()? })
}

#[cfg(test)]
mod tests;
