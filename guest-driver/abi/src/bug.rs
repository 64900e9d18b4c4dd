//! What the test kernel's driver can get wrong when it is told to, for expectations to catch.

/// A mistake that drivers make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Bug {
    /// The handler of a message leaves its cause pending.
    NoAcknowledgement,
    /// STATUS is read once more than needed.
    StatusReadTwice,
    /// A register of 32 bits is written as one of 8, which the device refuses.
    WrongWidth,
    /// A computation starts before its interrupt is let through.
    WrongOrder,
    /// The write that switches the device off isn't read back.
    MissingReadBack,
    /// Probing writes to where no register is.
    ReservedRegister,
    /// The registers are mapped cached.
    MappedCached,
    /// Messages have another vector than the handler.
    WrongVector,
    /// A transfer starts before the function may be a bus master.
    DmaBeforeBusMastering,
    /// A register is read after its mapping is gone.
    AccessAfterUnmap,
    /// Command is written together with Status as it was read, whose ones clear.
    StatusWrittenBack,
    /// A vector's message changes while it may be sent.
    LiveVector,
    /// What the handler looks for is read, and so cleared, before it runs.
    EventsTaken,
    /// The handler acknowledges a cause that it didn't find, by OR.
    CauseAdded,
    /// A loop waits for a bit that nobody sets.
    EndlessPoll,
    /// The handler takes a cause that its driver has masked.
    MaskedCause,
    /// A pin's handler acknowledges each fourth time only.
    LateAcknowledgement,
    /// The handler doesn't look again after it has acknowledged, though something has happened since.
    EventLost,
    /// The driver goes while a transfer runs.
    TransferLeft,
    /// `mmap` gives the beginning of the BAR, whatever the offset.
    OffsetIgnored,
    /// What the device computed goes back to it as it came.
    ResultTrusted,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 21] = [
        Bug::NoAcknowledgement,
        Bug::StatusReadTwice,
        Bug::WrongWidth,
        Bug::WrongOrder,
        Bug::MissingReadBack,
        Bug::ReservedRegister,
        Bug::MappedCached,
        Bug::WrongVector,
        Bug::DmaBeforeBusMastering,
        Bug::AccessAfterUnmap,
        Bug::StatusWrittenBack,
        Bug::LiveVector,
        Bug::EventsTaken,
        Bug::CauseAdded,
        Bug::EndlessPoll,
        Bug::MaskedCause,
        Bug::LateAcknowledgement,
        Bug::EventLost,
        Bug::TransferLeft,
        Bug::OffsetIgnored,
        Bug::ResultTrusted,
    ];

    /// Its name, as in `--bug NAME`: lower case, words joined by `-`.
    pub const fn name(self) -> &'static str {
        match self {
            Bug::NoAcknowledgement => "no-acknowledgement",
            Bug::StatusReadTwice => "status-read-twice",
            Bug::WrongWidth => "wrong-width",
            Bug::WrongOrder => "wrong-order",
            Bug::MissingReadBack => "missing-read-back",
            Bug::ReservedRegister => "reserved-register",
            Bug::MappedCached => "mapped-cached",
            Bug::WrongVector => "wrong-vector",
            Bug::DmaBeforeBusMastering => "dma-before-bus-mastering",
            Bug::AccessAfterUnmap => "access-after-unmap",
            Bug::StatusWrittenBack => "status-written-back",
            Bug::LiveVector => "live-vector",
            Bug::EventsTaken => "events-taken",
            Bug::CauseAdded => "cause-added",
            Bug::EndlessPoll => "endless-poll",
            Bug::MaskedCause => "masked-cause",
            Bug::LateAcknowledgement => "late-acknowledgement",
            Bug::EventLost => "event-lost",
            Bug::TransferLeft => "transfer-left",
            Bug::OffsetIgnored => "offset-ignored",
            Bug::ResultTrusted => "result-trusted",
        }
    }
}

/// The prefix of the kernel's command line argument that asks for one: `bug=NAME`.
pub const ARGUMENT: &str = "bug=";
