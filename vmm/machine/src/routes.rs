//! Which addresses lead into which function's regions.
//!
//! What functions claim is kept apart from what is mapped: a claim that overlaps another one, memory, or
//! anything else that is fixed, stays unmapped and is tried again when something goes away. vCPUs look addresses up in an immutable
//! snapshot, that is swapped whole.

use std::sync::Arc;

use arc_swap::ArcSwap;
use barscope_device::{Decode, Region, Space};
use barscope_trace::event::{Id, RouteChange};
use vm_device::bus::{MmioAddress, MmioBus, MmioRange, PioAddress, PioBus, PioRange};

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The route's definition in the trace.
    pub id: Id,
    /// Index of the function at the dispatcher.
    pub function: usize,
    /// Region of the function.
    pub region: Region,
    /// Address of the region's first byte.
    pub base: u64,
}

/// What an access's address and size lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// All of it lies in a route.
    Route(Destination),
    /// It begins in a route and ends outside.
    CrossesBoundary(Destination),
    /// It begins nowhere.
    Nothing,
}

/// A snapshot of what is mapped.
#[derive(Default)]
pub struct Mapped {
    memory: MmioBus<Destination>,
    ports: PioBus<Destination>,
    /// First and last port of each claim, mapped or not.
    claimed_ports: Vec<(u64, u64)>,
}

impl Mapped {
    /// Where `size` bytes at guest physical `address` lead.
    pub fn memory(&self, address: u64, size: u8) -> Found {
        let address = MmioAddress(address);
        match self.memory.check_access(address, size.into()) {
            Ok((_, destination)) => Found::Route(*destination),
            Err(_) => match self.memory.device(address) {
                Some((_, destination)) => Found::CrossesBoundary(*destination),
                None => Found::Nothing,
            },
        }
    }

    /// Where `size` bytes at I/O `port` lead.
    pub fn port(&self, port: u16, size: u8) -> Found {
        let port = PioAddress(port);
        match self.ports.check_access(port, size.into()) {
            Ok((_, destination)) => Found::Route(*destination),
            Err(_) => match self.ports.device(port) {
                Some((_, destination)) => Found::CrossesBoundary(*destination),
                None => Found::Nothing,
            },
        }
    }

    /// Whether any of `size` bytes at I/O `port` is claimed, be it in vain.
    pub fn claims_port(&self, port: u16, size: u8) -> bool {
        let (first, last) = (u64::from(port), u64::from(port) + u64::from(size.max(1)) - 1);
        self.claimed_ports.iter().any(|(start, end)| *start <= last && first <= *end)
    }

