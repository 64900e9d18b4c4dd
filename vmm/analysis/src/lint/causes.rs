//! Interrupt causes: the register that holds them, which of them are pending, and which may interrupt.
//!
//! A function's *cause register* and its *mask* are told by its register map, see [`CauseRegister::of`]. Whether a one in
//! the mask lets a cause through or holds it back is told by the causes that are set right before an interrupt: so is which
//! causes interrupt where no mask is.

use std::sync::Arc;

use barscope_device::{Access, Bdf, Region, Register};
use barscope_trace::definition::Function;
use barscope_trace::event::{EventKind, Outcome};
use rustc_hash::FxHashMap;

use super::touch::Touch;
use crate::view::{Place, View};

/// So many functions are followed.
const MOST: usize = 256;
/// Words of the names of registers that hold causes, and of their masks'.
const CAUSE_WORDS: [&str; 6] = ["STATUS", "STAT", "STS", "CAUSE", "CAUSES", "PENDING"];
const MASK_WORDS: [&str; 5] = ["MASK", "ENABLE", "ENABLES", "EN", "MSK"];

/// Where a function has its causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CauseRegister {
    pub(super) region: Region,
    pub(super) offset: u64,
    size: u64,
    pub(super) access: Access,
    /// The bits that have names.
    bits: u64,
    /// The offset of the mask.
    mask: Option<u64>,
}

/// Causes of all functions, followed record by record.
#[derive(Default)]
pub(super) struct Causes {
    /// `None` of those that have no cause register.
    known: FxHashMap<Bdf, Option<Known>>,
    /// Records are missing: what nobody told may be otherwise than after a reset.
    lost: bool,
}

struct Known {
    function: Arc<Function>,
    register: CauseRegister,
    pending: Option<u64>,
    mask: Option<u64>,
    polarity: Polarity,
    /// Causes that were seen to interrupt.
    raising: u64,
    /// Pending causes that the mask has excluded ever since they came.
    excluded: u64,
    /// Causes that were set last: by which access, when, and which.
    set: (u64, u64, u64),
}

/// What a one in the mask does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Polarity {
    Unknown,
    LetsThrough,
    HoldsBack,
    /// Interrupts that contradict each other were seen.
    Unclear,
}

impl CauseRegister {
    /// A register by whose name and fields another one is its mask, both in one BAR: their names are equal but for one
    /// word, like INT_STATUS and INT_MASK, and so are their fields, one bit each. Without such a pair the only register
    /// whose ones clear, if all its fields are bits. Registers that change by themselves are none.
    pub(super) fn of(function: &Function) -> Option<Self> {
        let bars = || function.register_maps.iter().filter(|map| matches!(map.region, Region::Bar(_)));
        for map in bars() {
            let mut of_map = map.registers.iter().filter(|it| may_hold_causes(it));
            let found = of_map
                .find_map(|it| Some((it, map.registers.iter().find(|mask| is_mask_of(mask, it))?.offset)));
            if let Some((register, mask)) = found {
                return Some(Self::new(map.region, register, Some(mask)));
            }
        }
        let clearing = |register: &&Register| register.access == Access::WriteOneToClear;
        let mut all = bars().flat_map(|map| map.registers.iter().filter(clearing).map(|it| (map.region, it)));
        let (region, register) = all.next().filter(|(_, it)| may_hold_causes(it))?;
        all.next().is_none().then(|| Self::new(region, register, None))
    }

    fn new(region: Region, register: &Register, mask: Option<u64>) -> Self {
        let bits = register.fields.iter().fold(0, |bits, field| bits | field.mask());
        Self { region, offset: register.offset, size: register.size, access: register.access, bits, mask }
    }

    /// Whether an access reaches all of it, and nothing else.
    pub(super) fn is_reached_by(&self, touch: &Touch<'_>) -> bool {
        self.is_reached_at(touch, self.offset)
    }

