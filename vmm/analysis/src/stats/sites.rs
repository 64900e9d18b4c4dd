//! Whose code makes an access.

use std::collections::BTreeMap;

use barscope_trace::Definitions;
use barscope_trace::event::{AccessEvent, Id};
use rustc_hash::FxHashMap;

use super::{Accesses, FunctionName, Table};
use crate::code::{Codes, Made};

/// Lines of source code that access devices. An unrolled loop has several instructions for one line, which
/// are one; one without a known line is for itself.
#[derive(Default)]
pub(super) struct Sites {
    /// By the id of the instruction's definition, the site's index plus one; 0 if it isn't known so far.
    of_instruction: Vec<u32>,
    /// The same of an instruction and its callers, by the id of the call stack's definition.
    of_stack: FxHashMap<(Id, Id), u32>,
    list: Vec<Site>,
    known: BTreeMap<String, u32>,
}

/// How Linux's functions for that begin: `pci_mmcfg_read`, `raw_pci_read`, `pci_conf1_read`, `pci_bus_read_config_dword`.
const CONFIGURE: [&str; 4] = ["pci_mmcfg_", "pci_conf", "raw_pci_", "pci_bus_read_config_"];

struct Site {
    function: Option<String>,
    /// Function and line.
    label: Option<String>,
    accesses: Accesses,
}

impl Sites {
    /// The site of an instruction with these callers, if there is a call stack.
    pub(super) fn of(&mut self, definitions: &Definitions, codes: &mut Codes, access: &AccessEvent) -> u32 {
        let (instruction, stack) = (access.instruction, access.stack);
        let known = match stack {
            0 => self.of_instruction.get(instruction as usize).copied(),
            _ => self.of_stack.get(&(instruction, stack)).copied(),
        };
        match known {
            Some(known @ 1..) => known - 1,
            _ => self.find(definitions, codes, (instruction, stack)),
        }
    }

    fn find(&mut self, definitions: &Definitions, codes: &mut Codes, (instruction, stack): (Id, Id)) -> u32 {
        // All that are unknown are one, whatever a damaged record says.
        let id = if definitions.instruction(instruction).is_some() { instruction } else { 0 };
        let stack = if definitions.stack(stack).is_some() { stack } else { 0 };
        let (code, callers) = (codes.code(definitions, id), codes.callers(definitions, stack));
        let made = code.as_deref().map(|code| Made::new(code, callers.as_deref()));
        let function = made.and_then(|made| made.function());
        let label = function.as_ref().and(made).map(|made| made.describe());
        let key = match (made, &label) {
            (Some(made), Some(label)) if made.inlined_into.unwrap_or(made.by).line.is_some() => label.clone(),
            _ => format!("{id} {}", label.as_deref().unwrap_or_default()),
        };
        let next = self.list.len() as u32;
        let site = *self.known.entry(key).or_insert(next);
        if site == next {
            self.list.push(Site { function, label, accesses: Accesses::default() });
        }
        if stack == 0 {
            let at = id as usize;
            if at >= self.of_instruction.len() {
                self.of_instruction.resize(at + 1, 0);
            }
            self.of_instruction[at] = site + 1;
        } else {
            self.of_stack.insert((id, stack), site + 1);
        }
        site
    }

    /// Where accesses of a site are counted.
    pub(super) fn accesses(&mut self, site: u32) -> &mut Accesses {
        &mut self.list[site as usize].accesses
    }

    /// Whether it is of a function by which kernels access configuration space for others: who reads a register there
    /// again and again doesn't wait for it.
    pub(super) fn configures(&self, site: u32) -> bool {
        let function = self.list.get(site as usize).and_then(|site| site.function.as_deref());
        function.is_some_and(|name| CONFIGURE.iter().any(|start| name.starts_with(start)))
    }

    /// Function and line, if they are known.
    pub(super) fn label(&self, site: u32) -> Option<String> {
        self.list.get(site as usize)?.label.clone()
    }

    /// Accesses by function.
    pub(super) fn finish(self) -> Table<FunctionName, Accesses> {
        let mut table = Table::<FunctionName, Accesses>::default();
        for site in self.list {
            let name = site.function.unwrap_or_else(|| "no known function".to_owned());
            table.row(FunctionName { function: name }).merge(&site.accesses);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accessors_of_configuration_space_are_known_by_their_names() {
        let names = ["pci_mmcfg_read", "raw_pci_write", "pci_conf1_read", "pci_bus_read_config_dword"];
        let others = ["myedu_wait", "pci_wait_for_pending", "ioread32"];
        let site = |name: &&str| Site {
            function: Some((*name).to_owned()),
            label: None,
            accesses: Accesses::default(),
        };
        let sites = Sites { list: names.iter().chain(&others).map(site).collect(), ..Sites::default() };
        let known: Vec<_> = (0..8).map(|site| sites.configures(site)).collect();
        assert_eq!(known, [true, true, true, true, false, false, false, false]);
    }
}
