//! Taking a vCPU's thread out of the guest: by a signal, and a flag that keeps the thread from going in again.
//!
//! A signal that comes just before KVM_RUN would do nothing; with `immediate_exit` set, KVM_RUN returns at once
//! (KVM API, section 5, "The kvm_run structure").

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;
use std::thread::JoinHandle;

use kvm_bindings::kvm_run;
use kvm_ioctls::VcpuFd;
use vmm_sys_util::signal::{Killable, SIGRTMIN, register_signal_handler};

use crate::host::HostError;

thread_local! {
    /// The page that this thread's vCPU shares with KVM; null if there is none.
    static RUN: Cell<*mut kvm_run> = const { Cell::new(ptr::null_mut()) };
}

extern "C" fn leave(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    RUN.with(|run| {
        let run = run.get();
        if !run.is_null() {
            // SAFETY: `Kickable` takes the pointer back, on this thread, before the page goes. KVM reads the byte at
            // the start of KVM_RUN and nobody else depends on its value.
            unsafe { ptr::write_volatile(&raw mut (*run).immediate_exit, 1) };
        }
    });
}

/// Prepares the process for [`kick`].
///
/// # Errors
/// [`HostError::System`] if the system refuses the signal.
pub fn register() -> Result<(), HostError> {
    register_signal_handler(SIGRTMIN(), leave).map_err(|error| HostError::system("sigaction", error.into()))
}

/// Takes the vCPU of a thread out of the guest, or keeps it from entering; nothing if the thread has ended.
pub fn kick(thread: &JoinHandle<()>) {
    if !thread.is_finished() {
        // A thread that has just ended needs no signal.
        thread.kill(SIGRTMIN()).ok();
    }
}

/// The time in which this thread's vCPU can be kicked.
pub struct Kickable {
    /// It belongs to its thread.
    _here: PhantomData<*mut kvm_run>,
}

impl Kickable {
    /// Begins it. The vCPU has to outlive what is returned.
    pub fn new(fd: &mut VcpuFd) -> Self {
        RUN.set(ptr::from_mut(fd.get_kvm_run()));
        Self { _here: PhantomData }
    }
}

impl Drop for Kickable {
    fn drop(&mut self) {
        RUN.set(ptr::null_mut());
    }
}
