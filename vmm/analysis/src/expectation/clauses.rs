//! Clauses and windows.

use std::collections::BTreeMap;
use std::sync::Arc;

use barscope_device::diagnostic::{Diagnostic, did_you_mean};

use super::lines::Line;
use crate::assert::{Clause, Goal, Limits, Location, Placed, Step, Time, Window, Within};
use crate::filter::Filter;
use crate::filter::lexer::Token;
use crate::filter::parser::Parser;

/// Reads clauses. It knows the windows that were named so far.
pub(super) struct Clauses {
    pub(super) file: Arc<str>,
    windows: BTreeMap<String, Window>,
}

impl Clauses {
    pub(super) fn new(file: &str) -> Self {
        Self { file: Arc::from(file), windows: BTreeMap::new() }
    }

    /// Where a line stands.
    pub(super) fn location(&self, line: &Line) -> Location {
        Location { file: Arc::clone(&self.file), line: line.number, text: line.text.clone() }
    }

    /// What follows `window`.
    pub(super) fn window(&mut self, parser: &mut Parser<'_>) -> Result<(), Diagnostic> {
        let span = parser.span();
        let name = parser.name("the window's name")?;
        parser.expect_sign("=")?;
        let window = if parser.word("scenario") {
            Window::Scenario(parser.name("the scenario's name")?)
        } else {
            let from = Box::new(Filter::read(parser)?);
            parser.expect_sign("..")?;
            if parser.word("end") {
                Window::From { name: name.clone(), from }
            } else {
                Window::Between { name: name.clone(), from, to: Box::new(Filter::read(parser)?) }
            }
        };
        if self.windows.insert(name.clone(), window).is_some() {
            return Err(Diagnostic::new(span, format!("there is a window {name} already")));
        }
        Ok(())
    }

    /// What follows `in`.
    pub(super) fn window_named(&self, parser: &mut Parser<'_>) -> Result<Window, Diagnostic> {
        if parser.word("scenario") {
            return Ok(Window::Scenario(parser.name("the scenario's name")?));
        }
        if parser.word("trace") {
            return Ok(Window::Whole);
        }
        let span = parser.span();
        let name = parser
            .name("a window: scenario NAME, trace, or one that a line like \"window NAME = ..\" defines")?;
        self.windows.get(&name).cloned().ok_or_else(|| {
            let hint = did_you_mean(&name, self.windows.keys().map(String::as_str));
            Diagnostic::new(span, format!("no window is called {name}{hint}"))
        })
    }

    /// A line with a clause, about `window` unless it says otherwise.
    pub(super) fn placed(&self, line: &Line, window: Window) -> Result<Placed, Diagnostic> {
        let mut parser = line.parser();
        let window = self.own_window(&mut parser)?.unwrap_or(window);
        if parser.word("always") {
            parser.expect_sign(":")?;
        }
        let clause = clause(line, &mut parser)?;
        Ok(Placed { clause, window, location: Some(self.location(line)) })
    }

    /// `in WINDOW:` before a clause. Without the colon, `in` begins a filter.
    fn own_window(&self, parser: &mut Parser<'_>) -> Result<Option<Window>, Diagnostic> {
        let mut ahead = parser.clone();
        if !ahead.word("in") {
            return Ok(None);
        }
        let scenario = ahead.at_word("scenario");
        ahead.advance();
        if scenario {
            ahead.name("the scenario's name")?;
        }
        if !ahead.sign(":") {
            return Ok(None);
        }
        parser.advance();
        let window = self.window_named(parser)?;
        parser.expect_sign(":")?;
        Ok(Some(window))
    }
}

fn clause(line: &Line, parser: &mut Parser<'_>) -> Result<Clause, Diagnostic> {
    if parser.word("seq") {
        parser.sign(":");
        line.ends(parser)?;
        return sequence(line);
    }
    if parser.word("each") {
        return each(line, parser);
    }
    line.has_no_children()?;
    let clause = if parser.word("never") {
        Clause::Never(Filter::read(parser)?)
    } else if parser.words(&["kernel", "entries"]) {
        let limits = amount(parser)?;
        let between = parser.word("between").then(|| Filter::read(parser)).transpose()?;
        Clause::KernelEntries { limits, between }
    } else if parser.word("coverage") {
        Clause::Coverage(goal(parser)?)
    } else {
        let filter = Filter::read(parser)?;
        Clause::Count(filter, amount(parser)?)
    };
    line.ends(parser)?;
    Ok(clause)
}

fn sequence(line: &Line) -> Result<Clause, Diagnostic> {
    if line.children.is_empty() {
        let message = "seq needs steps: lines below it that are indented more";
        return Err(Diagnostic::new(line.span, message));
    }
    let mut names = Names::default();
    let steps = line.children.iter().map(|child| {
        child.has_no_children()?;
        let mut parser = child.parser();
        let step = names.step(&mut parser)?;
        child.ends(&parser)?;
        Ok(step)
    });
    Ok(Clause::Sequence(steps.collect::<Result<_, _>>()?))
}

