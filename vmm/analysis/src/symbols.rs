//! From an instruction's address to function, file and line.

mod image;
pub(crate) mod name;

use std::collections::HashMap;
use std::fmt;

use barscope_trace::Definitions;
use barscope_trace::definition::{Definition, Image};
use barscope_trace::event::Id;
use barscope_trace::harmless::harmless;

use self::image::SymbolImage;
use crate::digits::prefixed_hex;

/// Where an instruction comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symbol {
    /// The function whose code it is, like `lab::probe`: what was inlined into it goes by its name.
    pub function: String,
    /// Source file, without directories.
    pub file: Option<String>,
    /// The line within `function` itself: that of the call, if the instruction was inlined from another
    /// function.
    pub line: Option<u32>,
    /// The kernel's module that the function is in.
    pub module: Option<String>,
    /// How far into the function, where the image is one that a kernel loaded or told of: a disassembly of
    /// a module goes by that.
    pub offset: Option<u64>,
}

impl Symbol {
    /// The function as Linux names it: `lab_irq+0x12 [lab]`; just its name where there is no offset.
    pub fn name(&self) -> String {
        let mut name = String::new();
        self.push_name(&mut name);
        name
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
    /// `None` for a file that can't be parsed.
    images: HashMap<Id, Option<SymbolImage>>,
    instructions: HashMap<Id, Option<Symbol>>,
}

impl Symbols {
    /// The symbol of the instruction with id `instruction`.
    pub fn instruction(&mut self, definitions: &Definitions, instruction: Id) -> Option<Symbol> {
        if let Some(known) = self.instructions.get(&instruction) {
            return known.clone();
        }
        let found = definitions.instruction(instruction).and_then(|code| match code.image {
            Some(image) => self.image(definitions, image)?.find(code.rip),
            None => {
                let visible = visible(definitions, code.cr3);
                let later = visible.filter(|id| *id > instruction).collect::<Vec<_>>();
                self.first(definitions, later, code.rip)
            }
        });
        self.instructions.insert(instruction, found.clone());
        found
    }

    /// The symbol of address `rip` in address space `cr3`, as things stand now.
    pub fn address(&mut self, definitions: &Definitions, rip: u64, cr3: u64) -> Option<Symbol> {
        let latest_first = visible(definitions, cr3).rev().collect::<Vec<_>>();
        self.first(definitions, latest_first, rip)
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
            let image = self.image(definitions, id).filter(|image| image.is_of(module))?;
            image.source_line(function, offset)
        })
    }

    /// What the first of these images that holds `rip` calls it.
    fn first(&mut self, definitions: &Definitions, images: Vec<Id>, rip: u64) -> Option<Symbol> {
        images.into_iter().find_map(|id| {
            let image = self.image(definitions, id)?;
            image.holds(rip).then(|| image.find(rip))
        })?
    }

    fn image(&mut self, definitions: &Definitions, id: Id) -> Option<&SymbolImage> {
        let Some(Definition::Image(Image { name, .. })) = definitions.get(id) else { return None };
        let parse = || SymbolImage::parse(definitions.blob(id), name);
        self.images.entry(id).or_insert_with(parse).as_ref()
    }
}

/// The images that code in address space `cr3` may be of, oldest first.
fn visible(definitions: &Definitions, cr3: u64) -> impl DoubleEndedIterator<Item = Id> {
    let own = move |space: u64| (space ^ cr3) & ADDRESS_SPACE == 0;
    definitions.images().filter(move |(_, image)| image.address_space.is_none_or(own)).map(|(id, _)| id)
}

#[cfg(test)]
mod tests;
