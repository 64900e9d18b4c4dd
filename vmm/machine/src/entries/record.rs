//! A record of Linux's perf events, as its kernel writes it into a ring: `perf_event_open(2)`, "MMAP layout".
//!
//! Only what our first process asks for is read: samples of IP, TID, TIME, ADDR and RAW, and with each other record the
//! TID and TIME of `sample_id_all` at its end.

/// The longest record that is read, in bytes: the longest that is asked for is a system call's, 112.
pub const LONGEST: usize = 256;
/// Bytes of a header: type, flags, size.
pub const HEADER: usize = 8;

const LOST: u32 = 2;
const NAMED: u32 = 3;
const ENDED: u32 = 4;
const THROTTLED: u32 = 5;
const FORKED: u32 = 7;
const SAMPLE: u32 = 9;

/// Where the size of a sample's raw data is, and the data.
const RAW_SIZE: usize = 40;
const RAW: usize = 44;
/// Where a tracepoint's own fields begin in its raw data: after its number, flags and the thread's number.
const FIELDS: usize = 8;
/// The raw data of an event that has none: a word of 0.
const NO_RAW: u32 = 4;

/// Numbers that the guest's kernel gave its tracepoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracepoints {
    /// `raw_syscalls:sys_enter`.
    pub system_call: u64,
    /// `exceptions:page_fault_user`.
    pub page_fault: u64,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A system call begins.
    SystemCall {
        /// Its number.
        number: u32,
    },
    /// A program's page fault begins.
    Fault(Fault),
    /// A program's page fault ended well.
    Resolved,
    /// The thread's command is called so from here on.
    Named(String),
    /// The thread is a new one, made by this one.
    Forked {
        /// The maker.
        parent: u32,
    },
    /// The thread runs no more.
    Ended,
    /// So many records found no room, or the kernel kept itself from writing some.
    Lost(u64),
}

/// A page fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Virtual address.
    pub address: u64,
    /// Of the instruction.
    pub rip: u64,
    /// Intel SDM volume 3, "Page-Fault Exceptions".
    pub error_code: u32,
}

/// A record that is of interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Nanoseconds of the guest's monotonic clock; 0 if it has none.
    pub time: u64,
    /// Number of the process.
    pub process: u32,
    /// Number of the thread.
    pub thread: u32,
    /// What it says.
    pub what: What,
}

/// Size of the record whose header this is.
pub fn size(header: [u8; HEADER]) -> usize {
    usize::from(u16::from_le_bytes([header[6], header[7]]))
}

impl Record {
    /// Reads a record; `None` if it is of no interest, or makes no sense.
    pub fn parse(bytes: &[u8], tracepoints: Tracepoints) -> Option<Self> {
        let parts = (half(bytes, HEADER)?, half(bytes, 12));
        let time = || word(bytes, bytes.len().checked_sub(8)?);
        let (process, thread, time, what) = match (half(bytes, 0)?, parts) {
            (SAMPLE, _) => {
                let what = sampled(bytes, tracepoints)?;
                (half(bytes, 16)?, half(bytes, 20)?, word(bytes, 24)?, what)
            }
            (LOST, _) => (0, 0, 0, What::Lost(word(bytes, 16)?)),
            (THROTTLED, _) => (0, 0, 0, What::Lost(1)),
            (NAMED, (process, Some(thread))) => {
                let name = bytes.get(16..)?.split(|byte| *byte == 0).next()?;
                (process, thread, time()?, What::Named(String::from_utf8_lossy(name).into_owned()))
            }
            // Process, its parent, thread, its parent.
            (FORKED, (process, _)) => {
                (process, half(bytes, 16)?, time()?, What::Forked { parent: half(bytes, 20)? })
            }
            (ENDED, (process, _)) => (process, half(bytes, 16)?, time()?, What::Ended),
            _ => return None,
        };
        Some(Self { time, process, thread, what })
    }
}

/// What a sample says.
fn sampled(bytes: &[u8], tracepoints: Tracepoints) -> Option<What> {
    if half(bytes, RAW_SIZE)? == NO_RAW {
        return Some(What::Resolved);
    }
    let raw = bytes.get(RAW..)?;
    let number = u64::from(u16::from_le_bytes([*raw.first()?, *raw.get(1)?]));
    if number == tracepoints.system_call {
        return Some(What::SystemCall { number: half(raw, FIELDS)? });
    }
    let fault = || {
        let [address, rip, error_code] = [0, 8, 16].map(|at| word(raw, FIELDS + at));
        Some(Fault { address: address?, rip: rip?, error_code: error_code? as u32 })
    };
    (number == tracepoints.page_fault).then(fault)?.map(What::Fault)
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

fn half(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}
