//! Types of fields: how each lies in a record, and what it is to whoever treats all fields alike.

use barscope_device::{BarIndex, InterruptLoss, Region};

use super::schema::{Bits, Type, Value};
use super::{Backing, Counted, DmaOutcome, MemoryOperand, Outcome, RouteChange, Target};
use crate::definition::MemoryType;

/// Words of a record that fields may lie in.
pub(crate) const RECORD_WORDS: usize = 9;

/// The words of a record that is read.
pub(crate) struct Words<'a> {
    /// The first slot.
    pub(crate) first: &'a [u64; 8],
    /// The word after it.
    pub(crate) more: u64,
}

/// A type that fields have. `N` ranges of bits hold its parts.
pub(crate) trait Stored: Copy {
    /// What it can hold.
    const TYPE: Type;

    /// Writes it.
    fn store<const N: usize>(self, at: &[Bits; N], words: &mut [u64; RECORD_WORDS]);

    /// Reads it; `None` if that stands for nothing.
    fn load<const N: usize>(at: &[Bits; N], words: &Words<'_>) -> Option<Self>;

    /// It as a value.
    fn value(self) -> Value;
}

impl Bits {
    const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.width)
    }

    /// Writes a number; one that has no room saturates.
    #[inline(always)]
    fn set(self, number: u64, words: &mut [u64; RECORD_WORDS]) {
        let fitting = if number > self.mask() { self.mask() } else { number };
        words[self.word as usize] |= fitting << self.shift;
    }

    #[inline(always)]
    fn get(self, words: &Words<'_>) -> u64 {
        let word = match self.word {
            8 => words.more,
            word => words.first[word as usize],
        };
        word >> self.shift & self.mask()
    }
}

macro_rules! numbers {
    ($($type:ty),+) => {
        $(impl Stored for $type {
            const TYPE: Type = Type::Number(<$type>::BITS as u8);

            #[inline(always)]
            fn store<const N: usize>(self, at: &[Bits; N], words: &mut [u64; RECORD_WORDS]) {
                at[0].set(self.into(), words);
            }

            #[inline(always)]
            fn load<const N: usize>(at: &[Bits; N], words: &Words<'_>) -> Option<Self> {
                Some(at[0].get(words) as $type)
            }

            #[inline(always)]
            fn value(self) -> Value {
                Value::Number(self.into())
            }
        })+
    };
}

numbers!(u8, u16, u32, u64);

impl Stored for bool {
    const TYPE: Type = Type::Flag;

    #[inline(always)]
    fn store<const N: usize>(self, at: &[Bits; N], words: &mut [u64; RECORD_WORDS]) {
        at[0].set(self.into(), words);
    }

    #[inline(always)]
    fn load<const N: usize>(at: &[Bits; N], words: &Words<'_>) -> Option<Self> {
        Some(at[0].get(words) != 0)
    }

    #[inline(always)]
    fn value(self) -> Value {
        Value::Flag(self)
    }
}

/// Whether there is one, and the number.
impl Stored for Option<u64> {
    const TYPE: Type = Type::OptionalNumber(64);

    #[inline(always)]
    fn store<const N: usize>(self, at: &[Bits; N], words: &mut [u64; RECORD_WORDS]) {
        at[0].set(self.is_some().into(), words);
        at[1].set(self.unwrap_or(0), words);
    }

    #[inline(always)]
    fn load<const N: usize>(at: &[Bits; N], words: &Words<'_>) -> Option<Self> {
        Some((at[0].get(words) != 0).then(|| at[1].get(words)))
    }

    #[inline(always)]
    fn value(self) -> Value {
        self.map_or(Value::None, Value::Number)
    }
}

/// Whether it is a port, and the address or port, routing identifier and offset.
impl Stored for Target {
    const TYPE: Type = Type::Target;

    #[inline(always)]
    fn store<const N: usize>(self, at: &[Bits; N], words: &mut [u64; RECORD_WORDS]) {
        let (is_port, word) = match self {
            Target::Memory(address) => (false, address),
            Target::Port { port, routing_id, offset } => {
                (true, u64::from(port) | u64::from(routing_id) << 16 | u64::from(offset) << 32)
            }
        };
        at[0].set(is_port.into(), words);
        at[1].set(word, words);
    }

    #[inline(always)]
    fn load<const N: usize>(at: &[Bits; N], words: &Words<'_>) -> Option<Self> {
        let word = at[1].get(words);
        Some(match at[0].get(words) {
            0 => Target::Memory(word),
            _ => Target::Port {
                port: word as u16,
                routing_id: (word >> 16) as u16,
                offset: (word >> 32) as u16,
            },
        })
    }

    #[inline(always)]
    fn value(self) -> Value {
        Value::Target(self)
    }
}

