//! Executables that run in the guest: where their functions start.

use object::{Object, ObjectSymbol, SymbolKind};

use crate::vcpu::FunctionStarts;

struct Image {
    /// A CR3, or `None` for the kernel's part, that all address spaces share.
    address_space: Option<u64>,
    /// Start and end of each function, in ascending order.
    functions: Vec<(u64, u64)>,
}

/// All images known so far.
#[derive(Default)]
pub struct Images(Vec<Image>);

impl Images {
    /// Takes in the functions of an ELF file; `false` if it is none.
    pub fn add(&mut self, address_space: Option<u64>, elf: &[u8]) -> bool {
        let Ok(file) = object::File::parse(elf) else { return false };
        let mut functions: Vec<_> = file
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
            .map(|symbol| (symbol.address(), symbol.address().saturating_add(symbol.size())))
            .collect();
        functions.sort_unstable();
        self.0.retain(|image| address_space.is_none() || image.address_space != address_space);
        self.0.push(Image { address_space, functions });
        true
    }
}

impl FunctionStarts for Images {
    fn function_start(&self, cr3: u64, rip: u64) -> Option<u64> {
        let visible = |image: &&Image| image.address_space.is_none_or(|space| space == cr3);
        self.0.iter().filter(visible).find_map(|image| {
            let after = image.functions.partition_point(|(start, _)| *start <= rip);
            let (start, end) = *image.functions[..after].last()?;
            (rip < end).then_some(start)
        })
    }
}