/// What follows `each`: steps after `then`, in the same line or below it.
fn each(line: &Line, parser: &mut Parser<'_>) -> Result<Clause, Diagnostic> {
    let mut names = Names::default();
    let trigger = names.step(parser)?;
    let if_any = parser.words(&["if", "any"]);
    parser.expect_sign(":")?;
    let mut then = Vec::new();
    if !parser.is_done() {
        names.then(parser, &mut then)?;
        line.ends(parser)?;
    }
    for child in &line.children {
        child.has_no_children()?;
        let mut parser = child.parser();
        names.then(&mut parser, &mut then)?;
        child.ends(&parser)?;
    }
    if then.is_empty() {
        return Err(parser.expected("\"then\" and what has to follow"));
    }
    Ok(Clause::Each { trigger, then, if_any })
}

/// The names that steps have so far.
#[derive(Default)]
struct Names {
    known: Vec<String>,
    steps: usize,
}

impl Names {
    /// `then A, then B`
    fn then(&mut self, parser: &mut Parser<'_>, steps: &mut Vec<Step>) -> Result<(), Diagnostic> {
        loop {
            if !parser.word("then") {
                return Err(parser.expected("\"then\" and what has to follow"));
            }
            steps.push(self.step(parser)?);
            if !parser.sign(",") {
                return Ok(());
            }
        }
    }

    fn step(&mut self, parser: &mut Parser<'_>) -> Result<Step, Diagnostic> {
        let mut step = Step::from(Filter::read(parser)?);
        loop {
            if parser.word("within") {
                step.within.push(self.within(parser)?);
            } else if parser.words(&["caused", "by"]) {
                let span = parser.span();
                if step.caused_by.replace(self.known(parser)?).is_some() {
                    return Err(Diagnostic::new(span, "a record is caused by one other"));
                }
            } else if parser.word("as") {
                let span = parser.span();
                let name = parser.name("a name for the step")?;
                if self.known.contains(&name) {
                    return Err(Diagnostic::new(span, format!("a step before is called {name} already")));
                }
                if step.name.replace(name).is_some() {
                    return Err(Diagnostic::new(span, "a step has one name"));
                }
            } else {
                break;
            }
        }
        self.steps += 1;
        self.known.extend(step.name.clone());
        Ok(step)
    }

    fn within(&self, parser: &mut Parser<'_>) -> Result<Within, Diagnostic> {
        let span = parser.span();
        let Some(Token::Time(limit_ns)) = parser.peek() else {
            return Err(parser.expected("a time, like 50us"));
        };
        parser.advance();
        let time = if parser.word("host") {
            Time::Host
        } else {
            parser.word("device");
            Time::Device
        };
        let of = if parser.word("of") { Some(self.known(parser)?) } else { None };
        if self.steps == 0 {
            let message = "a time is after a step before, and there is none";
            return Err(Diagnostic::new(span, message));
        }
        Ok(Within { limit_ns: *limit_ns, time, of })
    }

    /// The name of a step before.
    fn known(&self, parser: &mut Parser<'_>) -> Result<String, Diagnostic> {
        let span = parser.span();
        let name = parser.name("the name of a step before")?;
        if self.known.contains(&name) {
            return Ok(name);
        }
        let hint = match did_you_mean(&name, self.known.iter().map(String::as_str)) {
            hint if hint.is_empty() => format!("; name it with \"as {name}\""),
            hint => hint,
        };
        Err(Diagnostic::new(span, format!("no step before is called {name}{hint}")))
    }
}

fn amount(parser: &mut Parser<'_>) -> Result<Limits, Diagnostic> {
    let start = parser.span();
    let limits = if parser.words(&["at", "least"]) {
        Limits { low: parser.number("how often")?, high: None }
    } else if parser.words(&["at", "most"]) {
        Limits { low: 0, high: Some(parser.number("how often")?) }
    } else if parser.word("exactly") {
        let count = parser.number("how often")?;
        Limits { low: count, high: Some(count) }
    } else if let Some(Token::Number(low)) = parser.peek() {
        parser.advance();
        parser.expect_sign("..")?;
        let span = parser.span();
        let high = parser.number("how often at most")?;
        if high < *low {
            return Err(Diagnostic::new(span, format!("{low}..{high} is no range: nothing can be in it")));
        }
        Limits { low: *low, high: Some(high) }
    } else {
        return Err(parser.expected("how often: at least 1, at most 1, exactly 1 or 1..2"));
    };
    if limits.asks_nothing() {
        let message = format!("{limits} asks for nothing: say how often at least, or at most");
        return Err(Diagnostic::new(start, message));
    }
    let _ = parser.word("times") || parser.word("time");
    Ok(limits)
}

fn goal(parser: &mut Parser<'_>) -> Result<Goal, Diagnostic> {
    let mut goal = Goal::default();
    loop {
        let share = if parser.word("registers") {
            &mut goal.registers
        } else if parser.word("fields") {
            &mut goal.fields
        } else if parser.word("values") {
            &mut goal.values
        } else if goal == Goal::default() {
            return Err(parser.expected("registers, fields or values, like registers >= 90%"));
        } else {
            return Ok(goal);
        };
        parser.expect_sign(">=")?;
        match parser.peek() {
            Some(Token::Percent(percent)) if (1..=100).contains(percent) => *share = *percent,
            _ => return Err(parser.expected("a share from 1% to 100%")),
        }
        parser.advance();
    }
}