    /// Takes the claim in, unless it overlaps.
    fn map(&mut self, claim: &Claim) -> bool {
        let destination = claim.destination;
        match claim.decode.space {
            Space::Memory => MmioRange::new(MmioAddress(claim.decode.base), claim.decode.size)
                .is_ok_and(|range| self.memory.register(range, destination).is_ok()),
            Space::Io => {
                let (Ok(base), Ok(size)) =
                    (u16::try_from(claim.decode.base), u16::try_from(claim.decode.size))
                else {
                    return false;
                };
                PioRange::new(PioAddress(base), size)
                    .is_ok_and(|range| self.ports.register(range, destination).is_ok())
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    destination: Destination,
    decode: Decode,
    mapped: bool,
}

impl Claim {
    fn last(&self) -> u64 {
        self.decode.base.saturating_add(self.decode.size - 1)
    }
}

/// Addresses where something is that isn't a function's: guest memory, a controller, a fixed port.
#[derive(Clone, Copy, Debug)]
pub struct Reserved {
    /// Memory or I/O.
    pub space: Space,
    /// The first address.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

impl Reserved {
    fn overlaps(&self, claim: &Claim) -> bool {
        self.space == claim.decode.space && self.first <= claim.last() && claim.decode.base <= self.last
    }
}

/// What functions claim, and the snapshot of what is mapped. The dispatcher changes it under a lock.
pub struct Routes {
    claims: Vec<Claim>,
    reserved: Vec<Reserved>,
    snapshot: Arc<ArcSwap<Mapped>>,
}

impl Routes {
    /// No routes yet; nothing may overlap what is `reserved`.
    pub fn new(reserved: Vec<Reserved>) -> Self {
        Self { claims: Vec::new(), reserved, snapshot: Arc::default() }
    }

    /// Where vCPUs look addresses up.
    pub fn snapshot(&self) -> Arc<ArcSwap<Mapped>> {
        Arc::clone(&self.snapshot)
    }

    /// A function claims addresses for a region. What became of that claim and of others.
    pub fn claim(&mut self, destination: Destination, decode: Decode) -> Vec<(Id, RouteChange)> {
        self.claims.push(Claim { destination, decode, mapped: false });
        let mut changes = self.remap();
        if !changes.iter().any(|(id, _)| *id == destination.id) {
            changes.push((destination.id, RouteChange::Refused));
        }
        changes
    }

    /// A function no longer claims addresses for a region. What became of that claim and of others.
    pub fn release(&mut self, function: usize, region: Region) -> Vec<(Id, RouteChange)> {
        let is_it =
            |claim: &Claim| claim.destination.function == function && claim.destination.region == region;
        let removed = self.claims.iter().filter(|claim| is_it(claim) && claim.mapped);
        let mut changes: Vec<_> = removed.map(|claim| (claim.destination.id, RouteChange::Removed)).collect();
        self.claims.retain(|claim| !is_it(claim));
        changes.extend(self.remap());
        changes
    }

    /// Where a region of a function is mapped now.
    pub fn mapped(&self, function: usize, region: Region) -> Option<(Destination, Decode)> {
        let is_it =
            |claim: &&Claim| claim.destination.function == function && claim.destination.region == region;
        self.claims
            .iter()
            .find(is_it)
            .filter(|claim| claim.mapped)
            .map(|claim| (claim.destination, claim.decode))
    }

    /// Builds the snapshot anew: what was mapped stays, what was refused is tried again. The claims that
    /// became mapped.
    fn remap(&mut self) -> Vec<(Id, RouteChange)> {
        let mut mapped = Mapped::default();
        for claim in self.claims.iter().filter(|claim| claim.mapped) {
            mapped.map(claim);
        }
        let ports = self.claims.iter().filter(|claim| claim.decode.space == Space::Io);
        mapped.claimed_ports = ports.map(|claim| (claim.decode.base, claim.last())).collect();
        let mut added = Vec::new();
        for claim in self.claims.iter_mut().filter(|claim| !claim.mapped) {
            let free = !self.reserved.iter().any(|reserved| reserved.overlaps(claim));
            if free && mapped.map(claim) {
                claim.mapped = true;
                added.push((claim.destination.id, RouteChange::Added));
            }
        }
        self.snapshot.store(Arc::new(mapped));
        added
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(base: u64, size: u64) -> Decode {
        Decode { space: Space::Memory, base, size }
    }

    fn ports(base: u64, size: u64) -> Decode {
        Decode { space: Space::Io, base, size }
    }

    fn reserved(space: Space, first: u64, last: u64) -> Reserved {
        Reserved { space, first, last }
    }

    fn bar(id: Id, base: u64) -> Destination {
        Destination { id, function: id as usize, region: Region::BAR0, base }
    }

    fn claim(routes: &mut Routes, id: Id, base: u64) -> Vec<(Id, RouteChange)> {
        routes.claim(bar(id, base), memory(base, 0x1000))
    }

    #[test]
    fn an_access_that_crosses_the_end_of_a_bar_is_told_from_one_beside_it() {
        let mut routes = Routes::new(vec![]);
        claim(&mut routes, 1, 0xfe00_0000);
        let mapped = routes.snapshot().load_full();
        assert_eq!(mapped.memory(0xfe00_0ffc, 4), Found::Route(bar(1, 0xfe00_0000)));
        assert_eq!(mapped.memory(0xfe00_0ffd, 4), Found::CrossesBoundary(bar(1, 0xfe00_0000)));
        assert_eq!(mapped.memory(0xfe00_1000, 4), Found::Nothing);
    }

    #[test]
    fn an_overlapping_bar_stays_unmapped_until_the_other_one_moves() {
        let mut routes = Routes::new(vec![]);
        assert_eq!(claim(&mut routes, 1, 0xfe00_0000), [(1, RouteChange::Added)]);
        assert_eq!(claim(&mut routes, 2, 0xfe00_0000), [(2, RouteChange::Refused)]);
        assert_eq!(routes.release(1, Region::BAR0), [(1, RouteChange::Removed), (2, RouteChange::Added)]);
        let mapped = routes.snapshot().load_full();
        assert_eq!(mapped.memory(0xfe00_0000, 4), Found::Route(bar(2, 0xfe00_0000)));
    }

    #[test]
    fn a_bar_over_guest_memory_stays_unmapped() {
        let mut routes = Routes::new(vec![reserved(Space::Memory, 0, 0x1ff_ffff)]);
        assert_eq!(claim(&mut routes, 1, 0x1ff_f000), [(1, RouteChange::Refused)]);
        assert_eq!(claim(&mut routes, 2, 0x200_0000), [(2, RouteChange::Added)]);
    }

    #[test]
    fn a_bar_that_ends_at_the_top_of_the_address_space_does_not_wrap() {
        let mut routes = Routes::new(vec![]);
        assert_eq!(
            routes.claim(bar(1, 0xffff_ffff_ffff_f000), memory(0xffff_ffff_ffff_f000, 0x2000)),
            [(1, RouteChange::Refused)]
        );
    }

    #[test]
    fn ports_are_mapped_wherever_nothing_fixed_is() {
        let mut routes = Routes::new(vec![reserved(Space::Io, 0x3f8, 0x3ff)]);
        for (id, base) in [(1, 0x3e0), (2, 0x3f8), (3, 0x3fc)] {
            assert_eq!(routes.claim(bar(id, base), ports(base, 0x20)), [(id, RouteChange::Refused)]);
        }
        for (id, base) in [(4, 0x3d8), (5, 0x400), (6, 0xffe0), (7, 0)] {
            assert_eq!(routes.claim(bar(id, base), ports(base, 0x20)), [(id, RouteChange::Added)]);
        }
        let mapped = routes.snapshot().load_full();
        assert_eq!(mapped.port(0x3f7, 1), Found::Route(bar(4, 0x3d8)));
        assert_eq!(mapped.port(0x3f6, 4), Found::CrossesBoundary(bar(4, 0x3d8)));
        assert_eq!(mapped.port(0x3f8, 1), Found::Nothing);
        assert_eq!(mapped.port(0xffff, 1), Found::Route(bar(6, 0xffe0)));
    }

    #[test]
    fn memory_does_not_take_ports() {
        let mut routes = Routes::new(vec![reserved(Space::Memory, 0, 0x1ff_ffff)]);
        assert_eq!(routes.claim(bar(1, 0x1000), ports(0x1000, 0x20)), [(1, RouteChange::Added)]);
    }

    #[test]
    fn ports_that_are_claimed_in_vain_are_known_until_the_claim_goes() {
        let mut routes = Routes::new(vec![reserved(Space::Io, 0x3f8, 0x3ff)]);
        routes.claim(bar(1, 0x3e0), ports(0x3e0, 0x20));
        let claims = |routes: &Routes, port, size| routes.snapshot().load().claims_port(port, size);
        assert!(claims(&routes, 0x3e0, 1) && claims(&routes, 0x3f7, 4));
        assert!(claims(&routes, 0x3dd, 4) && !claims(&routes, 0x3dc, 4));
        assert!(!claims(&routes, 0x400, 1));
        routes.release(1, Region::BAR0);
        assert!(!claims(&routes, 0x3e0, 1));
    }

    /// What a function does with a region: claim addresses, after letting go of those before, or let go.
    #[derive(Clone, Debug)]
    struct Step {
        function: usize,
        /// Memory or ports; page and number of pages, so few that claims often overlap.
        claim: Option<(Space, u64, u64)>,
    }

    fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
        use proptest::prelude::*;
        let space = prop_oneof![2 => Just(Space::Memory), 1 => Just(Space::Io)];
        let claim = proptest::option::of((space, 0_u64..24, 1_u64..8));
        let step = (0_usize..6, claim).prop_map(|(function, claim)| Step { function, claim });
        proptest::collection::vec(step, 1..60)
    }

    proptest::proptest! {
        /// Whatever functions claim: what is mapped never overlaps, neither each other nor what is fixed, and
        /// every address or port in it leads to its own function. Ports are 16 pages.
        #[test]
        fn mapped_regions_never_overlap(steps in steps()) {
            let fixed = [reserved(Space::Memory, 0, 0x3fff), reserved(Space::Io, 0x6000, 0x6fff)];
            let mut routes = Routes::new(fixed.to_vec());
            for (id, Step { function, claim }) in (1..).zip(steps) {
                routes.release(function, Region::BAR0);
                if let Some((space, page, pages)) = claim {
                    let base = page << 12;
                    let destination = Destination { id, function, region: Region::BAR0, base };
                    routes.claim(destination, Decode { space, base, size: pages << 12 });
                }
                let mapped: Vec<_> = routes.claims.iter().filter(|claim| claim.mapped).collect();
                let snapshot = routes.snapshot().load_full();
                for (page, space) in (0..40).flat_map(|page| [(page, Space::Memory), (page, Space::Io)]) {
                    let address = page << 12;
                    let inside = |claim: &&&Claim| {
                        let range = claim.decode.base..claim.decode.base + claim.decode.size;
                        claim.decode.space == space && range.contains(&address)
                    };
                    let owners: Vec<_> = mapped.iter().filter(inside).collect();
                    proptest::prop_assert!(owners.len() <= 1, "{owners:?} at {address:#x}");
                    let taken = match space {
                        Space::Memory => address < 0x4000,
                        Space::Io => address == 0x6000,
                    };
                    proptest::prop_assert!(owners.is_empty() || !taken);
                    let expected =
                        owners.first().map_or(Found::Nothing, |claim| Found::Route(claim.destination));
                    let found = match space {
                        Space::Memory => snapshot.memory(address, 4),
                        Space::Io => u16::try_from(address).map_or(Found::Nothing, |port| snapshot.port(port, 4)),
                    };
                    proptest::prop_assert_eq!(found, expected);
                }
            }
        }
    }
}
