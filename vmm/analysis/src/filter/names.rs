//! Names of everything that a trace could name: of functions, source files and owners of mappings. For a name
//! that nothing in the trace goes by, whatever happened.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use barscope_device::diagnostic::did_you_mean;
use barscope_trace::Definitions;
use barscope_trace::definition::Definition;
use gimli::{AttributeValue, Dwarf, EndianSlice, RunTimeEndian, Unit};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

use super::{Mentions, Wanted};
use crate::symbols::name;

/// Names, gathered when they are first asked for. Those of inlined functions and of files are in the debug
/// information, which is read only for a name that no symbol has.
pub struct Names<'a> {
    definitions: &'a Definitions,
    symbols: OnceCell<BTreeSet<String>>,
    debug: OnceCell<Debug>,
    owners: OnceCell<BTreeSet<String>>,
    processes: OnceCell<BTreeSet<String>>,
}

/// Names in debug information.
#[derive(Default)]
struct Debug {
    functions: BTreeSet<String>,
    files: BTreeSet<String>,
}

type Reader<'a> = EndianSlice<'a, RunTimeEndian>;

impl<'a> Names<'a> {
    /// Those of a trace.
    pub fn new(definitions: &'a Definitions) -> Self {
        Self {
            definitions,
            symbols: OnceCell::new(),
            debug: OnceCell::new(),
            owners: OnceCell::new(),
            processes: OnceCell::new(),
        }
    }

    /// What is wrong with the first name among `mentions` that nothing in the trace goes by, with the nearest
    /// one. Names of functions and files can't be told without any image; those of owners without any mapping, those
    /// of processes without any process.
    pub fn unknown(&self, mentions: &Mentions) -> Option<String> {
        self.unknown_function(&mentions.functions)
            .or_else(|| self.unknown_file(&mentions.files))
            .or_else(|| self.unknown_owner(&mentions.owners))
            .or_else(|| self.unknown_process(&mentions.processes))
    }

    fn unknown_function(&self, wanted: &[Wanted]) -> Option<String> {
        let wanted = wanted
            .iter()
            .find(|wanted| !has(self.symbols(), wanted) && !has(&self.debug().functions, wanted))?;
        let known = self.symbols().iter().chain(&self.debug().functions);
        Some(unknown(
            wanted,
            known,
            "no code in the trace is called",
            "no code in the trace is called anything like",
        ))
    }

    fn unknown_file(&self, wanted: &[Wanted]) -> Option<String> {
        let wanted = wanted.iter().find(|wanted| !has(&self.debug().files, wanted))?;
        let (name, pattern) = ("no code in the trace is from", "no code in the trace is from anything like");
        Some(unknown(wanted, self.debug().files.iter(), name, pattern))
    }

    fn unknown_owner(&self, wanted: &[Wanted]) -> Option<String> {
        let wanted = wanted.iter().find(|wanted| !has(self.owners(), wanted))?;
        let name = "no mapping in the trace was made by";
        let pattern = "no mapping in the trace was made by anything like";
        Some(unknown(wanted, self.owners().iter(), name, pattern))
    }

    fn unknown_process(&self, wanted: &[Wanted]) -> Option<String> {
        let wanted = wanted.iter().find(|wanted| !has(self.processes(), wanted))?;
        let name = "no process in the trace is called";
        let pattern = "no process in the trace is called anything like";
        Some(unknown(wanted, self.processes().iter(), name, pattern))
    }

    fn processes(&self) -> &BTreeSet<String> {
        self.processes.get_or_init(|| {
            let processes = self.definitions.iter().filter_map(|(_, definition)| match definition {
                Definition::Process(process) => Some(process.name.clone()),
                _ => None,
            });
            processes.collect()
        })
    }

    fn owners(&self) -> &BTreeSet<String> {
        self.owners.get_or_init(|| {
            let owners = self.definitions.iter().filter_map(|(_, definition)| match definition {
                Definition::Mapping(mapping) => Some(mapping.who.clone()),
                _ => None,
            });
            owners.collect()
        })
    }

    fn blobs(&self) -> impl Iterator<Item = &[u8]> {
        // A file that several processes have is read once.
        let files: BTreeSet<_> =
            self.definitions.images().map(|(id, image)| image.file.unwrap_or(id)).collect();
        files.into_iter().map(|id| self.definitions.blob(id))
    }

