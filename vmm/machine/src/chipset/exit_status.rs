//! The status that a guest ends with by `isa-debug-exit`.

use crate::stop::Stop;

/// How to read the status that a guest ends with by a write to `isa-debug-exit`. QEMU ends with 2 * value + 1, an odd status
/// that is never 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExitStatus {
    /// As QEMU ends: no value means that all went well.
    #[default]
    Qemu,
    /// As the runner of kvm-unit-tests reads it: an odd status s means s >> 1, which is the value written.
    KvmUnitTests,
}

impl ExitStatus {
    /// What the write of `value` means.
    pub(super) fn of(self, value: u32) -> Stop {
        let status = u64::from(value) << 1 | 1;
        match self {
            Self::Qemu => Stop::DebugExit { status },
            Self::KvmUnitTests => Stop::Exit { status: status >> 1 },
        }
    }
}
