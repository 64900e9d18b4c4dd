//! An ELF file's symbols and lines; or what somebody else read from one.

use std::collections::HashMap;
use std::sync::Arc;

use addr2line::Context;
use barscope_trace::harmless::harmless;
use gimli::{Dwarf, EndianArcSlice, RunTimeEndian, SectionId};
use object::{Object, ObjectKind, ObjectSection, ObjectSegment, ObjectSymbol, SectionKind, SymbolKind};

use serde::Deserialize;

use super::{Inlined, SourceLine, Symbol, name};

type Reader = EndianArcSlice<RunTimeEndian>;

/// A function at an address.
#[derive(Default)]
struct SourceFrame {
    function: Option<String>,
    /// With directories.
    path: Option<String>,
    line: Option<u32>,
}

/// A parsed executable.
pub(super) struct SymbolImage {
    /// Addresses that it is loaded at: start and end of each segment.
    segments: Vec<(u64, u64)>,
    /// Functions: start, size (0 if the file doesn't say) and mangled name, ascending.
    functions: Vec<(u64, u64, String)>,
    /// Lines; `None` without usable debug information.
    lines: Option<Context<Reader>>,
    origin: Origin,
}

/// What kind of image it is.
enum Origin {
    /// A linked program or kernel.
    Linked,
    /// A module of the kernel, by name.
    Module(String),
    /// What the kernel says of itself and its modules.
    Kernel,
    /// No file: places in code that were named elsewhere, by their addresses.
    Places(HashMap<u64, Symbol>),
}

/// A place in code that was named elsewhere.
#[derive(Deserialize)]
struct NamedPlace {
    address: u64,
    #[serde(flatten)]
    symbol: Symbol,
}

impl SymbolImage {
    /// `None` if the blob is neither an ELF file, nor lines of address and name, nor objects of JSON. A guest may have
    /// given anything.
    pub(super) fn parse(blob: &[u8], image: &str) -> Option<Self> {
        if blob.starts_with(b"{") {
            return Self::parse_places(blob);
        }
        let Ok(file) = object::File::parse(blob) else { return Self::parse_lines(blob) };
        let range = |start: u64, size: u64| (start, start.saturating_add(size));
        let (segments, origin) = match file.kind() {
            // A module has no segments: the kernel placed its sections one by one.
            ObjectKind::Relocatable => {
                let placed = file
                    .sections()
                    .filter(|section| section.kind() == SectionKind::Text && section.address() != 0);
                let placed = placed.map(|section| range(section.address(), section.size())).collect();
                (placed, Origin::Module(image.to_owned()))
            }
            _ => {
                let linked = file.segments().map(|segment| range(segment.address(), segment.size()));
                (linked.collect(), Origin::Linked)
            }
        };
        // A stripped library still says what others may call.
        let symbols = if file.symbol_table().is_some() { file.symbols() } else { file.dynamic_symbols() };
        let mut functions = symbols
            .filter(|symbol| symbol.is_definition() && symbol.kind() == SymbolKind::Text)
            .filter_map(|symbol| Some((symbol.address(), symbol.size(), symbol.name().ok()?.to_owned())))
            .collect::<Vec<_>>();
        functions.sort();
        Some(Self { segments, functions, lines: lines(&file), origin })
    }

    /// Functions of a kernel without a file, ascending: a line each, address and size in hexadecimal, and the
    /// name.
    fn parse_lines(lines: &[u8]) -> Option<Self> {
        let function = |line: &str| {
            let (address, rest) = line.split_once(' ')?;
            let (size, name) = rest.split_once(' ')?;
            let number = |text| u64::from_str_radix(text, 16).ok();
            Some((number(address)?, number(size)?, name.to_owned()))
        };
        let functions: Vec<_> =
            std::str::from_utf8(lines).ok()?.lines().map(function).collect::<Option<_>>()?;
        functions.first()?;
        Some(Self { segments: Vec::new(), functions, lines: None, origin: Origin::Kernel })
    }

    /// Named places, an object of JSON each.
    fn parse_places(lines: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(lines).ok()?;
        let places = text.lines().map(|line| {
            let NamedPlace { address, symbol } = serde_json::from_str(line).ok()?;
            Some((address, symbol.made_harmless()))
        });
        let origin = Origin::Places(places.collect::<Option<_>>()?);
        Some(Self { segments: Vec::new(), functions: Vec::new(), lines: None, origin })
    }