    fn symbols(&self) -> &BTreeSet<String> {
        self.symbols.get_or_init(|| {
            // Code of a stripped file goes by the file's name.
            let files = self.definitions.images().filter(|(_, image)| image.file.is_some());
            let mut names: BTreeSet<_> = files.map(|(_, image)| name::file(&image.name)).collect();
            for blob in self.blobs() {
                match object::File::parse(blob) {
                    Ok(file) => {
                        let symbols = if file.symbol_table().is_some() {
                            file.symbols()
                        } else {
                            file.dynamic_symbols()
                        };
                        let functions = symbols
                            .filter(|symbol| symbol.is_definition() && symbol.kind() == SymbolKind::Text);
                        names.extend(functions.filter_map(|symbol| Some(name::short(symbol.name().ok()?))));
                    }
                    Err(_) => names.extend(listed(blob)),
                }
            }
            names
        })
    }

    fn debug(&self) -> &Debug {
        self.debug.get_or_init(|| {
            let mut debug = Debug::default();
            for file in self.blobs().filter_map(|blob| object::File::parse(blob).ok()) {
                // Names up to where it is damaged.
                let _ = debug.read(&file);
            }
            debug
        })
    }
}

/// Functions of a kernel without a file: lines of address, size and name, the module's name after that.
fn listed(lines: &[u8]) -> impl Iterator<Item = String> {
    let lines = std::str::from_utf8(lines).unwrap_or_default().lines();
    lines.filter_map(|line| {
        let function = line.splitn(3, ' ').nth(2)?;
        let function = function.split_once(" [").map_or(function, |(function, _)| function);
        Some(name::short(function))
    })
}

impl Debug {
    fn read(&mut self, file: &object::File<'_>) -> Result<(), gimli::Error> {
        let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
        let sections = gimli::DwarfSections::load(|id| {
            let data = file.section_by_name(id.name()).and_then(|section| section.uncompressed_data().ok());
            Ok::<_, gimli::Error>(data.unwrap_or_default())
        })?;
        let dwarf = sections.borrow(|section| EndianSlice::new(section, endian));
        let symbols = file.symbols().next().is_some();
        let mut headers = dwarf.units();
        while let Some(header) = headers.next()? {
            let unit = dwarf.unit(header)?;
            self.add_files(&dwarf, &unit);
            self.add_functions(&dwarf, &unit, symbols)?;
        }
        Ok(())
    }

    fn add_files(&mut self, dwarf: &Dwarf<Reader<'_>>, unit: &Unit<Reader<'_>>) {
        let Some(program) = &unit.line_program else { return };
        for entry in program.header().file_names() {
            if let Ok(path) = dwarf.attr_string(unit, entry.path_name()) {
                self.files.insert(name::file(&path.to_string_lossy()));
            }
        }
    }

    fn add_functions(
        &mut self,
        dwarf: &Dwarf<Reader<'_>>,
        unit: &Unit<Reader<'_>>,
        symbols: bool,
    ) -> Result<(), gimli::Error> {
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            // What isn't inlined goes by its symbol, if there are any.
            let is_meant = !symbols || entry.attr_value(gimli::DW_AT_inline).is_some();
            if entry.tag() != gimli::DW_TAG_subprogram || !is_meant {
                continue;
            }
            let value = [gimli::DW_AT_linkage_name, gimli::DW_AT_MIPS_linkage_name, gimli::DW_AT_name]
                .into_iter()
                .find_map(|attribute| entry.attr_value(attribute));
            if let Some(text) = value.and_then(|value: AttributeValue<_>| dwarf.attr_string(unit, value).ok())
            {
                self.functions.insert(name::short(&text.to_string_lossy()));
            }
        }
        Ok(())
    }
}

fn has(names: &BTreeSet<String>, wanted: &Wanted) -> bool {
    match wanted {
        Wanted::Name(name) => names.contains(name),
        Wanted::Pattern(_) => names.iter().any(|name| wanted.fits(name)),
    }
}

fn unknown<'n>(wanted: &Wanted, known: impl Iterator<Item = &'n String>, named: &str, like: &str) -> String {
    match wanted {
        Wanted::Name(name) => format!("{named} {name}{}", did_you_mean(name, known.map(String::as_str))),
        Wanted::Pattern(pattern) => format!("{like} {pattern}"),
    }
}