    /// Whether an access reaches its mask.
    pub(super) fn is_masked_by(&self, touch: &Touch<'_>) -> bool {
        self.mask.is_some_and(|mask| self.is_reached_at(touch, mask))
    }

    fn is_reached_at(&self, touch: &Touch<'_>, offset: u64) -> bool {
        touch.access.outcome == Outcome::Ok
            && u64::from(touch.access.size) == self.size
            && touch.bar().is_some_and(|place| place.region == self.region && place.offset == offset)
    }

    /// Whether that is its place.
    pub(super) fn is_at(&self, place: &Place) -> bool {
        place.region == self.region && place.offset == self.offset
    }
}

fn may_hold_causes(register: &Register) -> bool {
    let access =
        matches!(register.access, Access::WriteOneToClear | Access::ReadSideEffect | Access::ReadOnly);
    let bits = !register.fields.is_empty() && register.fields.iter().all(|field| field.width == 1);
    access && bits && !register.volatile && !register.memory
}

fn is_mask_of(mask: &Register, causes: &Register) -> bool {
    if mask.access != Access::ReadWrite || mask.size != causes.size || mask.memory {
        return false;
    }
    let fields = |register: &Register| -> Vec<(String, u8)> {
        register.fields.iter().map(|field| (field.name.to_string(), field.lsb)).collect()
    };
    let words = |name: &str| name.split('_').map(str::to_owned).collect::<Vec<_>>();
    let (of_mask, of_causes) = (words(&mask.name), words(&causes.name));
    let differing: Vec<_> = of_causes.iter().zip(&of_mask).filter(|(one, other)| one != other).collect();
    let named = match differing[..] {
        [(cause, mask)] => CAUSE_WORDS.contains(&cause.as_str()) && MASK_WORDS.contains(&mask.as_str()),
        _ => false,
    };
    of_mask.len() == of_causes.len() && named && fields(mask) == fields(causes)
}

impl Causes {
    /// Records are missing: what registers hold isn't known, what was learnt of them stays.
    pub(super) fn lose(&mut self) {
        self.lost = true;
        for known in self.known.values_mut().flatten() {
            (known.pending, known.mask, known.excluded, known.set) = (None, None, 0, (0, 0, 0));
        }
    }

    /// A function's cause register.
    pub(super) fn register(&self, bdf: Bdf) -> Option<&CauseRegister> {
        Some(&self.get(bdf)?.register)
    }

    /// The place of a function's cause register.
    pub(super) fn place(&self, bdf: Bdf) -> Option<Place> {
        let Known { function, register, .. } = self.get(bdf)?;
        Some(Place {
            bdf: Some(bdf),
            function: Some(function.clone()),
            region: register.region,
            offset: register.offset,
        })
    }

    /// The causes that are pending and let through, as far as that is certain.
    pub(super) fn interrupting(&self, bdf: Bdf) -> u64 {
        self.get(bdf).map_or(0, |known| known.pending.unwrap_or(0) & known.let_through().unwrap_or(0))
    }

    /// The pending causes that the mask certainly has excluded ever since they came.
    pub(super) fn excluded(&self, bdf: Bdf) -> u64 {
        self.get(bdf).map_or(0, |known| known.excluded)
    }

    /// Takes an access.
    pub(super) fn access(&mut self, touch: &Touch<'_>) {
        let Some(place) = touch.bar() else { return };
        let (Some(bdf), Some(function)) = (place.bdf, &place.function) else { return };
        let (write, value) = (touch.access.write, touch.access.value);
        let Some(known) = self.of(bdf, function) else { return };
        if known.register.is_reached_by(touch) && !write {
            let cleared = known.register.access == Access::ReadSideEffect;
            known.pending = Some(if cleared { 0 } else { value });
        } else if known.register.is_masked_by(touch) {
            known.mask = Some(value);
            known.forget_let_through();
        }
    }

