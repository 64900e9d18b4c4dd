//! From an instruction's address to function, file and line.

mod accessor;
mod image;
pub(crate) mod name;
mod placed;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use barscope_trace::Definitions;
use barscope_trace::definition::{Definition, Entered, Frame};
use barscope_trace::event::Id;
use barscope_trace::harmless::harmless;
use serde::Deserialize;

pub(crate) use self::accessor::{is_accessor, is_called_for_others};
use self::image::SymbolImage;
use self::placed::PlacedImage;
use crate::digits::prefixed_hex;

/// Where an instruction comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Symbol {
    /// The function whose code it is, like `lab::probe`: what was inlined into it is part of it.
    pub function: String,
    /// Source file, without directories.
    pub file: Option<String>,
    /// The same file as debug information names it, with directories.
    pub path: Option<String>,
    /// The line within `function` itself: that of the call, if the instruction was inlined from another
    /// function.
    pub line: Option<u32>,
    /// The kernel's module that the function is in.
    pub module: Option<String>,
    /// How far into the function, where the image is one that a kernel loaded or told of: a disassembly of
    /// a module goes by that.
    pub offset: Option<u64>,
    /// The functions that were inlined into it there, from the innermost outwards.
    pub inlined: Vec<Inlined>,
}

/// A function that was inlined into another one, and where in it the code is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Inlined {
    /// Its name.
    pub function: String,
    /// Source file, without directories.
    pub file: Option<String>,
    /// The same file as debug information names it, with directories.
    pub path: Option<String>,
    /// The line within it.
    pub line: Option<u32>,
}

/// What images say of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A function's.
    Function(Symbol),
    /// None of the functions of the image that it lies in.
    Nothing,
    /// It lies in no image that was told: it may be anything's.
    Unknown,
}

impl Symbol {
    /// The function as Linux names it: `lab_irq+0x12 [lab]`; just its name where there is no offset.
    pub fn name(&self) -> String {
        let mut name = String::new();
        self.push_name(&mut name);
        name
    }

    /// The same with all names harmless for terminals.
    fn made_harmless(mut self) -> Self {
        let inlined = self
            .inlined
            .iter_mut()
            .flat_map(|it| [Some(&mut it.function), it.file.as_mut(), it.path.as_mut()]);
        let own = [Some(&mut self.function), self.file.as_mut(), self.path.as_mut(), self.module.as_mut()];
        for name in own.into_iter().chain(inlined).flatten() {
            if let Cow::Owned(harmless) = harmless(name) {
                *name = harmless;
            }
        }
        self
    }

    /// The same, appended.
    pub(crate) fn push_name(&self, text: &mut String) {
        text.push_str(&self.function);
        if let Some(offset) = self.offset {
            text.push('+');
            prefixed_hex(text, offset);
        }
        if let Some(module) = &self.module {
            text.push_str(" [");
            text.push_str(module);
            text.push(']');
        }
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, " {file}:{line}"),
            (Some(file), None) => write!(f, " {file}"),
            (None, _) => Ok(()),
        }
    }
}

/// A line of a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// The file, as the compiler was given it.
    pub path: String,
    /// Its line, from 1.
    pub line: u32,
}

impl SourceLine {
    /// Reads `PATH:LINE`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (path, line) = text.rsplit_once(':')?;
        let is_path = path.contains('.') && !path.contains([' ', '[', '(']);
        Some(Self { path: harmless(path).into_owned(), line: line.parse().ok()? }).filter(|_| is_path)
    }

    /// The file without its folders.
    pub fn name(&self) -> String {
        name::file(&self.path)
    }
}

/// CR3 without its flags and the process-context identifier.
const ADDRESS_SPACE: u64 = 0x000f_ffff_ffff_f000;

/// Resolves addresses with the images that a trace holds. Each image is parsed when it is first needed.
#[derive(Default)]
pub struct Symbols {
    /// By the definition that has the file; `None` for one that can't be parsed.
    images: HashMap<Id, Option<SymbolImage>>,
    instructions: HashMap<Id, Option<Symbol>>,
}

