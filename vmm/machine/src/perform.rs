//! The seam inwards: the only call of a function's read and write.
//!
//! Whoever has found out which function and region an access is for ends here: the dispatcher after routing. A client
//! that names regions instead of addresses, or a recording that is replayed, needs no more than this; and what is to
//! stand between an access and the function, like a fault, stands here.

use barscope_device::{AccessSize, BusContext, PciFunction, Refused, Region, low_bytes};

/// What is asked of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Size in bytes, 1 to 8: what a page boundary leaves of an access may have any length.
    pub size: u8,
    /// The value, for a write.
    pub written: Option<u64>,
}

impl Request {
    /// A read of `size` bytes.
    pub fn read(size: u8) -> Self {
        Self { size, written: None }
    }

    /// A write of the low `size` bytes of `value`.
    pub fn write(size: u8, value: u64) -> Self {
        Self { size, written: Some(value) }
    }

    /// The completion if nobody answers: a read gives all-ones.
    pub fn unanswered(self) -> u64 {
        self.written.unwrap_or(low_bytes(self.size.into()))
    }
}

/// What a function answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The value read, or written.
    pub value: u64,
    /// Why the function refused it, or its last part that it refused.
    pub refused: Option<Refused>,
}

/// Reads or writes at `offset` of a region that is decoded, in parts of 1, 2, 4 or 8 bytes. What the function did
/// besides is in `bus`.
pub fn perform(
    function: &mut PciFunction,
    bus: &mut BusContext<'_>,
    region: Region,
    offset: u64,
    request: Request,
) -> Completion {
    let mut completion = Completion { value: 0, refused: None };
    let mut done = 0;
    while let Some(part) = AccessSize::at_most(u64::from(request.size) - done) {
        let shift = 8 * done as u32;
        let at = offset + done;
        let result = match request.written {
            Some(value) => {
                function.write(bus, region, at, part, (value >> shift) & part.mask()).map(|()| value >> shift)
            }
            None => function.read(bus, region, at, part),
        };
        let value = result.unwrap_or_else(|refused| {
            completion.refused = Some(refused);
            match request.written {
                Some(value) => value >> shift,
                None => function.refused_read(region, at, part),
            }
        });
        completion.value |= (value & part.mask()) << shift;
        done += part.bytes();
    }
    completion
}

#[cfg(test)]
mod tests {
    use barscope_device::HostBridge;

    use super::*;
    use crate::platform::TestPlatform;

    /// What a host bridge answers, which has registers in configuration space only.
    fn ask(region: Region, offset: u64, request: Request) -> Completion {
        let mut function = PciFunction::new(Box::new(HostBridge));
        let (platform, mut effects) = (TestPlatform::default(), Vec::new());
        let mut bus = BusContext { now: 0, cause: 1, memory: &platform, effects: &mut effects };
        perform(&mut function, &mut bus, region, offset, request)
    }

    #[test]
    fn a_request_of_any_length_completes_with_the_bytes_that_it_asked_for() {
        let completed = |offset, size| ask(Region::Config, offset, Request::read(size)).value;

        assert_eq!(completed(0, 1), 0x34);
        assert_eq!(completed(0, 3), 0xb1_1234);
        assert_eq!(completed(1, 5), 0x1a_b112);
        assert_eq!(completed(0, 8), 0x1ab1_1234);
    }

    #[test]
    fn a_write_completes_with_what_was_written() {
        assert_eq!(
            ask(Region::Config, 0x3c, Request::write(2, 0xabcd)),
            Completion { value: 0xabcd, refused: None }
        );
    }

    #[test]
    fn a_refused_read_gives_all_ones_and_a_refused_write_what_was_written() {
        let refused = Some(Refused::Reserved);

        assert_eq!(ask(Region::BAR0, 0, Request::read(4)), Completion { value: 0xffff_ffff, refused });
        assert_eq!(
            ask(Region::BAR0, 0, Request::write(3, 0x11_2233)),
            Completion { value: 0x11_2233, refused }
        );
        assert_eq!(Request::read(2).unanswered(), 0xffff);
    }
}
