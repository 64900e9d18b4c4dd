//! Calls: the functions on the way to an access, from the instruction outwards, inlined ones as functions of their own.
//!
//! An interrupt begins something new on a stack that it finds: what it interrupted lies further out and has nothing to
//! do with the access. A *softirq* does the same, wherever it happens to run. What lies within is the access's own.

use std::sync::Arc;

use barscope_trace::definition::{Cut, Entered, Process};

use super::Code;
use crate::symbols::{Named, Symbol, is_accessor};

/// Above a handler of a device's interrupt, by its line's action (`kernel/irq/handle.c`).
const HARD: &[&str] = &["__handle_irq_event_percpu", "handle_irq_event_percpu", "handle_irq_event"];
/// Above a handler that its line's thread calls (`kernel/irq/manage.c`).
const THREADED: &[&str] = &["irq_thread_fn", "irq_forced_thread_fn"];
/// Above softirqs (`kernel/softirq.c`).
const SOFTIRQ: &[&str] = &["handle_softirqs", "__do_softirq", "__softirqentry_text_start"];

/// What code runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A process or a thread of the kernel that does what it has to.
    Task,
    /// The handler of a device's interrupt, with interrupts off.
    HardHandler,
    /// The handler of a device's interrupt in a thread of its own.
    ThreadedHandler,
    /// What was put off until interrupts are on again.
    Softirq,
    /// Something else that interrupted a task, like a timer.
    Interrupt,
}

impl Context {
    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Context::Task => "task",
            Context::HardHandler => "hard-handler",
            Context::ThreadedHandler => "threaded-handler",
            Context::Softirq => "softirq",
            Context::Interrupt => "interrupt",
        }
    }

    /// In a handler of a device's interrupt, threaded or not.
    pub const fn is_handler(self) -> bool {
        matches!(self, Context::HardHandler | Context::ThreadedHandler)
    }
}

/// The callers of an instruction: its call stack, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callers {
    frames: Vec<Caller>,
    /// The process that the processor had at work, interrupted or not.
    pub process: Option<Arc<Process>>,
    /// Why the outermost frames are missing.
    pub cut: Option<Cut>,
    own: Own,
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) how: Entered,
    pub(crate) address: u64,
    pub(crate) cr3: u64,
    pub(crate) named: Named,
}

/// What belongs to the access itself. What isn't known is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Own {
    /// So many frames.
    frames: usize,
    /// None of them is missing.
    complete: bool,
    context: Option<Context>,
    interrupts: Option<bool>,
    system_call: Option<Option<u64>>,
}

/// A function on the way to an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// Its name, if it has one.
    pub function: Option<&'a str>,
    /// Source file, without directories.
    pub file: Option<&'a str>,
    /// The same file as debug information names it, with directories.
    pub path: Option<&'a str>,
    /// The line within the function.
    pub line: Option<u32>,
    /// The function that the code is compiled into, with what is inlined there.
    pub symbol: Option<&'a Symbol>,
    /// The function is inlined into the one that comes next.
    pub inlined: bool,
    /// How the code within came to run; `None` for the function of the instruction itself, and what is inlined there.
    pub entered: Option<Entered>,
    /// Virtual address of the instruction, or the one to go on with.
    pub address: u64,
    /// The address space; 0 for the kernel's part.
    pub cr3: u64,
    /// Others call it to reach a device.
    pub accessor: bool,
    /// Nobody told the image that it is of.
    pub untold: bool,
}

impl Callers {
    pub(crate) fn new(frames: Vec<Caller>, process: Option<Arc<Process>>, cut: Option<Cut>) -> Self {
        let own = Own::new(&frames, cut);
        Self { frames, process, cut, own }
    }

    /// What the code runs as; `None` if too much of the stack is missing to tell.
    pub fn context(&self) -> Option<Context> {
        self.own.context
    }

    /// Whether it interrupted the process; `None` if that isn't known.
    pub fn interrupts(&self) -> Option<bool> {
        self.own.interrupts
    }

    /// The number of the system call that it is part of, if it is; `None` if that isn't known.
    pub fn system_call(&self) -> Option<Option<u64>> {
        self.own.system_call
    }

    /// Whether all callers are there up to what is no longer the access's own.
    pub fn is_complete(&self) -> bool {
        self.own.complete
    }

    /// The functions that it is made of, from the innermost outwards.
    pub(crate) fn calls(&self) -> impl Iterator<Item = Call<'_>> {
        self.frames.iter().flat_map(Caller::calls)
    }

    /// What tells this run of a handler from another: the frames from where it interrupted something.
    pub(crate) fn interrupted(&self) -> Option<u64> {
        let at = self.frames.iter().find(|frame| frame.how == Entered::Interrupt)?;
        Some(at.address)
    }
}

