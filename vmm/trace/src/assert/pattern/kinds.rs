//! What kinds of events patterns begin with.

use super::Pattern;
use crate::definition::Path;
use crate::event::Counted;
use crate::view::What;

/// A read of a place: `BAR0.REGISTER`, `BAR0+0x8` or `BAR0`.
pub fn read(target: &str) -> Pattern {
    Pattern::access("read", |access| !access.write).at(target)
}

/// A write to a place.
pub fn write(target: &str) -> Pattern {
    Pattern::access("write", |access| access.write).at(target)
}

/// A read of a place, or a write to it.
pub fn access(target: &str) -> Pattern {
    any_access().at(target)
}

/// Any access at all, configuration space included.
pub fn any_access() -> Pattern {
    Pattern::access("access", |_| true)
}

/// A register at a place changes its value.
pub fn change(target: &str) -> Pattern {
    Pattern::kind("change", |what| matches!(what, What::Change { .. })).at(target)
}

/// A device sends the message of its vector `index`.
pub fn msi(index: u16) -> Pattern {
    let kind = move |what: &What| matches!(what, What::Msi { index: sent, .. } if *sent == index);
    Pattern::kind(&format!("msi {index}"), kind)
}

/// An interrupt cause that nothing could carry, for vector `index`.
pub fn interrupt_lost(index: u16) -> Pattern {
    let kind = move |what: &What| matches!(what, What::InterruptLost { index: lost, .. } if *lost == index);
    Pattern::kind(&format!("interrupt {index} lost"), kind)
}

/// An interrupt cause that its vector's mask holds back, for vector `index`.
pub fn interrupt_masked(index: u16) -> Pattern {
    let kind = move |what: &What| matches!(what, What::InterruptMasked { index: held, .. } if *held == index);
    Pattern::kind(&format!("interrupt {index} masked"), kind)
}

/// A device's interrupt pin is asserted, or deasserted.
pub fn intx(asserted: bool) -> Pattern {
    let text = if asserted { "INTx asserted" } else { "INTx deasserted" };
    Pattern::kind(text, move |what| matches!(what, What::Intx { asserted: level, .. } if *level == asserted))
}

/// A DMA transfer, done or refused.
pub fn dma() -> Pattern {
    Pattern::kind("dma", |what| matches!(what, What::Dma { .. }))
}

/// A device begins to work on something.
pub fn busy() -> Pattern {
    Pattern::kind("busy", |what| matches!(what, What::Busy { .. }))
}

/// A mark with this text.
pub fn mark(text: &str) -> Pattern {
    let wanted = text.to_owned();
    let kind = move |what: &What| matches!(what, What::Mark { text } if **text == *wanted);
    Pattern::kind(&format!("mark {text:?}"), kind)
}

/// A page fault that the guest reports: [`Counted::FaultResolved`] or [`Counted::FaultFatal`].
pub fn page_fault(how: Counted) -> Pattern {
    let text = if how == Counted::FaultFatal { "fatal page fault" } else { "resolved page fault" };
    Pattern::kind(text, move |what| matches!(what, What::Count { what, .. } if *what == how))
}

/// The guest makes a mapping this way.
pub fn map(path: Path) -> Pattern {
    let kind = move |what: &What| matches!(what, What::Map { mapping: Some(made), .. } if made.path == path);
    Pattern::kind(&format!("map by {path}"), kind)
}

/// The guest undoes a mapping that was made this way.
pub fn unmap(path: Path) -> Pattern {
    let kind =
        move |what: &What| matches!(what, What::Unmap { mapping: Some(undone), .. } if undone.path == path);
    Pattern::kind(&format!("unmap of {path}"), kind)
}

/// An instruction on device memory that KVM could not emulate.
pub fn not_emulated() -> Pattern {
    Pattern::kind("instruction that KVM can't emulate", |what| matches!(what, What::NotEmulated { .. }))
}
