//! Every operation of the recordings, in their order: what it reads, which level the pin gets, what is in
//! guest memory.

use barscope_device::AccessSize::{self, Dword, Word};
use barscope_device::{Effect, Fixture, Hex, Region};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};

use crate::deviations;

const REGISTERS: Region = Region::BAR0;
const STATUS: u64 = 0x20;
const COMPUTING: u64 = 1;
/// STATUS is read this often, and no longer than that.
const POLL_NS: u64 = 1_000;
const PATIENCE_NS: u64 = 10_000_000;

/// The machine that was recorded.
#[derive(Deserialize)]
struct Head {
    hdr: Machine,
}

#[derive(Deserialize)]
struct Machine {
    bar0: u64,
    ram: usize,
    command: u64,
    ops: usize,
}

#[derive(Deserialize)]
struct Recorded {
    #[serde(flatten)]
    operation: Operation,
    /// Changes of the pin's level meanwhile.
    #[serde(default)]
    irq: Vec<(Level, u8)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Raise,
    Lower,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Access {
    #[serde(deserialize_with = "size")]
    w: AccessSize,
    off: u64,
    val: u64,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Operation {
    R(Access),
    W(Access),
    CfgR(Access),
    CfgW(Access),
    RamR { addr: u64, len: usize, hex: Hex },
    RamW { addr: u64, hex: Hex },
    Step { ms: u64 },
    WaitFact { val: u64 },
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AccessSize, D::Error> {
    let bytes = u64::deserialize(deserializer)?;
    AccessSize::new(bytes).ok_or_else(|| D::Error::custom("no size of an access"))
}

/// The model, and what it did.
struct Replay {
    fixture: Fixture,
    undecoded_reads: usize,
}

impl Replay {
    fn new(machine: &Machine) -> Self {
        let mut fixture = crate::fixture(machine.ram);
        fixture.config_write(0x10, Dword, machine.bar0);
        fixture.config_write(0x04, Word, machine.command);
        Self { fixture, undecoded_reads: 0 }
    }

    /// Does it; panics if anything that it reads is not what was recorded.
    fn perform(&mut self, operation: &Operation) {
        match *operation {
            Operation::R(Access { w, off, val }) if self.decoded() => assert_eq!(self.read(off, w), val),
            Operation::R(Access { val, .. }) => {
                assert_eq!(val, deviations::UNDECODED_READ);
                self.undecoded_reads += 1;
            }
            // What came of it, later reads tell.
            Operation::W(Access { w, off, val }) if self.decoded() => {
                self.fixture.write(REGISTERS, off, w, val).ok();
            }
            Operation::W(_) => {}
            Operation::CfgR(Access { w, off, val }) => assert_eq!(self.fixture.config_read(off, w), val),
            Operation::CfgW(Access { w, off, val }) => self.fixture.config_write(off, w, val),
            Operation::RamR { addr, len, ref hex } => {
                let mut found = vec![0; len];
                self.fixture.memory().read(addr, &mut found).expect("memory is there");
                assert_eq!(Hex(found), *hex);
            }
            Operation::RamW { addr, ref hex } => {
                self.fixture.memory().write(addr, &hex.0).expect("memory is there");
            }
            Operation::Step { ms } => self.fixture.advance(ms * 1_000_000),
            Operation::WaitFact { val } => {
                let patience = self.fixture.now() + PATIENCE_NS;
                while self.read(STATUS, Dword) & COMPUTING != 0 && self.fixture.now() < patience {
                    self.fixture.advance(POLL_NS);
                }
                assert_eq!(self.read(STATUS, Dword), val);
            }
        }
    }

    /// What a guest reads.
    fn read(&mut self, offset: u64, size: AccessSize) -> u64 {
        self.fixture
            .read(REGISTERS, offset, size)
            .unwrap_or_else(|_| self.fixture.function().refused_read(REGISTERS, offset, size) & size.mask())
    }

    fn decoded(&mut self) -> bool {
        !self.fixture.function().decoding().is_empty()
    }

    /// The changes of the pin's level since the last call. Messages go to guest memory, where the recording
    /// has them.
    fn levels(&mut self) -> Vec<Level> {
        let mut levels = Vec::new();
        for effect in self.fixture.take_effects() {
            match effect {
                Effect::Intx { asserted } => levels.push(if asserted { Level::Raise } else { Level::Lower }),
                Effect::Msi { address, data, .. } => {
                    self.fixture.memory().write(address, &data.to_le_bytes()).expect("memory is there");
                }
                _ => {}
            }
        }
        levels
    }
}

fn parse<T: DeserializeOwned>(line: &str) -> T {
    serde_json::from_str(line).expect("a line is as the README says")
}

/// Plays a recording; how many operations it has, and how many of them are reads of a BAR that isn't decoded.
fn replay(recording: &str) -> (usize, usize) {
    let mut lines = recording.lines();
    let Head { hdr: machine } = parse(lines.next().unwrap_or_default());
    let mut replay = Replay::new(&machine);
    replay.levels();
    let mut played = 0;
    for line in lines {
        played += 1;
        let Recorded { operation, irq } = parse(line);
        let number = played + 1;
        // Shown if anything below fails.
        println!("line {number}: {line}");
        replay.perform(&operation);
        let recorded: Vec<Level> = irq.into_iter().map(|(level, _)| level).collect();
        assert_eq!(replay.levels(), recorded, "levels of the pin");
    }
    assert_eq!(played, machine.ops);
    (played, replay.undecoded_reads)
}

#[test]
fn the_first_recording_is_met() {
    assert_eq!(replay(include_str!("../data/edu/operations1.jsonl")), (1519, 2));
}

#[test]
fn the_second_recording_is_met() {
    assert_eq!(replay(include_str!("../data/edu/operations2.jsonl")), (1520, 6));
}
