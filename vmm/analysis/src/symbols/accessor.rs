//! Accessors: functions that others call to reach a device, and whose name says nothing of who wants what there.
//!
//! They are those of Linux: `include/asm-generic/io.h`, `lib/iomap.c`, `arch/x86/lib/iomem.c`, `drivers/pci/access.c`,
//! `arch/x86/pci`, `drivers/base/regmap`; and what copies memory, in the kernel as in a program, and Rust's volatile accesses.

/// Whole names: plain accessors, and copies by string instructions.
const NAMES: &[&str] = &[
    "pci_read",
    "pci_write",
    "readb",
    "readw",
    "readl",
    "readq",
    "writeb",
    "writew",
    "writel",
    "writeq",
    "inb",
    "inw",
    "inl",
    "outb",
    "outw",
    "outl",
    "read_volatile",
    "write_volatile",
    "memcpy",
    "memmove",
    "memset",
    "rep_movs",
    "rep_stos",
    "string_memcpy_fromio",
    "string_memcpy_toio",
    "string_memset_io",
    "unrolled_memcpy_fromio",
    "unrolled_memcpy_toio",
    "unrolled_memset_io",
];

/// How names begin.
const BEGINNINGS: &[&str] = &[
    "ioread",
    "iowrite",
    "__ioread",
    "__iowrite",
    "memcpy_fromio",
    "memcpy_toio",
    "memset_io",
    "__memcpy",
    "__memmove",
    "__memset",
    "readb_",
    "readw_",
    "readl_",
    "readq_",
    "writeb_",
    "writew_",
    "writel_",
    "writeq_",
    "__readb",
    "__readw",
    "__readl",
    "__readq",
    "__raw_read",
    "__raw_write",
    "__writeb",
    "__writew",
    "__writel",
    "__writeq",
    "regmap_",
    "_regmap_",
    "pci_conf1_",
    "pci_conf2_",
    "pci_mmcfg_",
    "raw_pci_",
    "mmio_config_",
    "pci_generic_config_",
    "pcie_capability_",
    "lo_hi_",
    "hi_lo_",
];

/// String accessors: the letters of widths follow.
const STRINGS: &[&str] = &["reads", "writes", "ins", "outs"];

/// Whether a function of this name is an accessor.
pub(crate) fn is_accessor(name: &str) -> bool {
    // `ioread32.part.0`, `memcpy_fromio.constprop.0`
    let name = name.split(['.', '+']).next().unwrap_or_default();
    NAMES.contains(&name)
        || is_string_accessor(name)
        || is_configuration(name)
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

/// Whether what a function of this name accesses may be for a caller of it: an accessor, or another function of the
/// kernel's PCI core.
pub(crate) fn is_called_for_others(name: &str) -> bool {
    is_accessor(name) || name.starts_with("pci_") || name.starts_with("__pci_")
}

/// `readsl`, `outsw`.
fn is_string_accessor(name: &str) -> bool {
    STRINGS
        .iter()
        .any(|string| name.strip_prefix(string).is_some_and(|width| matches!(width, "b" | "w" | "l" | "q")))
}

/// `pci_read_config_dword`, `pci_bus_write_config_byte`, `pci_user_read_config_word`.
fn is_configuration(name: &str) -> bool {
    let rest = name.strip_prefix("__").unwrap_or(name);
    rest.starts_with("pci_")
        && ["_config_byte", "_config_word", "_config_dword"].iter().any(|end| rest.contains(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_call_to_reach_a_device_is_an_accessor() {
        for name in [
            "ioread32",
            "iowrite8_rep",
            "ioread64_lo_hi",
            "__ioread32_copy",
            "__iowrite64_copy",
            "memcpy_fromio",
            "memcpy_toio",
            "memset_io",
            "__memcpy",
            "__memmove_avx_unaligned_erms",
            "memcpy_fromio.part.0",
            "readl",
            "readl_relaxed",
            "readsl",
            "writesb",
            "__raw_writeq",
            "insw",
            "regmap_write",
            "_regmap_bus_reg_read",
            "pci_read_config_dword",
            "pci_bus_write_config_byte",
            "pci_user_read_config_word",
            "raw_pci_read",
            "pci_mmcfg_write",
            "pci_conf1_read",
        ] {
            assert!(is_accessor(name), "{name}");
        }
    }

    #[test]
    fn what_acts_for_itself_is_none() {
        for name in [
            "edu_irq_handler",
            "reads_done",
            "writes_left",
            "readlink",
            "read",
            "write",
            "insert",
            "pci_enable_device",
            "pci_read_config",
            "pci_msi_mask_irq",
            "pci_config_pm_runtime_get",
            "memcpy_of_mine",
            "",
        ] {
            assert!(!is_accessor(name), "{name}");
        }
        assert!(is_called_for_others("pci_enable_device") && !is_called_for_others("edu_probe"));
    }
}
