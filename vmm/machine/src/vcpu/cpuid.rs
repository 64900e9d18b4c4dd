//! What CPUID says to the guest: what the host supports, with a topology of its own. All vCPUs are cores
//! of one package, without hyper-threads, and an APIC's id is the vCPU's number.
//!
//! Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E; Linux's `virt/kvm/x86/cpuid.rst`.

use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES, kvm_cpuid_entry2};
use kvm_ioctls::{Cap, Kvm};

use super::feature::Feature;
use crate::host::HostError;

/// Leaf 1, ECX.
const TSC_DEADLINE: u32 = 1 << 24;
const HYPERVISOR: u32 = 1 << 31;
/// Leaf 1, EDX: the number of logical processors is valid.
const HTT: u32 = 1 << 28;
/// Leaf 0x80000001, ECX: the package has more than one core.
const LEGACY_CORES: u32 = 1 << 1;

/// Kinds of levels in leaves 0xb and 0x1f, as ECX holds them.
const THREADS: u32 = 1 << 8;
const CORES: u32 = 2 << 8;

/// Which processor a vCPU is.
#[derive(Clone, Copy, Debug)]
pub struct Processor<'a> {
    /// Its number.
    pub index: u8,
    /// How many there are.
    pub cpus: u8,
    /// Features that it is kept from.
    pub without: &'a [Feature],
}

/// What a processor is told.
///
/// # Errors
/// [`HostError::Ioctl`] if KVM refuses to say what it supports.
pub fn for_vcpu(kvm: &Kvm, processor: Processor<'_>) -> Result<CpuId, HostError> {
    let supported = supported(kvm)?;
    let deadline = kvm.check_extension(Cap::TscDeadlineTimer);
    let Processor { index, cpus, without } = processor;
    let mut entries = adapt(supported.as_slice(), index.into(), cpus.into(), deadline);
    for entry in &mut entries {
        without.iter().for_each(|feature| feature.hide(entry));
    }
    let too_many = || HostError::ioctl("KVM_GET_SUPPORTED_CPUID", kvm_ioctls::Error::new(libc::E2BIG));
    CpuId::from_entries(&entries).map_err(|_| too_many())
}

/// How many bits a physical address has (leaf 0x80000008, EAX); 36 if CPUID doesn't say.
pub fn address_bits(cpuid: &CpuId) -> u32 {
    let leaf = cpuid.as_slice().iter().find(|entry| entry.function == 0x8000_0008);
    leaf.map_or(36, |leaf| leaf.eax & 0xff)
}

/// How many bits of a physical address this KVM can map for a guest: as many as an address has, unless its page
/// tables reach less far, which it says in the same leaf (`virt/kvm/x86/cpuid.rst`; AMD's GuestPhysAddrSize).
///
/// # Errors
/// [`HostError::Ioctl`] if KVM refuses to say what it supports.
pub fn reachable_bits(kvm: &Kvm) -> Result<u32, HostError> {
    Ok(reachable(&supported(kvm)?))
}

fn reachable(cpuid: &CpuId) -> u32 {
    let leaf = cpuid.as_slice().iter().find(|entry| entry.function == 0x8000_0008);
    let mapped = leaf.map_or(0, |leaf| leaf.eax >> 16 & 0xff);
    if mapped == 0 { address_bits(cpuid) } else { mapped.min(address_bits(cpuid)) }
}

fn supported(kvm: &Kvm) -> Result<CpuId, HostError> {
    kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
        .map_err(|source| HostError::ioctl("KVM_GET_SUPPORTED_CPUID", source))
}

