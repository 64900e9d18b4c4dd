//! Interrupt pins, wired to inputs of the IOAPIC that several functions share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kvm_ioctls::VmFd;

/// The inputs that pins are wired to. An input is asserted as long as any pin on it is.
pub struct Lines {
    vm: Arc<VmFd>,
    /// For each input, the functions whose pin is asserted.
    asserted: Mutex<HashMap<u8, Vec<usize>>>,
}

impl Lines {
    /// All pins deasserted.
    pub fn new(vm: Arc<VmFd>) -> Self {
        Self { vm, asserted: Mutex::default() }
    }

    /// The pin of a function, wired to global system interrupt `gsi`, has this level from here on.
    pub fn set(&self, gsi: u8, function: usize, asserted: bool) {
        let mut inputs = self.asserted.lock().unwrap_or_else(PoisonError::into_inner);
        let pins = inputs.entry(gsi).or_default();
        pins.retain(|other| *other != function);
        if asserted {
            pins.push(function);
        }
        // KVM knows every input of the IOAPIC that it made.
        if let Err(error) = self.vm.set_irq_line(gsi.into(), !pins.is_empty()) {
            log::error!("KVM_IRQ_LINE for input {gsi} failed: {error}");
        }
    }
}