    /// Whether `address` lies in it. An image that names nothing holds nothing: another one may do better.
    pub(super) fn holds(&self, address: u64) -> bool {
        match &self.origin {
            Origin::Places(places) => places.contains_key(&address),
            Origin::Kernel => self.function(address).is_some(),
            Origin::Linked | Origin::Module(_) => !self.functions.is_empty() && self.covers(address),
        }
    }

    /// Whether `address` lies in it, named or not.
    pub(super) fn covers(&self, address: u64) -> bool {
        self.segments.iter().any(|(start, end)| (*start..*end).contains(&address))
    }

    /// The symbol of the code at `address`; `None` if it lies outside this image, or names nothing.
    pub(super) fn find(&self, address: u64) -> Option<Symbol> {
        if !self.holds(address) {
            return None;
        }
        if let Origin::Places(places) = &self.origin {
            return places.get(&address).cloned();
        }
        let mut frames = self.frames(address);
        let SourceFrame { function: outermost, path, line } = frames.pop().unwrap_or_default();
        let known = self.function(address);
        let function = known.map(|(_, name)| name).or(outermost.as_deref())?;
        let offset = known.map(|(start, _)| address - start);
        let (function, module, offset) = match &self.origin {
            Origin::Linked | Origin::Places(_) => (function, None, None),
            Origin::Module(name) => (function, Some(name.clone()), offset),
            // `lab_irq [lab]`
            Origin::Kernel => match function.split_once(" [") {
                Some((function, module)) => {
                    (function, Some(harmless(module.trim_end_matches(']')).into_owned()), offset)
                }
                None => (function, None, offset),
            },
        };
        let base = |path: &Option<String>| path.as_deref().map(name::file);
        let inlined = frames.into_iter().filter_map(|SourceFrame { function, path, line }| {
            Some(Inlined { function: name::short(&function?), file: base(&path), path, line })
        });
        Some(Symbol {
            function: name::short(function),
            file: base(&path),
            path,
            line,
            module,
            offset,
            inlined: inlined.collect(),
        })
    }

    /// Whether it is this module's file, or the kernel's own.
    pub(super) fn is_of(&self, module: Option<&str>) -> bool {
        match (&self.origin, module) {
            (Origin::Module(name), Some(module)) => name == module,
            (Origin::Linked | Origin::Kernel | Origin::Places(_), None) => true,
            _ => false,
        }
    }

    /// The line of the code `offset` bytes into a function of this name, and of this size if there are several.
    pub(super) fn source_line(&self, (name, size): (&str, u64), offset: u64) -> Option<SourceLine> {
        let named = || self.functions.iter().filter(|(.., known)| known == name);
        let function = named().find(|(_, known, _)| *known == size).or_else(|| named().next());
        let address = function?.0.checked_add(offset)?;
        let mut frames = self.lines.as_ref()?.find_frames(address).skip_all_loads().ok()?;
        let mut places = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let place = frame.location.and_then(|place| Some((place.file?, place.line?)));
            places.extend(place.map(|(file, line)| (harmless(file).into_owned(), line)));
        }
        let own = places.last()?.0.clone();
        let (path, line) = places.into_iter().find(|(path, _)| *path == own)?;
        Some(SourceLine { path, line })
    }

    /// Start and name of the symbol that `address` lies in.
    fn function(&self, address: u64) -> Option<(u64, &str)> {
        let after = self.functions.partition_point(|(start, ..)| *start <= address);
        let (start, size, name) = self.functions[..after].last()?;
        (*size == 0 || address - start < *size).then_some((*start, name))
    }

    /// Each frame at `address`, from the innermost outwards; none without lines.
    fn frames(&self, address: u64) -> Vec<SourceFrame> {
        let mut found = Vec::new();
        let Some(lines) = &self.lines else { return found };
        let Ok(mut frames) = lines.find_frames(address).skip_all_loads() else { return found };
        while let Ok(Some(frame)) = frames.next() {
            let function = frame.function.and_then(|function| Some(function.raw_name().ok()?.into_owned()));
            let (path, line) = frame.location.map_or((None, None), |place| (place.file, place.line));
            let path = path.map(|path| harmless(path).into_owned());
            found.push(SourceFrame { function, path, line });
        }
        found
    }
}

fn lines(file: &object::File<'_>) -> Option<Context<Reader>> {
    let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
    let section = |id: SectionId| -> Result<Reader, object::Error> {
        let data = match file.section_by_name(id.name()) {
            Some(section) => section.uncompressed_data()?,
            None => Default::default(),
        };
        Ok(Reader::new(Arc::from(&*data), endian))
    };
    Context::from_dwarf(Dwarf::load(section).ok()?).ok()
}
