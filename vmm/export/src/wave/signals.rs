//! Which signals a trace has, by its definitions.
//!
//! | scope | signals |
//! |---|---|
//! | `trace` | `lost`: records that are missing so far |
//! | `vcpuN` | `handler`: the vector of the interrupt handler that runs, 0 for none |
//! | a function, by its name | `reads`, `writes`: accesses so far; `busy`; `intx`: its pin is asserted; `msi`: messages so far; `msi_vector`: that of the last one |
//! | in it, a region | its registers; the fields of one in a scope of its name |

use std::borrow::Cow;

use barscope_device::{Region, Register, RegisterMap, header_registers};
use barscope_trace::definition::Function;
use barscope_trace::{Definitions, Id};
use rustc_hash::FxHashMap;

use super::names::Names;

/// The widest register that is a signal, in bytes.
const WIDEST: u64 = 8;

/// A part of the hierarchy, in its order.
pub(super) enum Node {
    /// A scope begins.
    Scope(String),
    /// The innermost scope ends.
    Up,
    /// A signal: name and width in bits. The n-th of them, from 0, is signal n.
    Signal(String, u32),
}

/// A field's signal.
pub(super) struct FieldSignal {
    pub(super) signal: usize,
    pub(super) lsb: u8,
    pub(super) width: u8,
}

/// A register's signals.
pub(super) struct RegisterSignals {
    pub(super) offset: u64,
    /// Size in bytes, at most 8.
    pub(super) size: u64,
    pub(super) signal: usize,
    pub(super) fields: Vec<FieldSignal>,
}

/// A function's signals besides its registers.
pub(super) struct FunctionSignals {
    pub(super) reads: usize,
    pub(super) writes: usize,
    pub(super) busy: usize,
    pub(super) intx: usize,
    pub(super) msi: usize,
    pub(super) msi_vector: usize,
}

/// All signals.
pub(super) struct Signals {
    pub(super) nodes: Vec<Node>,
    pub(super) lost: usize,
    pub(super) vcpus: Vec<usize>,
    pub(super) functions: FxHashMap<Id, FunctionSignals>,
    /// Registers of a region of a function, by offset.
    pub(super) regions: FxHashMap<(Id, Region), Vec<RegisterSignals>>,
    pub(super) count: usize,
}

impl Signals {
    pub(super) fn of(definitions: &Definitions) -> Self {
        let mut signals = Self {
            nodes: Vec::new(),
            lost: 0,
            vcpus: Vec::new(),
            functions: FxHashMap::default(),
            regions: FxHashMap::default(),
            count: 0,
        };
        let mut top = Names::default();
        signals.scope(top.take("trace"));
        signals.lost = signals.signal("lost".to_owned(), 64);
        signals.nodes.push(Node::Up);
        for vcpu in 0..definitions.machine().map_or(0, |machine| machine.vcpus) {
            signals.scope(top.take(&format!("vcpu{vcpu}")));
            let handler = signals.signal("handler".to_owned(), 8);
            signals.vcpus.push(handler);
            signals.nodes.push(Node::Up);
        }
        for (id, function) in definitions.functions() {
            let alike = definitions.functions().filter(|(_, other)| other.name == function.name).count() > 1;
            let address = if alike { format!("_{}", function.bdf) } else { String::new() };
            signals.scope(top.take(&format!("{}{address}", function.name)));
            signals.function(id, function);
            signals.nodes.push(Node::Up);
        }
        signals
    }

    fn scope(&mut self, name: String) {
        self.nodes.push(Node::Scope(name));
    }

    fn signal(&mut self, name: String, width: u32) -> usize {
        self.nodes.push(Node::Signal(name, width));
        self.count += 1;
        self.count - 1
    }

    fn function(&mut self, id: Id, function: &Function) {
        let mut names = Names::default();
        let mut add = |name: &str, width| self.signal(names.take(name), width);
        let own = FunctionSignals {
            reads: add("reads", 64),
            writes: add("writes", 64),
            busy: add("busy", 1),
            intx: add("intx", 1),
            msi: add("msi", 64),
            msi_vector: add("msi_vector", 16),
        };
        self.functions.insert(id, own);
        let config = RegisterMap { region: Region::Config, registers: Cow::Borrowed(header_registers()) };
        let has_config = function.register_maps.iter().any(|map| map.region == Region::Config);
        let maps = function.register_maps.iter().chain((!has_config).then_some(&config));
        let mut scopes = Names::default();
        for map in maps {
            self.scope(scopes.take(&map.region.to_string()));
            let mut names = Names::default();
            let mut registers: Vec<_> = map
                .registers
                .iter()
                .filter(|register| !register.memory && (1..=WIDEST).contains(&register.size))
                .map(|register| self.register(register, &mut names))
                .collect();
            registers.sort_by_key(|register| register.offset);
            self.nodes.push(Node::Up);
            self.regions.entry((id, map.region)).or_insert(registers);
        }
    }

    fn register(&mut self, register: &Register, names: &mut Names) -> RegisterSignals {
        let name = names.take(&register.name);
        let bits = 8 * register.size;
        let signal = self.signal(name.clone(), bits as u32);
        let mut fields = Vec::new();
        let whole = |field: &&barscope_device::Field| u64::from(field.width) == bits;
        let parts: Vec<_> = register.fields.iter().filter(|field| !whole(field)).collect();
        if !parts.is_empty() {
            self.scope(name);
            let mut names = Names::default();
            for field in parts {
                let signal = self.signal(names.take(&field.name), field.width.into());
                fields.push(FieldSignal { signal, lsb: field.lsb, width: field.width });
            }
            self.nodes.push(Node::Up);
        }
        RegisterSignals { offset: register.offset, size: register.size, signal, fields }
    }
}
