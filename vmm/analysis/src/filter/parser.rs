//! From words to conditions.

use barscope_device::diagnostic::{Diagnostic, Span, did_you_mean, one_of};

use super::expr::{Expr, Spot, Target, Term};
use super::field::{FIELDS, Field, Type};
use super::kind::{KINDS, Kinds};
use super::lexer::{Lexeme, Token};
use super::operand::{Op, Operand};
use crate::system_call;
use crate::view::Context;

/// Words of the language that are neither kinds nor fields.
const WORDS: [&str; 7] = ["and", "or", "not", "by", "via", "on", "in"];

/// Reads words one after the other.
#[derive(Clone)]
pub(crate) struct Parser<'a> {
    lexemes: &'a [Lexeme],
    /// Where the text ends, for what is missing there.
    end: usize,
    /// How many brackets and negations are open.
    depth: usize,
}

/// How many brackets and negations may be open at once.
const DEEPEST: usize = 64;

impl<'a> Parser<'a> {
    /// Reads `lexemes` of a text that ends at byte `end`.
    pub(crate) fn new(lexemes: &'a [Lexeme], end: usize) -> Self {
        Self { lexemes, end, depth: 0 }
    }

    pub(crate) fn peek(&self) -> Option<&'a Token> {
        self.lexemes.first().map(|lexeme| &lexeme.token)
    }

    /// Where the next word stands.
    pub(crate) fn span(&self) -> Span {
        self.lexemes.first().map_or(Span::from(self.end..self.end), |lexeme| lexeme.span)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.lexemes.is_empty()
    }

    pub(crate) fn advance(&mut self) {
        self.lexemes = &self.lexemes[1..];
    }

    /// What comes next, in quotes, for a mistake about it.
    pub(crate) fn found(&self) -> String {
        match self.peek() {
            None => "the end".to_owned(),
            Some(Token::Word(word)) => format!("{word:?}"),
            Some(Token::Address(address)) => format!("{address:?}"),
            Some(Token::Text(text)) => format!("the text {text:?}"),
            Some(Token::Number(_)) => "a number".to_owned(),
            Some(Token::Time(_)) => "a time".to_owned(),
            Some(Token::Percent(_)) => "a percentage".to_owned(),
            Some(Token::Sign(sign)) => format!("\"{sign}\""),
        }
    }

    /// The mistake that something else should come next.
    pub(crate) fn expected(&self, what: &str) -> Diagnostic {
        Diagnostic::new(self.span(), format!("expected {what}, found {}", self.found()))
    }

    /// Takes this sign, if it comes next.
    pub(crate) fn sign(&mut self, sign: &str) -> bool {
        let comes = matches!(self.peek(), Some(Token::Sign(next)) if *next == sign);
        if comes {
            self.advance();
        }
        comes
    }

    pub(crate) fn expect_sign(&mut self, sign: &str) -> Result<(), Diagnostic> {
        if self.sign(sign) { Ok(()) } else { Err(self.expected(&format!("\"{sign}\""))) }
    }

    /// Whether this word comes next.
    pub(crate) fn at_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(next)) if next == word)
    }

    /// Takes this word, if it comes next.
    pub(crate) fn word(&mut self, word: &str) -> bool {
        let comes = self.at_word(word);
        if comes {
            self.advance();
        }
        comes
    }

    /// Takes these words, if all of them come next.
    pub(crate) fn words(&mut self, words: &[&str]) -> bool {
        let mut ahead = self.clone();
        let comes = words.iter().all(|word| ahead.word(word));
        if comes {
            *self = ahead;
        }
        comes
    }

    /// Takes a text in quotes.
    pub(crate) fn text(&mut self, what: &str) -> Result<String, Diagnostic> {
        match self.peek() {
            Some(Token::Text(text)) => {
                self.advance();
                Ok(text.clone())
            }
            _ => Err(self.expected(what)),
        }
    }

    /// Takes a name: a word, or a text.
    pub(crate) fn name(&mut self, what: &str) -> Result<String, Diagnostic> {
        match self.peek() {
            Some(Token::Word(name) | Token::Text(name)) => {
                self.advance();
                Ok(name.clone())
            }
            _ => Err(self.expected(what)),
        }
    }

    pub(crate) fn number(&mut self, what: &str) -> Result<u64, Diagnostic> {
        match self.peek() {
            Some(Token::Number(value)) => {
                self.advance();
                Ok(*value)
            }
            _ => Err(self.expected(what)),
        }
    }

    /// `A or B ..`
    pub(crate) fn any(&mut self) -> Result<Expr, Diagnostic> {
        let mut parts = vec![self.all()?];
        while self.word("or") || self.sign("||") || self.sign("|") {
            parts.push(self.all()?);
        }
        if let [Expr::Any(_), _, ..] = parts.as_slice() {
            let flat = parts.into_iter().flat_map(|part| match part {
                Expr::Any(inner) => inner,
                other => vec![other],
            });
            parts = flat.collect();
        }
        Ok(one_or(parts, Expr::Any))
    }

    /// `A and B ..`, or just `A B ..`
    fn all(&mut self) -> Result<Expr, Diagnostic> {
        let mut parts = Vec::new();
        self.push_unary(&mut parts)?;
        loop {
            if self.word("and") || self.sign("&&") || self.begins_condition() {
                self.push_unary(&mut parts)?;
            } else {
                return Ok(one_or(parts, Expr::All));
            }
        }
    }

    /// Whether a condition comes next, rather than what follows one.
    fn begins_condition(&self) -> bool {
        match self.peek() {
            Some(Token::Sign(sign)) => matches!(*sign, "(" | "{" | "!"),
            Some(Token::Word(word)) => {
                matches!(word.as_str(), "not" | "by" | "via" | "on" | "in")
                    || Kinds::named(word).is_some()
                    || Field::named(word).is_some()
                    || Target::parse(word).is_some()
            }
            _ => false,
        }
    }

    /// A condition; several at once where one word says so.
    fn push_unary(&mut self, parts: &mut Vec<Expr>) -> Result<(), Diagnostic> {
        let span = self.span();
        if self.word("not") || self.sign("!") {
            let negated = self.deeper(span, |parser| {
                let mut negated = Vec::new();
                parser.push_unary(&mut negated)?;
                Ok(one_or(negated, Expr::All))
            })?;
            parts.push(Expr::Not(Box::new(negated)));
            return Ok(());
        }
        if self.sign("(") {
            let inner = self.deeper(span, Self::any)?;
            self.expect_sign(")")?;
            match inner {
                Expr::All(inner) => parts.extend(inner),
                other => parts.push(other),
            }
            return Ok(());
        }
        if self.sign("{") {
            return self.register_fields(parts);
        }
        let Some(Token::Word(word)) = self.peek() else {
            return Err(self.expected("a condition, like read, BAR0.STATUS, cpl == 3"));
        };
        self.advance();
        let is = |term| Expr::Is(term, span);
        match word.as_str() {
            "by" => parts.push(is(self.privilege()?)),
            "via" => parts.push(is(self.compared_with(field_named("path", span)?, None, Op::Equal)?)),
            "on" => {
                let span = self.span();
                parts.push(Expr::Is(Term::Device(self.device()?), span));
            }
            "in" => parts.push(is(self.code()?)),
            _ => self.condition(word, span, parts)?,
        }
        Ok(())
    }

    /// What is one level deeper, so that nobody's brackets exhaust the stack.
    fn deeper(
        &mut self,
        span: Span,
        read: impl FnOnce(&mut Self) -> Result<Expr, Diagnostic>,
    ) -> Result<Expr, Diagnostic> {
        if self.depth == DEEPEST {
            return Err(Diagnostic::new(
                span,
                format!("more than {DEEPEST} brackets or negations in each other"),
            ));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// What begins with a word that says what it is about.
    fn condition(&mut self, word: &str, span: Span, parts: &mut Vec<Expr>) -> Result<(), Diagnostic> {
        let is = |term| Expr::Is(term, span);
        if let Some(kinds) = Kinds::named(word) {
            parts.push(is(Term::Kind(kinds)));
            return self.argument(word, span, parts);
        }
        if let Some(field) = Field::named(word) {
            parts.push(is(self.comparison(field, span)?));
            return Ok(());
        }
        if let Some((target, of_register)) = Target::parse(word) {
            return self.place(target, of_register, span, parts);
        }
        let kinds = KINDS.iter().map(|(name, ..)| *name);
        let known = kinds.chain(FIELDS.iter().map(|field| field.name)).chain(WORDS);
        let hint = match did_you_mean(word, known) {
            hint if hint.is_empty() => {
                "; a condition is a kind (read), a place (BAR0.STATUS) or a comparison (cpl == 3)".to_owned()
            }
            hint => hint,
        };
        Err(Diagnostic::new(span, format!("{word:?} is no kind, field or place{hint}")))
    }

    /// What may follow the name of a kind: `msi 2`, `mark "begin"`, `console "timed out"`.
    fn argument(&mut self, kind: &str, span: Span, parts: &mut Vec<Expr>) -> Result<(), Diagnostic> {
        // `msi 1..2 times` is about all of them.
        if matches!(self.lexemes.get(1), Some(Lexeme { token: Token::Sign(".."), .. }))
            && matches!(self.peek(), Some(Token::Number(_)))
        {
            return Ok(());
        }
        let mut op = Op::Equal;
        let (field, operand) = match (kind, self.peek()) {
            ("msi" | "interrupt-lost" | "interrupt-masked", Some(Token::Number(index))) => {
                ("index", Operand::Number(*index))
            }
            ("mark", Some(Token::Text(text))) => ("text", Operand::Text(text.clone())),
            ("console" | "oops", Some(Token::Text(text))) => {
                // A part of the line is enough.
                op = Op::Like;
                ("text", Operand::Text(format!("*{text}*")))
            }
            ("scenario-begin" | "scenario-end", Some(Token::Text(text))) => {
                ("scenario", Operand::Text(text.clone()))
            }
            ("isr" | "isr-exit", Some(Token::Number(vector))) => ("vector", Operand::Number(*vector)),
            _ => return Ok(()),
        };
        let field = field_named(field, span)?;
        let term = Term::Field { field, mask: None, op, operand };
        parts.push(Expr::Is(term, span.to(self.span())));
        self.advance();
        Ok(())
    }

    /// A place, and what may follow: `BAR0.ID == 1`, `BAR0.STATUS.DONE == 1`.
    fn place(
        &mut self,
        target: Target,
        of_register: Option<&str>,
        span: Span,
        parts: &mut Vec<Expr>,
    ) -> Result<(), Diagnostic> {
        if let (Some(_), Spot::Register { plus: Some(_), .. }) = (of_register, &target.spot) {
            return Err(Diagnostic::new(span, "a field is of a register, not of what lies behind it"));
        }
        parts.push(Expr::Is(Term::At(target), span));
        match of_register {
            Some(name) => {
                let term = match self.operator() {
                    Some(op) => self.register_field(name, op)?,
                    None => {
                        Term::Register { name: name.to_owned(), op: Op::Unequal, operand: Operand::Number(0) }
                    }
                };
                parts.push(Expr::Is(term, span));
            }
            None => {
                let mask = self.mask()?;
                if let Some(op) = self.operator() {
                    let value = field_named("value", span)?;
                    parts.push(Expr::Is(self.compared_with(value, mask, op)?, span));
                } else if mask.is_some() {
                    return Err(self.expected("a comparison, like == 1"));
                }
            }
        }
        Ok(())
    }

    /// `DONE=1, ERROR=0}`
    fn register_fields(&mut self, parts: &mut Vec<Expr>) -> Result<(), Diagnostic> {
        loop {
            let span = self.span();
            let name = self.name("a field of the register")?;
            let term = match self.operator() {
                Some(op) => self.register_field(&name, op)?,
                None => return Err(self.expected("a comparison, like =1")),
            };
            parts.push(Expr::Is(term, span));
            if self.sign("}") {
                return Ok(());
            }
            if !self.sign(",") {
                return Err(self.expected("\",\" or \"}\""));
            }
        }
    }

    fn register_field(&mut self, name: &str, op: Op) -> Result<Term, Diagnostic> {
        let operand = match self.peek() {
            Some(Token::Number(value)) => Operand::Number(*value),
            Some(Token::Word(value)) if matches!(op, Op::Equal | Op::Unequal) => Operand::Text(value.clone()),
            _ => return Err(self.expected("a number, or the name of a value of the field")),
        };
        self.advance();
        Ok(Term::Register { name: name.to_owned(), op, operand })
    }

    /// A field of the event, and what it is compared with.
    fn comparison(&mut self, field: &'static Field, span: Span) -> Result<Term, Diagnostic> {
        let mask = if matches!(field.of, Type::Number | Type::Hex) { self.mask()? } else { None };
        match (self.operator(), field.of) {
            (Some(op), _) => self.compared_with(field, mask, op),
            (None, Type::Flag) => {
                Ok(Term::Field { field, mask, op: Op::Equal, operand: Operand::Flag(true) })
            }
            // `memtype WC` reads well.
            (None, Type::Name(_)) if matches!(self.peek(), Some(Token::Word(_))) => {
                self.compared_with(field, mask, Op::Equal)
            }
            // So does `pid 12`.
            (None, Type::Number) if field.name == "pid" && matches!(self.peek(), Some(Token::Number(_))) => {
                self.compared_with(field, mask, Op::Equal)
            }
            (None, _) => {
                let what = format!("a comparison of {}, like {} == ..", field.name, field.name);
                Err(Diagnostic { span: span.to(self.span()), ..self.expected(&what) })
            }
        }
    }

    fn mask(&mut self) -> Result<Option<u64>, Diagnostic> {
        if self.sign("&") { self.number("a mask of bits").map(Some) } else { Ok(None) }
    }

    fn operator(&mut self) -> Option<Op> {
        let Some(Token::Sign(sign)) = self.peek() else { return None };
        let (_, op) = Op::ALL.iter().find(|(known, _)| known == sign)?;
        self.advance();
        Some(*op)
    }

    /// What `field` is compared with.
    fn compared_with(
        &mut self,
        field: &'static Field,
        mask: Option<u64>,
        op: Op,
    ) -> Result<Term, Diagnostic> {
        let operand = match (field.of, self.peek()) {
            (Type::Number | Type::Hex | Type::Time, Some(Token::Number(value)))
            | (Type::Time, Some(Token::Time(value))) => Operand::Number(*value),
            (Type::Number | Type::Hex, Some(Token::Word(word))) if field.name == "value" => {
                let hint = format!("a number; a named value is of a field: {{FIELD={word}}}");
                return Err(self.expected(&hint));
            }
            (Type::Number | Type::Hex, _) => return Err(self.expected("a number")),
            (Type::Time, _) => return Err(self.expected("a time, like 50us")),
            (Type::Flag, Some(Token::Word(word))) if word == "true" || word == "false" => {
                Operand::Flag(word == "true")
            }
            (Type::Flag, _) => return Err(self.expected("true or false")),
            (Type::Text, Some(Token::Word(text) | Token::Text(text) | Token::Address(text))) => {
                Operand::Text(text.clone())
            }
            (Type::Text, _) => return Err(self.expected("a text, like \"lab::probe\"")),
            (Type::Name(_), Some(Token::Word(text) | Token::Text(text)))
                if matches!(op, Op::Like | Op::Unlike) =>
            {
                Operand::Text(text.clone())
            }
            (Type::Name(_), Some(Token::Word(word))) if field.name == "memtype" && word == "uncached" => {
                let uncached = field_named("uncached", self.span())?;
                self.advance();
                let operand = Operand::Flag(op != Op::Unequal);
                return Ok(Term::Field { field: uncached, mask: None, op: Op::Equal, operand });
            }
            // UC and UC-.
            (Type::Name(_), Some(Token::Word(word)))
                if field.name == "pat" && word == "uncached" && matches!(op, Op::Equal | Op::Unequal) =>
            {
                self.advance();
                let op = if op == Op::Equal { Op::Like } else { Op::Unlike };
                let operand = Operand::Text("UC*".to_owned());
                return Ok(Term::Field { field, mask, op, operand });
            }
            (Type::Name(_), Some(Token::Word(word))) if field.name == "memtype" && word == "UC-" => {
                let why = "an access never has UC- in effect: a page asks for it, which is pat UC-";
                return Err(Diagnostic::new(self.span(), why.to_owned()));
            }
            (Type::Name(names), Some(Token::Word(text) | Token::Text(text))) => {
                match names.iter().find(|name| name.eq_ignore_ascii_case(text)) {
                    Some(name) => Operand::Text((*name).to_owned()),
                    None => return Err(self.expected(&format!("{} of {}", one_of(names), field.name))),
                }
            }
            (Type::Name(names), _) => return Err(self.expected(&one_of(names))),
        };
        let ordered = matches!(op, Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual);
        let fits = match field.of {
            Type::Number | Type::Hex | Type::Time => !matches!(op, Op::Like | Op::Unlike),
            Type::Text | Type::Name(_) => !ordered,
            Type::Flag => matches!(op, Op::Equal | Op::Unequal),
        };
        if !fits {
            return Err(Diagnostic::new(
                self.span(),
                format!("{} can't be compared by {}", field.name, op.sign()),
            ));
        }
        let span = self.span();
        self.advance();
        let term = Term::Field { field, mask, op, operand };
        if field.name == "syscall" { checked_system_call(term, span) } else { Ok(term) }
    }

    /// `by kernel`, `by user`, `by process "test"`
    fn privilege(&mut self) -> Result<Term, Diagnostic> {
        let level = if self.at_word("kernel") {
            0
        } else if self.at_word("user") {
            3
        } else if self.word("process") {
            return self.named("process", "the command of a process");
        } else {
            return Err(self.expected("kernel, user or process"));
        };
        let field = field_named("cpl", self.span())?;
        self.advance();
        Ok(Term::Field { field, mask: None, op: Op::Equal, operand: Operand::Number(level) })
    }

    /// A property that is what comes next, or like it; `what` that is.
    fn named(&mut self, property: &str, what: &str) -> Result<Term, Diagnostic> {
        let field = field_named(property, self.span())?;
        let name = self.name(what)?;
        let op = if name.contains(['*', '?']) { Op::Like } else { Op::Equal };
        Ok(Term::Field { field, mask: None, op, operand: Operand::Text(name) })
    }

    /// The device after `on`.
    pub(crate) fn device(&mut self) -> Result<String, Diagnostic> {
        match self.peek() {
            Some(Token::Word(name) | Token::Text(name) | Token::Address(name)) => {
                self.advance();
                Ok(name.clone())
            }
            _ => Err(self.expected("a device: its name, or its address like 00:04.0")),
        }
    }

    /// `in handler`, `in stack "lab_probe"`, `in syscall ioctl`, `in "lab_irq"`: what it is part of.
    fn code(&mut self) -> Result<Term, Diagnostic> {
        let span = self.span();
        if self.word("handler") {
            let field = field_named("handler", span)?;
            return Ok(Term::Field { field, mask: None, op: Op::Equal, operand: Operand::Flag(true) });
        }
        for (words, context) in [
            (&["hard", "handler"][..], Context::HardHandler),
            (&["threaded", "handler"], Context::ThreadedHandler),
            (&["softirq"], Context::Softirq),
        ] {
            if self.words(words) {
                let field = field_named("context", span)?;
                let operand = Operand::Text(context.name().to_owned());
                return Ok(Term::Field { field, mask: None, op: Op::Equal, operand });
            }
        }
        if self.word("stack") {
            return self.named("stack", "the name of a function");
        }
        if self.word("syscall") {
            let span = self.span();
            let term = self.named("syscall", "the name of a system call, like ioctl")?;
            return checked_system_call(term, span);
        }
        self.named("function", "handler, stack, syscall, softirq, or the name of a function")
    }
}

/// The condition, if it is about a system call that there is.
fn checked_system_call(term: Term, span: Span) -> Result<Term, Diagnostic> {
    if let Term::Field { op: Op::Equal | Op::Unequal, operand: Operand::Text(name), .. } = &term
        && !system_call::names().any(|known| known == name)
    {
        let hint = did_you_mean(name, system_call::names());
        return Err(Diagnostic::new(span, format!("Linux has no system call {name}{hint}")));
    }
    Ok(term)
}

/// The field of this name, which exists.
fn field_named(name: &str, span: Span) -> Result<&'static Field, Diagnostic> {
    Field::named(name).ok_or_else(|| Diagnostic::new(span, format!("no field is called {name}")))
}

fn one_or(mut parts: Vec<Expr>, many: impl Fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            many(parts)
        }
    }
}
