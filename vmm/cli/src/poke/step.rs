//! Steps of `barscope poke`: what somebody wants of a device, held against its registers before anything is done.

use barscope_device::diagnostic::nearest;
use barscope_device::{BarIndex, Bdf, Region, Register, RegisterMap, low_bytes};
use barscope_trace::definition::Function;
use barscope_vmm::perform::Request;

/// The most bytes of memory in one step.
const MEMORY_MAX: usize = 4096;
/// The longest wait, an hour: what fires every few nanoseconds would be recorded till the end of days.
const WAIT_MAX_NS: u64 = 3_600_000_000_000;

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reads or writes.
    Access {
        /// The function.
        bdf: Bdf,
        /// Its region.
        region: Region,
        /// The offset there.
        offset: u64,
        /// What is asked.
        request: Request,
    },
    /// Lets device time pass, in nanoseconds.
    Wait(u64),
    /// Reads memory: address and length in bytes.
    ReadMemory(u64, usize),
    /// Writes memory.
    WriteMemory(u64, Vec<u8>),
    /// Has a function send messages (MSI).
    Msi(Bdf),
    /// Resets a function.
    Reset(Bdf),
}

/// Reads all steps in `texts`, of a device with these functions. Gives each with its words.
///
/// # Errors
/// Which step is wrong, and what would be right.
pub fn read(texts: &[String], functions: &[&Function]) -> Result<Vec<(String, Step)>, String> {
    let mut words = Words { words: split(texts), next: 0 };
    let mut steps = Vec::new();
    let mut function = *functions.first().ok_or("the device has no function")?;
    while let Some(verb) = words.take() {
        let first = words.next - 1;
        let step = read_one(&verb, &mut words, &mut function, functions);
        let text = words.words[first..words.next].join(" ");
        match step {
            Ok(step) => steps.extend(step.map(|step| (text, step))),
            Err(why) => return Err(format!("step {}, {text:?}: {why}", steps.len() + 1)),
        }
    }
    Ok(steps)
}

struct Words {
    words: Vec<String>,
    next: usize,
}

impl Words {
    fn take(&mut self) -> Option<String> {
        let word = self.words.get(self.next)?.clone();
        self.next += 1;
        Some(word)
    }

    fn need(&mut self, what: &str) -> Result<String, String> {
        self.take().ok_or_else(|| format!("{what} is missing"))
    }
}

/// Words, each ended by spaces, but for those in braces. What follows a `#` is left out, to the end of its line.
fn split(texts: &[String]) -> Vec<String> {
    let mut words = Vec::new();
    for line in texts.iter().flat_map(|text| text.lines()) {
        let line = line.split_once('#').map_or(line, |(before, _)| before);
        let mut open = false;
        let parts = line.split(|c: char| {
            open = c == '{' || (open && c != '}');
            c.is_whitespace() && !open
        });
        words.extend(parts.filter(|word| !word.is_empty()).map(str::to_owned));
    }
    words
}

fn read_one<'a>(
    verb: &str,
    words: &mut Words,
    function: &mut &'a Function,
    functions: &[&'a Function],
) -> Result<Option<Step>, String> {
    let bdf = function.bdf;
    let (name, size) = match verb.strip_suffix(['1', '2', '4', '8']) {
        Some(name) => (name, verb.as_bytes().last().map(|digit| digit - b'0')),
        None => (verb, None),
    };
    let step = match (name, size) {
        ("read", _) => access(function, &words.need("what to read")?, size, None)?,
        ("write", _) => {
            let place = words.need("what to write")?;
            access(function, &place, size, Some(&words.need("the value")?))?
        }
        ("config", None) => {
            let verb = words.need("read or write")?;
            let place = format!("CONFIG+{}", words.need("the offset")?);
            let (name, size) = match verb.strip_suffix(['1', '2', '4', '8']) {
                Some(name) => (name, verb.as_bytes().last().map(|digit| digit - b'0')),
                None => (verb.as_str(), None),
            };
            match name {
                "read" => access(function, &place, size, None)?,
                "write" => access(function, &place, size, Some(&words.need("the value")?))?,
                _ => return Err("configuration space is read or written".to_owned()),
            }
        }
        ("memory", None) => memory(words)?,
        ("wait", None) => Step::Wait(time(&words.need("how long")?)?),
        ("msi", None) => Step::Msi(bdf),
        ("reset", None) => Step::Reset(bdf),
        ("function", None) => {
            let wanted = number(&words.need("its number")?)?;
            let chosen = functions.iter().find(|function| u64::from(function.bdf.function()) == wanted);
            *function = chosen.ok_or_else(|| format!("the device has no function {wanted}"))?;
            return Ok(None);
        }
        _ => {
            let verbs = ["read", "write", "config", "memory", "wait", "msi", "reset", "function"];
            return Err(match nearest(verb, verbs) {
                Some(verb) => format!("no such step; did you mean {verb}?"),
                None => format!("no such step; there is {}", verbs.join(", ")),
            });
        }
    };
    Ok(Some(step))
}