    /// Takes any other record.
    pub(super) fn event(&mut self, view: &View) {
        match view.kind {
            EventKind::Change { old, new, cause, .. } => {
                let Some(place) = &view.place else { return };
                let (Some(bdf), Some(function)) = (place.bdf, &place.function) else { return };
                let Some(known) = self.of(bdf, function) else { return };
                if known.register.is_at(place) {
                    known.change(old, new, (cause, view.device_ns));
                } else if place.region == known.register.region && Some(place.offset) == known.register.mask {
                    known.mask = Some(new);
                    known.forget_let_through();
                }
            }
            EventKind::Msi { delivered: true, cause, .. } | EventKind::Intx { asserted: true, cause, .. } => {
                let Some(bdf) = view.function().map(|function| function.bdf) else { return };
                if let Some(Some(known)) = self.known.get_mut(&bdf) {
                    known.interrupts((cause, view.device_ns));
                }
            }
            _ => (),
        }
    }

    fn get(&self, bdf: Bdf) -> Option<&Known> {
        self.known.get(&bdf)?.as_ref()
    }

    fn of(&mut self, bdf: Bdf, function: &Arc<Function>) -> Option<&mut Known> {
        if !self.known.contains_key(&bdf) && self.known.len() < MOST {
            self.known.insert(bdf, Known::new(function, !self.lost));
        }
        self.known.get_mut(&bdf)?.as_mut()
    }
}

impl Known {
    /// A function's causes; as after a reset, if nothing may have changed since.
    fn new(function: &Arc<Function>, untouched: bool) -> Option<Self> {
        let register = CauseRegister::of(function)?;
        let map = function.register_maps.iter().find(|map| map.region == register.region)?;
        let reset = |offset| Some(map.at(offset)?.reset).filter(|_| untouched);
        Some(Self {
            function: function.clone(),
            pending: reset(register.offset),
            mask: register.mask.and_then(reset),
            register,
            polarity: Polarity::Unknown,
            raising: 0,
            excluded: 0,
            set: (0, 0, 0),
        })
    }

    /// The causes that may interrupt; `None` if that isn't known.
    fn let_through(&self) -> Option<u64> {
        if self.register.mask.is_none() {
            return Some(self.raising);
        }
        match self.polarity {
            Polarity::LetsThrough => self.mask.map(|mask| mask & self.register.bits),
            Polarity::HoldsBack => self.mask.map(|mask| !mask & self.register.bits),
            Polarity::Unknown | Polarity::Unclear => None,
        }
    }

    /// What the mask lets through now isn't excluded.
    fn forget_let_through(&mut self) {
        self.excluded &= self.let_through().map_or(0, |through| !through);
    }

    fn change(&mut self, old: u64, new: u64, (cause, at): (u64, u64)) {
        let set = new & !old;
        self.pending = Some(new);
        if self.register.mask.is_some()
            && let Some(through) = self.let_through()
        {
            self.excluded |= set & self.register.bits & !through;
        }
        self.excluded &= new;
        let before = if (self.set.0, self.set.1) == (cause, at) { self.set.2 } else { 0 };
        self.set = (cause, at, before | set);
    }

    /// The function interrupts: the causes that were set right before tell what its mask means.
    fn interrupts(&mut self, (cause, at): (u64, u64)) {
        let set = self.set.2 & self.register.bits;
        if (self.set.0, self.set.1) != (cause, at) || set == 0 {
            return;
        }
        if set.is_power_of_two() {
            self.raising |= set;
        }
        let Some(mask) = self.mask else { return };
        let told = match (set & mask != 0, set & !mask != 0) {
            (true, false) => Polarity::LetsThrough,
            (false, true) => Polarity::HoldsBack,
            _ => return,
        };
        let contradicts = self.polarity != Polarity::Unknown && self.polarity != told;
        self.polarity = if contradicts { Polarity::Unclear } else { told };
    }
}