impl Own {
    fn new(frames: &[Caller], cut: Option<Cut>) -> Self {
        let mut own = Own { frames: frames.len(), ..Own::default() };
        let mut unnamed = false;
        for (at, frame) in frames.iter().enumerate() {
            match frame.how {
                Entered::Interrupt => {
                    let context = own.context.or((!unnamed).then_some(Context::Interrupt));
                    return own.ended(at, context);
                }
                Entered::SystemCall { number } => {
                    own.system_call.get_or_insert(Some(number));
                    own.interrupts = Some(false);
                    if !unnamed {
                        own.context.get_or_insert(Context::Task);
                    }
                }
                Entered::Call | Entered::Exception => (),
            }
            let Some(name) = frame.name() else {
                unnamed |= own.interrupts.is_none() && frame.cr3 == 0;
                continue;
            };
            if own.context.is_some() {
                continue;
            }
            if HARD.contains(&name) {
                own.context = Some(Context::HardHandler);
                (own.interrupts, own.system_call) = (Some(true), Some(None));
            } else if THREADED.contains(&name) {
                own.context = Some(Context::ThreadedHandler);
            } else if SOFTIRQ.contains(&name) {
                return own.ended(at + 1, Some(Context::Softirq));
            }
        }
        own.complete = cut.is_none();
        if cut.is_none() {
            own.interrupts.get_or_insert(false);
            own.system_call.get_or_insert(None);
            if !unnamed {
                own.context.get_or_insert(Context::Task);
            }
        }
        own
    }

    /// It ends where something was interrupted.
    fn ended(self, frames: usize, context: Option<Context>) -> Self {
        Self { frames, complete: true, context, interrupts: Some(true), system_call: Some(None) }
    }
}

impl Caller {
    fn name(&self) -> Option<&str> {
        match &self.named {
            Named::Function(symbol) => Some(&symbol.function),
            Named::Nothing | Named::Unknown => None,
        }
    }

    fn calls(&self) -> impl Iterator<Item = Call<'_>> {
        let (symbol, untold) = match &self.named {
            Named::Function(symbol) => (Some(symbol), false),
            Named::Nothing => (None, false),
            Named::Unknown => (None, true),
        };
        calls(symbol, Call { entered: Some(self.how), untold, ..Call::at(self.address, self.cr3) })
    }
}

impl<'a> Call<'a> {
    fn at(address: u64, cr3: u64) -> Self {
        Call {
            function: None,
            file: None,
            path: None,
            line: None,
            symbol: None,
            inlined: false,
            entered: None,
            address,
            cr3,
            accessor: false,
            untold: false,
        }
    }

    /// The module of the kernel that it is in.
    pub fn module(&self) -> Option<&'a str> {
        self.symbol?.module.as_deref()
    }

    /// Function and module for people, like `lab_irq [lab]`, or the address; `offset` adds how far into it that is.
    pub fn push_name(&self, text: &mut String, offset: bool) {
        match (self.function, self.symbol) {
            (Some(_), Some(symbol)) if !self.inlined && offset => symbol.push_name(text),
            (Some(function), _) => {
                text.push_str(function);
                if let Some(module) = self.module() {
                    text.push_str(" [");
                    text.push_str(module);
                    text.push(']');
                }
            }
            (None, _) => crate::digits::prefixed_hex(text, self.address),
        }
    }

    /// `lab.c:88`, appended; nothing if the file isn't known.
    pub fn push_line(&self, text: &mut String) {
        text.push_str(self.file.unwrap_or_default());
        if let Some(line) = self.line {
            if self.file.is_some() {
                text.push(':');
            }
            crate::digits::decimal(text, line.into());
        }
    }
}

/// The functions at an address, from the innermost inlined one to the one that has the code.
fn calls<'a>(symbol: Option<&'a Symbol>, plain: Call<'a>) -> impl Iterator<Item = Call<'a>> {
    let inlined = symbol.into_iter().flat_map(|symbol| &symbol.inlined).enumerate();
    let inlined = inlined.map(move |(at, inlined)| Call {
        function: Some(&inlined.function),
        file: inlined.file.as_deref(),
        path: inlined.path.as_deref(),
        line: inlined.line,
        symbol,
        inlined: true,
        accessor: is_accessor(&inlined.function),
        entered: plain.entered.filter(|_| at == 0),
        ..plain
    });
    let has_inlined = symbol.is_some_and(|symbol| !symbol.inlined.is_empty());
    let own = Call {
        function: symbol.map(|symbol| &*symbol.function),
        file: symbol.and_then(|symbol| symbol.file.as_deref()),
        path: symbol.and_then(|symbol| symbol.path.as_deref()),
        line: symbol.and_then(|symbol| symbol.line),
        symbol,
        accessor: symbol.is_some_and(|symbol| is_accessor(&symbol.function)),
        entered: plain.entered.filter(|_| !has_inlined),
        ..plain
    };
    inlined.chain([own])
}

/// All functions on the way to an instruction, from it outwards, with what was interrupted.
pub fn all_calls<'a>(code: &'a Code, callers: Option<&'a Callers>) -> impl Iterator<Item = Call<'a>> {
    code.calls().chain(callers.into_iter().flat_map(Callers::calls))
}

