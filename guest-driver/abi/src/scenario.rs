//! What the test kernel can play, in the order in which it does.

/// A scenario's name, as in `--scenario NAME`, and the question that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Lower case, words joined by `-`.
    pub name: &'static str,
    /// One line.
    pub question: &'static str,
    /// Without it the scenario is not played, unless it is asked for by name: then it fails.
    pub needs: Needs,
}

/// What a scenario needs: most the `lab` device, some more besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// No device at all.
    Nothing,
    /// A `lab`, as there is unless devices are chosen.
    Lab,
    /// A `lab`, and a second vCPU.
    SecondCpu,
    /// A `ticker` on the interrupt line of the `lab`, as there is unless devices are chosen.
    Ticker,
    /// A `lab` that interrupts by MSI, as it does unless it was told `msi-vectors=0`.
    Message,
    /// A `lab` with an MSI vector for each of its causes, and a mask bit for each.
    MessageVectors,
    /// A `lab` with MSI-X, and the BAR that holds its table.
    MessageTable,
}

impl Needs {
    /// The option of `barscope run` that gives it; `None` if it is there without.
    pub const fn option(self) -> Option<&'static str> {
        match self {
            Needs::SecondCpu => Some("--cpus 2"),
            _ => None,
        }
    }

    /// Why a scenario is not played where this is not there.
    pub const fn missing(self) -> &'static str {
        match self {
            Needs::Nothing => "nothing is missing",
            Needs::Lab => "there is no lab",
            Needs::SecondCpu => "there is no second CPU",
            Needs::Ticker => "there is no ticker on the lab's interrupt line",
            Needs::Message => "the lab has no MSI",
            Needs::MessageVectors => "the lab has no 8 MSI vectors with mask bits",
            Needs::MessageTable => "the lab has no MSI-X",
        }
    }
}

const fn scenario(name: &'static str, question: &'static str) -> Scenario {
    Scenario { name, question, needs: Needs::Lab }
}

impl Scenario {
    pub(crate) const fn that_needs(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }
}

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    scenario("probe", "can the driver read the device's ID through ioremap?"),
    scenario("same-register", "do both mappings reach the same register?"),
    scenario("mmap-up-front", "does a mapping filled by mmap itself need no fault?"),
    scenario("mmap-by-fault", "does the first touch cost one fault, and later ones none?"),
    scenario("no-kernel-entry", "do a thousand user accesses enter the kernel?"),
    scenario("mmap-without-ioremap", "does mmap work where ioremap was never called?"),
    scenario("ioremap-without-mmap", "does ioremap work where mmap was never called?"),
    scenario("iounmap-keeps-mmap", "does a user mapping survive iounmap?"),
    scenario("munmap-keeps-ioremap", "does the kernel's mapping survive munmap?"),
    scenario("touch-after-munmap", "does a touch after munmap fault?"),
    scenario("map-offset", "what does the offset that a program gives mmap choose?"),
    scenario("map-past-end", "does the driver refuse to map past the BAR's end?"),
    scenario("supervisor-page-from-user", "can a program use the kernel's own mapping?"),
    scenario("decode-off", "what does a BAR read give with Memory Space off?"),
    scenario("interrupt", "who acknowledges the interrupt that a computation ends with?")
        .that_needs(Needs::Message),
    scenario("access-sizes", "does an access of 1, 2, 4 or 8 bytes arrive as one?"),
    scenario("instruction-forms", "which instructions other than mov access a device, and how?"),
    scenario("unaligned", "is an access at an odd address split?"),
    scenario("page-crossing", "what becomes of an access across the end of a page?"),
    scenario("string-moves", "how often does a repeated string instruction access the device?"),
    scenario("read-modify-write", "is an increment of a register one access or two?"),
    scenario("sixteen-bytes", "what becomes of an access wider than the bus?"),
    scenario("half-in-memory", "what of an access that begins in memory and ends in a device?"),
    scenario("half-unmapped", "does an access whose second page is unmapped reach the device?"),
    scenario("not-emulated", "what becomes of an instruction that KVM can't emulate on a device?"),
    scenario("direct-memory", "what does a trace say of device memory that is mapped directly for a while?"),
    scenario("write-combining", "does the page walk show ioremap_wc and a write-combining mmap?"),
    scenario("cached-mapping", "does the page walk show that device memory is mapped cached?"),
    scenario("bar-moved", "what does a mapping reach after its BAR moved?"),
    scenario("map-past-end-unchecked", "what does a driver give away that does not check mmap's length?")
        .that_needs(Needs::MessageTable),
    scenario("forgotten-acknowledgement", "does an unacknowledged interrupt come again?")
        .that_needs(Needs::Message),
    scenario("dma-both-ways", "does DMA arrive in both directions, and say so by an interrupt?")
        .that_needs(Needs::Message),
    scenario("dma-errors", "what does the device say of transfers that can't be?"),
    scenario("dma-without-bus-mastering", "what becomes of DMA that the driver forgot to allow?"),
    scenario("fifo", "does the queue notice a push and a pop too many?"),
    scenario("counters", "do both halves of a counter belong together, and does a read clear another?"),
    scenario("refused-accesses", "what do accesses come to that no register takes?"),
    scenario("io-bar", "do ports reach the same register as memory?"),
    scenario("rom", "is the expansion ROM there while it is enabled, and only then?"),
    scenario("bar-overlap", "what becomes of two BARs at one address?").that_needs(Needs::MessageTable),
    scenario("bar-moved-by-halves", "where is a 64-bit BAR between the writes of its halves?"),
    scenario("msi-vectors", "does each cause have its message, and a masked one wait?")
        .that_needs(Needs::MessageVectors),
    scenario("msi-x", "does a masked entry of the table wait, pending, until its mask goes?")
        .that_needs(Needs::MessageTable),
    scenario("d3hot", "what answers while the device sleeps, and what is left when it wakes?"),
    scenario("function-level-reset", "what does a driver have to restore after a reset?"),
    scenario("shared-line", "whose interrupt is it when two functions share a line?")
        .that_needs(Needs::Ticker),
    scenario("sub-page-bar", "what else does a program get with a BAR that is smaller than a page?")
        .that_needs(Needs::Ticker),
    scenario("every-bar", "do all BARs on the bus answer, wherever they are and however large?")
        .that_needs(Needs::Nothing),
    scenario("two-vcpus", "is each vCPU's order kept, and nothing lost, when two use a device at once?")
        .that_needs(Needs::SecondCpu),
];

/// The prefix of the kernel's command line argument that selects scenarios: `scenario=NAME,NAME`.
pub const ARGUMENT: &str = "scenario=";