impl Symbols {
    /// The symbol of the instruction with id `instruction`.
    pub fn instruction(&mut self, definitions: &Definitions, instruction: Id) -> Option<Symbol> {
        if let Some(known) = self.instructions.get(&instruction) {
            return known.clone();
        }
        let found = definitions
            .instruction(instruction)
            .and_then(|code| self.place(definitions, code.rip, code.cr3, (code.image, instruction)).symbol());
        self.instructions.insert(instruction, found.clone());
        found
    }

    /// What a frame of the call stack with id `stack` is of: for a call the function that made it, where it did so.
    pub(crate) fn frame(&mut self, definitions: &Definitions, frame: &Frame, stack: Id) -> Named {
        // The instruction before is the call, or that of the system call.
        let behind = match frame.how {
            Entered::Call | Entered::SystemCall { .. } => 1,
            Entered::Interrupt | Entered::Exception => 0,
        };
        let address = frame.address.wrapping_sub(behind);
        match self.place(definitions, address, frame.cr3, (frame.image, stack)) {
            Named::Function(symbol) => {
                Named::Function(Symbol { offset: symbol.offset.map(|offset| offset + behind), ..symbol })
            }
            other => other,
        }
    }

    /// The symbol of address `rip` in address space `cr3`, as things stand now.
    pub fn address(&mut self, definitions: &Definitions, rip: u64, cr3: u64) -> Option<Symbol> {
        let latest_first = visible(definitions, cr3).rev().collect::<Vec<_>>();
        self.first(definitions, latest_first, rip).symbol()
    }

    /// The line of the code `offset` bytes into a function, of this name and size, of a module or of the kernel itself:
    /// of what was inlined there from the same file, too.
    pub fn source_line(
        &mut self,
        definitions: &Definitions,
        module: Option<&str>,
        function: (&str, u64),
        offset: u64,
    ) -> Option<SourceLine> {
        let of_kernel = definitions.images().filter(|(_, image)| image.address_space.is_none());
        let latest_first: Vec<_> = of_kernel.map(|(id, _)| id).rev().collect();
        latest_first.into_iter().find_map(|id| {
            let PlacedImage { image, .. } = self.image(definitions, id)?;
            if image.is_of(module) { image.source_line(function, offset) } else { None }
        })
    }

    /// What is at `address` by the image that held it when the definition with id `since` was made, or by the first
    /// that came later.
    fn place(
        &mut self,
        definitions: &Definitions,
        address: u64,
        cr3: u64,
        (image, since): (Option<Id>, Id),
    ) -> Named {
        let candidates = match image {
            Some(image) => vec![image],
            None => visible(definitions, cr3).filter(|id| *id > since).collect(),
        };
        self.first(definitions, candidates, address)
    }

    /// What the first of these images that holds `address` calls it.
    fn first(&mut self, definitions: &Definitions, images: Vec<Id>, address: u64) -> Named {
        let mut holds = |id| {
            let image = self.image(definitions, id)?;
            image.holds(address).then(|| image.find(address).map_or(Named::Nothing, Named::Function))
        };
        images.into_iter().find_map(&mut holds).unwrap_or(Named::Unknown)
    }

    fn image<'a>(&'a mut self, definitions: &'a Definitions, id: Id) -> Option<PlacedImage<'a>> {
        let Some(Definition::Image(placed)) = definitions.get(id) else { return None };
        let file = placed.file.unwrap_or(id);
        let parse = || SymbolImage::parse(definitions.blob(file), &placed.name);
        let image = self.images.entry(file).or_insert_with(parse).as_ref()?;
        Some(PlacedImage { image, placed })
    }
}

impl Named {
    /// The function, if it is one's.
    pub(crate) fn symbol(self) -> Option<Symbol> {
        match self {
            Named::Function(symbol) => Some(symbol),
            Named::Nothing | Named::Unknown => None,
        }
    }
}

/// The images that code in address space `cr3` may be of, oldest first.
fn visible(definitions: &Definitions, cr3: u64) -> impl DoubleEndedIterator<Item = Id> {
    let own = move |space: u64| (space ^ cr3) & ADDRESS_SPACE == 0;
    definitions.images().filter(move |(_, image)| image.address_space.is_none_or(own)).map(|(id, _)| id)
}

#[cfg(test)]
mod tests;
