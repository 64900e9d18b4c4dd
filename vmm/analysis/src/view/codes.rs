//! Code and its callers by the ids of their definitions, each resolved once.

use std::sync::Arc;

use barscope_trace::Definitions;
use barscope_trace::definition::Process;
use barscope_trace::event::Id;

use super::Code;
use super::calls::{Caller, Callers};
use super::viewer::Shared;
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

    pub(crate) fn process(&mut self, definitions: &Definitions, id: Id) -> Option<Arc<Process>> {
        self.processes.get(id, || definitions.process(id).cloned().map(Arc::new))
    }
}
