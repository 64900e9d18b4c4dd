//! Code and its callers by the ids of their definitions, each resolved once.

use std::sync::Arc;

use barscope_trace::Definitions;
use barscope_trace::definition::Process;
use barscope_trace::event::Id;

use super::Code;
use super::calls::{Caller, Callers};
use super::shared::Shared;
use crate::symbols::Symbols;

/// Resolves instructions and call stacks.
#[derive(Default)]
pub(crate) struct Codes {
    symbols: Symbols,
    codes: Shared<Code>,
    callers: Shared<Callers>,
    processes: Shared<Process>,
}

impl Codes {
    pub(crate) fn code(&mut self, definitions: &Definitions, id: Id) -> Option<Arc<Code>> {
        let symbols = &mut self.symbols;
        self.codes.get(id, || {
            let instruction = definitions.instruction(id)?;
            Some(Arc::new(Code::new(instruction, symbols.instruction(definitions, id))))
        })
    }

    /// The call stack with this id; `None` if none was taken.
    pub(crate) fn callers(&mut self, definitions: &Definitions, id: Id) -> Option<Arc<Callers>> {
        if id == 0 {
            return None;
        }
        let (symbols, processes) = (&mut self.symbols, &mut self.processes);
        self.callers.get(id, || {
            let stack = definitions.stack(id)?;
            let frames = stack.frames.iter().map(|frame| Caller {
                how: frame.how,
                address: frame.address,
                cr3: frame.cr3,
                named: symbols.frame(definitions, frame, id),
            });
            let frames = frames.collect();
            let process = stack
                .process
                .and_then(|id| processes.get(id, || definitions.process(id).cloned().map(Arc::new)));
            Some(Arc::new(Callers::new(frames, process, stack.cut)))
        })
    }

    /// The process that code with these callers runs for, in this ring: none that it interrupted. `told` is the one
    /// whose address space it came through.
    pub(crate) fn process(
        &mut self,
        definitions: &Definitions,
        callers: Option<&Callers>,
        cpl: u8,
        told: Option<Id>,
    ) -> Option<Arc<Process>> {
        if let Some(callers) = callers {
            if cpl != 3 && callers.interrupts() != Some(false) {
                return None;
            }
            if let Some(process) = &callers.process {
                return Some(Arc::clone(process));
            }
        }
        self.defined_process(definitions, told.filter(|_| cpl == 3)?)
    }

    /// The process with this definition.
    pub(crate) fn defined_process(&mut self, definitions: &Definitions, id: Id) -> Option<Arc<Process>> {
        self.processes.get(id, || definitions.process(id).cloned().map(Arc::new))
    }
}