/// Whether it reads, whether it writes, and the size.
impl Stored for MemoryOperand {
    const TYPE: Type = Type::Operand;

    #[inline(always)]
    fn store<const N: usize>(self, at: &[Bits; N], words: &mut [u64; RECORD_WORDS]) {
        at[0].set(self.reads.into(), words);
        at[1].set(self.writes.into(), words);
        at[2].set(self.size.into(), words);
    }

    #[inline(always)]
    fn load<const N: usize>(at: &[Bits; N], words: &Words<'_>) -> Option<Self> {
        let [reads, writes] = [at[0], at[1]].map(|bit| bit.get(words) != 0);
        Some(MemoryOperand { reads, writes, size: at[2].get(words) as u8 })
    }

    #[inline(always)]
    fn value(self) -> Value {
        Value::Operand(self)
    }
}

/// 0 to 5 for BARs, and two beyond them.
impl Stored for Region {
    const TYPE: Type = Type::Region;

    #[inline(always)]
    fn store<const N: usize>(self, at: &[Bits; N], words: &mut [u64; RECORD_WORDS]) {
        let code = match self {
            Region::Bar(index) => index.get(),
            Region::Rom => 6,
            Region::Config => 7,
        };
        at[0].set(code.into(), words);
    }

    #[inline(always)]
    fn load<const N: usize>(at: &[Bits; N], words: &Words<'_>) -> Option<Self> {
        match at[0].get(words) {
            6 => Some(Region::Rom),
            7 => Some(Region::Config),
            index => BarIndex::new(index as u8).map(Region::Bar),
        }
    }

    #[inline(always)]
    fn value(self) -> Value {
        Value::Region(self)
    }
}

/// Numbers for the variants of an enum, stable in the file whatever becomes of their order in code. Of what is
/// optional, 0 is nothing.
macro_rules! codes {
    ($type:ident { $($code:literal => $variant:ident),+ $(,)? }) => {
        impl Stored for $type {
            const TYPE: Type = Type::Name(&[$($type::$variant.name()),+]);

            #[inline(always)]
            fn store<const N: usize>(self, at: &[Bits; N], words: &mut [u64; RECORD_WORDS]) {
                let code = match self {
                    $($type::$variant => $code,)+
                };
                at[0].set(code, words);
            }

            #[inline(always)]
            fn load<const N: usize>(at: &[Bits; N], words: &Words<'_>) -> Option<Self> {
                match at[0].get(words) {
                    $($code => Some($type::$variant),)+
                    _ => None,
                }
            }

            #[inline(always)]
            fn value(self) -> Value {
                Value::Name(self.name())
            }
        }
    };

    (optional $type:ident { $($code:literal => $variant:ident),+ $(,)? }) => {
        impl Stored for Option<$type> {
            const TYPE: Type = Type::OptionalName(&[$($type::$variant.name()),+]);

            #[inline(always)]
            fn store<const N: usize>(self, at: &[Bits; N], words: &mut [u64; RECORD_WORDS]) {
                let code = match self {
                    None => 0,
                    $(Some($type::$variant) => $code,)+
                };
                at[0].set(code, words);
            }

            #[inline(always)]
            fn load<const N: usize>(at: &[Bits; N], words: &Words<'_>) -> Option<Self> {
                match at[0].get(words) {
                    0 => Some(None),
                    $($code => Some(Some($type::$variant)),)+
                    _ => None,
                }
            }

            #[inline(always)]
            fn value(self) -> Value {
                self.map_or(Value::None, |known| Value::Name(known.name()))
            }
        }
    };
}

codes!(Outcome {
    0 => Ok,
    1 => Unclaimed,
    2 => Straddles,
    3 => Reserved,
    4 => Width,
    5 => Alignment,
    6 => WriteOnly,
    7 => ReadOnly,
    8 => Busy,
    9 => Range,
});
codes!(DmaOutcome {
    0 => Done,
    1 => BusMasterOff,
    2 => OutOfBounds,
});
codes!(optional InterruptLoss {
    1 => NothingEnabled,
    2 => BusMasterOff,
    3 => Asleep,
    4 => MemoryWrite,
});
codes!(RouteChange {
    0 => Added,
    1 => Removed,
    2 => Refused,
});
codes!(Backing {
    0 => Trapped,
    1 => Direct,
    2 => Doorbell,
    3 => Coalesced,
});
codes!(Counted {
    0 => KernelEntries,
    1 => FaultResolved,
    2 => FaultFatal,
});
codes!(optional MemoryType {
    1 => Uncacheable,
    2 => UncacheableMinus,
    3 => WriteCombining,
    4 => WriteThrough,
    5 => WriteProtected,
    6 => WriteBack,
});