fn adapt(supported: &[kvm_cpuid_entry2], index: u32, cpus: u32, deadline: bool) -> Vec<kvm_cpuid_entry2> {
    // Bits of an APIC id that number the cores.
    let bits = cpus.next_power_of_two().trailing_zeros();
    let mut entries = Vec::with_capacity(supported.len() + 2);
    for entry in supported {
        let mut entry = *entry;
        match entry.function {
            1 => {
                entry.ebx = (entry.ebx & 0xffff) | (1 << bits) << 16 | index << 24;
                entry.ecx |= HYPERVISOR;
                if deadline {
                    // KVM emulates it on every host, and doesn't list it for historical reasons.
                    entry.ecx |= TSC_DEADLINE;
                }
                entry.edx = with(entry.edx, HTT, cpus > 1);
            }
            // Caches: the first level belongs to a core, the last to the package.
            4 | 0x8000_001d if entry.eax & 0x1f != 0 => {
                let sharing = if (entry.eax >> 5) & 7 >= 3 { (1 << bits) - 1 } else { 0 };
                entry.eax = (entry.eax & 0x3fff) | sharing << 14;
                if entry.function == 4 {
                    entry.eax |= ((1 << bits) - 1) << 26;
                }
            }
            0xb | 0x1f if entry.index > 1 => continue,
            0xb | 0x1f if entry.index == 0 => {
                entry = kvm_cpuid_entry2 { eax: 0, ebx: 1, ecx: THREADS, edx: index, ..entry };
                entries.push(entry);
                // The second level might not be among those that the host has.
                entry = kvm_cpuid_entry2 { index: 1, eax: bits, ebx: cpus, ecx: CORES | 1, ..entry };
            }
            0xb | 0x1f => continue,
            0x8000_0001 => entry.ecx = with(entry.ecx, LEGACY_CORES, cpus > 1),
            0x8000_0008 => entry.ecx = (entry.ecx & 0xffff_0000) | bits << 12 | (cpus - 1),
            0x8000_001e => {
                entry.eax = index;
                entry.ebx = index;
                entry.ecx = 0;
            }
            _ => {}
        }
        entries.push(entry);
    }
    entries
}

fn with(word: u32, bit: u32, set: bool) -> u32 {
    if set { word | bit } else { word & !bit }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(function: u32, index: u32) -> kvm_cpuid_entry2 {
        kvm_cpuid_entry2 { function, index, ..Default::default() }
    }

    #[test]
    fn every_leaf_with_an_apic_id_has_this_vcpus() {
        let supported = [leaf(1, 0), leaf(0xb, 0), leaf(0xb, 1), leaf(0x8000_001e, 0)];

        let entries = adapt(&supported, 2, 3, true);

        assert_eq!(entries[0].ebx, 0x0204_0000);
        assert_eq!((entries[0].ecx, entries[0].edx), (0x8100_0000, 0x1000_0000));
        let level = |at: usize| (entries[at].index, entries[at].eax, entries[at].ebx, entries[at].ecx);
        assert_eq!([level(1), level(2)], [(0, 0, 1, 0x100), (1, 2, 3, 0x201)]);
        assert_eq!([entries[1].edx, entries[2].edx, entries[3].eax], [2, 2, 2]);
        assert_eq!(entries.len(), 4);
    }

    #[test]
    fn a_single_vcpu_is_a_package_of_one_core() {
        let mut cores = leaf(0x8000_0008, 0);
        cores.ecx = 0x7007;
        let mut features = leaf(1, 0);
        features.edx = HTT;

        let entries = adapt(&[features, cores], 0, 1, false);

        assert_eq!((entries[0].ebx, entries[0].ecx, entries[0].edx), (0x0001_0000, 0x8000_0000, 0));
        assert_eq!(entries[1].ecx, 0);
    }

    #[test]
    fn a_physical_address_has_36_bits_unless_it_is_said() {
        let mut addresses = leaf(0x8000_0008, 0);
        addresses.eax = 0x3034;
        let bits = |entries: &[_]| address_bits(&CpuId::from_entries(entries).unwrap());
        assert_eq!((bits(&[addresses]), bits(&[])), (52, 36));
    }

    #[test]
    fn a_kvm_that_maps_fewer_bits_than_an_address_has_reaches_as_far_as_it_maps() {
        let reached = |eax| {
            let leaf = kvm_cpuid_entry2 { eax, ..leaf(0x8000_0008, 0) };
            reachable(&CpuId::from_entries(&[leaf]).unwrap())
        };
        assert_eq!([reached(0x3034), reached(0x0030_3934), reached(0x0034_3027)], [52, 48, 39]);
    }

    #[test]
    fn only_the_last_level_of_cache_is_shared() {
        let level = |level: u32| kvm_cpuid_entry2 { eax: 1 | level << 5, ..leaf(4, level - 1) };

        let entries = adapt(&[level(1), level(3)], 0, 4, false);

        assert_eq!([(entries[0].eax >> 14) & 0xfff, (entries[1].eax >> 14) & 0xfff], [0, 3]);
        assert_eq!(entries[0].eax >> 26, 3);
    }
}
