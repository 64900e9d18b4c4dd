//! Loops that read one register and get the same again and again: told while they go on.

use barscope_device::Region;
use barscope_trace::event::EventKind;

use super::Slot;
use crate::perform::Request;

/// So many equal reads are a loop that somebody should know of, unless told otherwise.
pub const SPIN_LIMIT: u64 = 4096;

/// Reads of a function, as far as the last ones are of the same register, by the same vCPU, and gave the same.
#[derive(Debug, Default)]
pub(super) struct Spin {
    last: Option<Read>,
    times: u64,
}

/// A read of a BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Read {
    vcpu: Option<u8>,
    region: Region,
    offset: u64,
    size: u8,
    value: u64,
}

impl Read {
    /// That of a vCPU's request at this offset of a region, which gave `value`. `None` for writes, and for configuration
    /// space, where kernels read whatever comes.
    pub(super) fn of(
        (vcpu, request): (Option<u8>, Request),
        (region, offset): (Region, u64),
        value: u64,
    ) -> Option<Self> {
        let is_read = request.written.is_none() && matches!(region, Region::Bar(_));
        is_read.then_some(Self { vcpu, region, offset, size: request.size, value })
    }
}

impl Spin {
    /// Takes the function's next access. The register's offset, the value and how often it was read, once that is
    /// `limit` times, and then each time that it has doubled.
    pub(super) fn take(&mut self, read: Option<Read>, limit: u64) -> Option<u64> {
        if read.is_none() || read != self.last {
            *self = Self { last: read, times: u64::from(read.is_some()) };
        } else {
            self.times += 1;
        }
        let is_due = limit > 0 && self.times >= limit && self.times.is_multiple_of(limit);
        (is_due && (self.times / limit).is_power_of_two()).then_some(self.times)
    }

    /// The record of so many reads, of which the last is record `cause`, while the function acts next in `due_ns`.
    pub(super) fn record(
        &self,
        slot: &Slot,
        times: u64,
        cause: u64,
        due_ns: Option<u64>,
    ) -> Option<EventKind> {
        let Read { region, offset, value, .. } = self.last?;
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        let due_ns = due_ns.map(|due| due.min(u32::MAX.into()));
        Some(EventKind::Spin { function: slot.id, region, offset, value, times, due_ns, cause })
    }
}

#[cfg(test)]
mod tests {
    use barscope_device::BarIndex;

    use super::*;

    fn read(offset: u64, value: u64) -> Option<Read> {
        Some(Read { vcpu: Some(0), region: Region::Bar(BarIndex::BAR0), offset, size: 4, value })
    }

    #[test]
    fn a_spin_is_told_at_the_limit_and_when_it_has_doubled() {
        let mut spin = Spin::default();
        let told: Vec<_> = (1..=40_u64).filter_map(|_| spin.take(read(8, 1), 5)).collect();
        assert_eq!(told, [5, 10, 20, 40]);
    }

    #[test]
    fn another_value_register_size_vcpu_or_a_write_begins_anew() {
        let one = read(8, 1).unwrap();
        let others = [
            read(8, 2),
            read(12, 1),
            Some(Read { size: 1, ..one }),
            Some(Read { vcpu: Some(1), ..one }),
            Some(Read { region: Region::Bar(BarIndex::BAR2), ..one }),
            None,
        ];
        for other in others {
            let mut spin = Spin::default();
            assert_eq!((1..5).filter_map(|_| spin.take(Some(one), 5)).count(), 0);
            assert_eq!(spin.take(other, 5), None);
            assert_eq!((1..5).filter_map(|_| spin.take(Some(one), 5)).count(), 0, "{other:?}");
            assert_eq!(spin.take(Some(one), 5), Some(5));
        }
    }

    #[test]
    fn no_limit_tells_nothing() {
        let mut spin = Spin::default();
        assert_eq!((1..10_000).find_map(|_| spin.take(read(8, 1), 0)), None);
    }
}