/// Those of them that are the access's own.
pub(crate) fn own_calls<'a>(code: &'a Code, callers: Option<&'a Callers>) -> impl Iterator<Item = Call<'a>> {
    let frames = callers.into_iter().flat_map(|callers| &callers.frames[..callers.own.frames]);
    code.calls().chain(frames.flat_map(Caller::calls))
}

impl Code {
    fn calls(&self) -> impl Iterator<Item = Call<'_>> {
        let plain = Call { untold: self.symbol.is_none(), ..Call::at(self.rip, self.cr3) };
        calls(self.symbol.as_ref(), plain)
    }
}

/// Whose access it is.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// The innermost function that is no accessor. Without a call stack the one that has the code.
    pub by: Call<'a>,
    /// The function that `by` is inlined into, if it is: the one that has the code.
    pub inlined_into: Option<Call<'a>>,
    /// The accessor that was called.
    pub accessor: Option<&'a str>,
    /// The innermost function of a module or a program, where `by` is the kernel's own and that one isn't.
    pub asked_by: Option<Call<'a>>,
    /// Whether that is for certain it: no accessor's caller is missing.
    pub certain: bool,
}

impl<'a> Made<'a> {
    pub(crate) fn new(code: &'a Code, callers: Option<&'a Callers>) -> Self {
        let without_accessors = callers.and_then(|callers| Self::beyond_accessors(code, callers));
        without_accessors.unwrap_or_else(|| {
            let plain = Call::at(code.rip, code.cr3);
            let certain = callers.is_some_and(Callers::is_complete);
            let by = calls(code.symbol.as_ref(), plain).last().unwrap_or(plain);
            Made { by, inlined_into: None, accessor: None, asked_by: None, certain }
        })
    }

    fn beyond_accessors(code: &'a Code, callers: &'a Callers) -> Option<Self> {
        let mut accessor = None;
        let mut own = own_calls(code, Some(callers));
        let by = own.find(|call| {
            if call.accessor && !call.inlined {
                accessor = call.function;
            }
            !call.accessor
        })?;
        let inlined_into = if by.inlined { own.find(|call| !call.inlined) } else { None };
        let is_kernels = |call: &Call<'_>| call.cr3 == 0 && call.module().is_none();
        let asks = |call: &Call<'_>| !is_kernels(call) && !call.accessor;
        let asked_by = if is_kernels(&by) { own.find(asks) } else { None };
        Some(Made { by, inlined_into, accessor, asked_by, certain: true })
    }

    /// For people, from the function that has the code inwards: `lab_irq < ioread32`, `lab_irq < lab_read < ioread32`;
    /// `lab_irq+0x12 [lab]` where there is nothing within.
    pub fn push_name(&self, text: &mut String) {
        self.push_functions(text, self.accessor.is_none());
        if let Some(accessor) = self.accessor {
            text.push_str(" < ");
            text.push_str(accessor);
        }
    }

    /// The function and what is inlined into it, without accessors: `lab_irq < lab_read`. `None` if it has no name.
    pub fn function(&self) -> Option<String> {
        self.by.function?;
        let mut text = String::new();
        self.push_functions(&mut text, false);
        Some(text)
    }

    fn push_functions(&self, text: &mut String, alone: bool) {
        let bare = |text: &mut String, call: &Call<'_>| match call.function {
            Some(function) => text.push_str(function),
            None => call.push_name(text, false),
        };
        match &self.inlined_into {
            Some(outer) => {
                bare(text, outer);
                text.push_str(" < ");
                bare(text, &self.by);
            }
            None if alone => self.by.push_name(text, true),
            None => bare(text, &self.by),
        }
    }

    /// Where in the source: `lab.c:88`; `lab.c:88 < lab.h:12` or `lab.c:88 < 12` of what is inlined into it; for what the
    /// kernel does by itself the line that asked for it.
    pub fn push_line(&self, text: &mut String) {
        match self.asked_by {
            Some(call) if self.by.file.is_none() => {
                if call.file.is_some() {
                    text.push_str("for ");
                    call.push_line(text);
                } else if call.function.is_some() {
                    text.push_str("for ");
                    call.push_name(text, false);
                }
            }
            _ => self.push_own_line(text),
        }
    }

    fn push_own_line(&self, text: &mut String) {
        let Some(outer) = self.inlined_into else { return self.by.push_line(text) };
        outer.push_line(text);
        if self.by.line.is_some() {
            text.push_str(" < ");
            let file = if self.by.file == outer.file { None } else { self.by.file };
            Call { file, ..self.by }.push_line(text);
        }
    }

    /// Name and line.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        self.push_name(&mut text);
        let name = text.len();
        text.push(' ');
        self.push_line(&mut text);
        if text.len() == name + 1 {
            text.truncate(name);
        }
        text
    }
}

#[cfg(test)]
mod tests;
