//! KVM's exits, copied out of the page that KVM shares with us, and answers written back into it.

use barscope_x86::MemoryExit;
use kvm_bindings::{KVM_EXIT_IO_OUT, kvm_run};
use kvm_ioctls::{VcpuExit, VcpuFd};

use crate::observer::Observer;

/// Why KVM_RUN returned.
pub enum Exit {
    /// An access to memory that no memslot holds.
    Memory(MemoryExit),
    /// A port access.
    Port(PortExit),
    /// A write to a trapped model-specific register.
    WriteMsr {
        /// Its number.
        index: u32,
        /// What was written.
        data: u64,
    },
    /// KVM could not emulate an instruction.
    NotEmulated {
        /// KVM's suberror.
        suberror: u32,
    },
    /// A triple fault.
    Shutdown,
    /// The guest asked to be reset or switched off.
    Reset,
    /// Anything else, in words.
    Other(String),
}

/// A port access: `count` elements of `size` bytes.
#[derive(Clone, Copy, Debug)]
pub struct PortExit {
    /// The port.
    pub port: u16,
    /// Size of an element in bytes: 1, 2 or 4.
    pub size: u8,
    /// Number of elements: more than 1 for `rep ins` and `rep outs`.
    pub count: u32,
    /// To the port, or from it.
    pub write: bool,
}

/// Runs the guest to the next exit.
///
/// # Errors
/// What KVM_RUN returned; `EINTR` if a signal came.
pub fn run(fd: &mut VcpuFd, observer: &mut impl Observer) -> Result<Exit, kvm_ioctls::Error> {
    observer.entering();
    let returned = fd.run();
    observer.left();
    let exit = match returned? {
        VcpuExit::MmioRead(address, data) => {
            Exit::Memory(MemoryExit { address, size: data.len() as u8, written: None })
        }
        VcpuExit::MmioWrite(address, data) => {
            Exit::Memory(MemoryExit { address, size: data.len() as u8, written: Some(little_endian(data)) })
        }
        VcpuExit::IoIn(..) | VcpuExit::IoOut(..) => {
            // SAFETY: the exit reason, which KVM wrote, is KVM_EXIT_IO: this field of the union is valid.
            let io = unsafe { fd.get_kvm_run().__bindgen_anon_1.io };
            let write = u32::from(io.direction) == KVM_EXIT_IO_OUT;
            Exit::Port(PortExit { port: io.port, size: io.size, count: io.count, write })
        }
        VcpuExit::X86Wrmsr(exit) => Exit::WriteMsr { index: exit.index, data: exit.data },
        VcpuExit::InternalError => {
            // SAFETY: the exit reason, which KVM wrote, is KVM_EXIT_INTERNAL_ERROR.
            let suberror = unsafe { fd.get_kvm_run().__bindgen_anon_1.internal.suberror };
            Exit::NotEmulated { suberror }
        }
        VcpuExit::Shutdown => Exit::Shutdown,
        VcpuExit::SystemEvent(..) => Exit::Reset,
        VcpuExit::FailEntry(reason, _) => {
            Exit::Other(format!("KVM can't enter the guest (reason {reason:#x})"))
        }
        other => Exit::Other(format!("an exit that barscope doesn't know: {other:?}")),
    };
    Ok(exit)
}

/// Completes a memory read with the low bytes of `value`.
pub fn answer_memory(fd: &mut VcpuFd, value: u64) {
    // SAFETY: called for an exit whose reason is KVM_EXIT_MMIO; eight bytes of plain data.
    let mmio = unsafe { &mut fd.get_kvm_run().__bindgen_anon_1.mmio };
    mmio.data = value.to_le_bytes();
}

/// Tells KVM whether the write to a model-specific register fails, which gives the guest `#GP`.
pub fn answer_msr(fd: &mut VcpuFd, failed: bool) {
    // SAFETY: called for an exit whose reason is KVM_EXIT_X86_WRMSR.
    let msr = unsafe { &mut fd.get_kvm_run().__bindgen_anon_1.msr };
    msr.error = failed.into();
}

/// Element `index` of a port write.
pub fn port_element(fd: &mut VcpuFd, exit: &PortExit, index: u32) -> u32 {
    little_endian(element(fd.get_kvm_run(), exit, index)) as u32
}

/// Completes element `index` of a port read with the low bytes of `value`.
pub fn answer_port(fd: &mut VcpuFd, exit: &PortExit, index: u32, value: u32) {
    let size = usize::from(exit.size);
    element(fd.get_kvm_run(), exit, index).copy_from_slice(&value.to_le_bytes()[..size]);
}

fn element<'a>(run: &'a mut kvm_run, exit: &PortExit, index: u32) -> &'a mut [u8] {
    let size = usize::from(exit.size.min(4));
    let start: *mut kvm_run = run;
    // SAFETY: called for an exit whose reason is KVM_EXIT_IO, with an index below its count: KVM puts
    // `count` elements of `size` bytes at `data_offset` from the start of the page, all of it mapped as
    // long as the vCPU.
    unsafe {
        let offset = (*start).__bindgen_anon_1.io.data_offset as usize + index as usize * size;
        std::slice::from_raw_parts_mut(start.cast::<u8>().add(offset), size)
    }
}

/// The number that at most eight bytes stand for.
pub fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}