#[cfg(test)]
mod tests {
    use barscope_trace::definition::Image;

    use super::*;
    use crate::filter::Filter;
    use crate::sample::Sample;

    fn unknown(text: &str) -> Option<String> {
        let trace = Sample::new().finished();
        Names::new(trace.definitions()).unknown(&Filter::parse(text).unwrap().mentions())
    }

    #[test]
    fn what_nothing_is_called_is_told_with_the_nearest_name() {
        for (text, message) in [
            ("read in lab::isrr", "no code in the trace is called lab::isrr; did you mean lab::isr?"),
            ("read in isr", "no code in the trace is called isr; did you mean lab::isr?"),
            ("read in \"nosuch::*\"", "no code in the trace is called anything like nosuch::*"),
            ("read file == labb.rs", "no code in the trace is from labb.rs; did you mean lab.rs?"),
            (
                "map mapped-by == lab::prob",
                "no mapping in the trace was made by lab::prob; did you mean lab::probe?",
            ),
            ("read in stack lab::isrr", "no code in the trace is called lab::isrr; did you mean lab::isr?"),
            ("map mapped-by ~ \"x*\"", "no mapping in the trace was made by anything like x*"),
        ] {
            assert_eq!(unknown(text).as_deref(), Some(message), "{text}");
        }
    }

    #[test]
    fn what_something_is_called_is_none() {
        // `read` is inlined everywhere: only the debug information has it.
        for text in [
            "read in lab::isr or read in \"user::*\"",
            "read in read",
            "read file == lab.rs",
            "map mapped-by == \"user 1\"",
        ] {
            assert_eq!(unknown(text), None, "{text}");
        }
    }

    #[test]
    fn functions_of_mapped_files_are_known() {
        let mut definitions = Definitions::default();
        let file = barscope_trace::definition::File { path: "/bin/p".into() };
        definitions.push(Definition::File(file), crate::sample::program().to_vec());
        for space in [0x5000, 0x6000] {
            let image = Image { file: Some(1), bias: 0x1000, ..Image::new("/bin/p", Some(space)) };
            definitions.push(Definition::Image(image), Vec::new());
        }
        let names = Names::new(&definitions);
        let unknown = |name: &str| {
            names.unknown(&Mentions { functions: vec![Wanted::Name(name.into())], ..Mentions::default() })
        };
        assert_eq!((unknown("user::touch"), unknown("p")), (None, None));
        assert!(unknown("user::tuch").unwrap().ends_with("did you mean user::touch?"));
    }

    #[test]
    fn a_process_that_is_not_there_is_told_with_the_nearest() {
        let sample = Sample::new();
        sample.process("test", 93);
        let trace = sample.finished();
        let unknown =
            |text: &str| Names::new(trace.definitions()).unknown(&Filter::parse(text).unwrap().mentions());
        let told = unknown("read by process tset").unwrap();
        assert_eq!(told, "no process in the trace is called tset; did you mean test?");
        assert_eq!(unknown("read by process \"t*\""), None);
    }

    #[test]
    fn a_kernel_that_lists_its_symbols_names_them() {
        let mut lines = String::new();
        for at in 0..100_000 {
            lines += &format!("{:x} 10 kernel_function_{at}\n", 0xffff_ffff_8100_0000_u64 + at * 16);
        }
        lines += "ffffffffc0000000 40 lab_irq [lab]\n";
        let mut definitions = Definitions::default();
        let image = Image::new("kernel", None);
        definitions.push(Definition::Image(image), lines.into_bytes());
        let start = std::time::Instant::now();
        let names = Names::new(&definitions);
        let unknown = |name: &str| {
            names.unknown(&Mentions { functions: vec![Wanted::Name(name.into())], ..Mentions::default() })
        };
        assert_eq!(unknown("lab_irq"), None);
        assert_eq!(unknown("kernel_function_99999"), None);
        let told = unknown("lab_irk").unwrap();
        assert_eq!(told, "no code in the trace is called lab_irk; did you mean lab_irq?");
        assert!(start.elapsed().as_secs() < 3, "{:?}", start.elapsed());
    }
}