fn memory(words: &mut Words) -> Result<Step, String> {
    match words.need("read or write")?.as_str() {
        "read" => {
            let address = number(&words.need("the address")?)?;
            let length = number(&words.need("how many bytes")?)?;
            let length = usize::try_from(length).ok().filter(|length| (1..=MEMORY_MAX).contains(length));
            Ok(Step::ReadMemory(address, length.ok_or(format!("1 to {MEMORY_MAX} bytes can be read"))?))
        }
        "write" => {
            let address = number(&words.need("the address")?)?;
            let digits = words.need("the bytes")?;
            let bytes: Option<Vec<u8>> = digits
                .as_bytes()
                .chunks(2)
                .map(|pair| {
                    u8::from_str_radix(str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok()
                })
                .collect();
            let bytes = bytes.filter(|bytes| bytes.len() <= MEMORY_MAX && !digits.contains('+'));
            let wanted =
                format!("bytes are pairs of hexadecimal digits, like 11223344, {MEMORY_MAX} at most");
            Ok(Step::WriteMemory(address, bytes.ok_or(wanted)?))
        }
        _ => Err("memory is read or written".to_owned()),
    }
}

/// Reads or writes a place like `BAR0.STATUS` or `BAR0+0x10`.
fn access(function: &Function, place: &str, size: Option<u8>, value: Option<&str>) -> Result<Step, String> {
    let at = place.find(['.', '+']).ok_or("name a place like BAR0.STATUS or BAR0+0x10")?;
    let (region, rest) = (region(&place[..at])?, &place[at + 1..]);
    let map = function.register_maps.iter().find(|map| map.region == region);
    let (offset, register) = if place[at..].starts_with('+') {
        let offset = number(rest)?;
        (offset, map.and_then(|map| map.at(offset)))
    } else {
        let register = register(map, region, rest)?;
        (register.offset, Some(register))
    };
    let own_size = register.filter(|register| !register.memory).map(|register| register.size as u8);
    let size = size.or(own_size).unwrap_or(4);
    let limit = region_size(function, region).ok_or_else(|| format!("{} has no {region}", function.name))?;
    if offset.checked_add(size.into()).is_none_or(|end| end > limit) {
        return Err(format!("{region} has {limit:#x} bytes: {size} at {offset:#x} are past its end"));
    }
    let request = match value {
        None => Request::read(size),
        Some(text) => {
            let value = match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(fields) => from_fields(fields, register.ok_or("no register there has fields")?)?,
                None => number(text)?,
            };
            if value > low_bytes(size.into()) {
                return Err(format!("{value:#x} is more than {size} bytes hold"));
            }
            Request::write(size, value)
        }
    };
    Ok(Step::Access { bdf: function.bdf, region, offset, request })
}

fn region(text: &str) -> Result<Region, String> {
    let bar = |text: &str| BarIndex::new(text.strip_prefix("BAR")?.parse().ok()?).map(Region::Bar);
    match text.to_ascii_uppercase().as_str() {
        "CONFIG" => Ok(Region::Config),
        "ROM" => Ok(Region::Rom),
        other => bar(other).ok_or_else(|| format!("no region is called {text}: BAR0 to BAR5, ROM, CONFIG")),
    }
}

fn region_size(function: &Function, region: Region) -> Option<u64> {
    match region {
        Region::Config => Some(4096),
        Region::Rom => function.register_maps.iter().find(|map| map.region == region).map(|map| {
            map.registers.last().map_or(0, |register| register.offset.saturating_add(register.size))
        }),
        Region::Bar(index) => function.bars.iter().find(|bar| bar.index == index).map(|bar| bar.size),
    }
}

fn register<'a>(map: Option<&'a RegisterMap>, region: Region, name: &str) -> Result<&'a Register, String> {
    let registers = map.map_or(&[][..], |map| &map.registers);
    if let Some(register) = registers.iter().find(|register| register.name.eq_ignore_ascii_case(name)) {
        return Ok(register);
    }
    let names = registers.iter().map(|register| &*register.name);
    Err(match nearest(name, names) {
        Some(close) => format!("no register {region}.{name}; did you mean {region}.{close}?"),
        None => format!("no register {region}.{name}; `devices` lists those that there are"),
    })
}

/// `START=1, OPERATION=XOR`: fields by value or by the name of one; all others are 0.
fn from_fields(text: &str, register: &Register) -> Result<u64, String> {
    let mut value = 0;
    for part in text.split([',', ' ']).map(str::trim).filter(|part| !part.is_empty()) {
        let (name, given) = part.split_once('=').ok_or_else(|| format!("write {part} as {part}=VALUE"))?;
        let (name, given) = (name.trim(), given.trim());
        let found = register.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        let field = found.ok_or_else(|| {
            let names = register.fields.iter().map(|field| &*field.name);
            match nearest(name, names) {
                Some(close) => format!("{} has no field {name}; did you mean {close}?", register.name),
                None => format!("{} has no field {name}", register.name),
            }
        })?;
        let named = field.values.iter().find(|(_, known)| known.eq_ignore_ascii_case(given));
        let content = match named {
            Some((content, _)) => *content,
            None => number(given)?,
        };
        if content > field.mask() >> field.lsb {
            return Err(format!("{} has {} bits, which {content:#x} doesn't fit", field.name, field.width));
        }
        value = value & !field.mask() | content << field.lsb;
    }
    Ok(value)
}

fn number(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    let parsed = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    parsed.ok().filter(|_| !digits.contains('+')).ok_or_else(|| format!("{text} is no number: 12 or 0x1f"))
}

fn time(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return Err(format!("{text} is no time: 500ns, 20us, 5ms, 1s")),
    };
    let time = number(digits)?.checked_mul(unit).filter(|ns| *ns <= WAIT_MAX_NS);
    time.ok_or_else(|| "an hour is the longest that can be waited".to_owned())
}

#[cfg(test)]
mod tests;
