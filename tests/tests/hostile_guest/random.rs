//! Random numbers, and what a guest's registers may hold.

/// Random numbers, by xorshift.
pub struct Random(u64);

impl Random {
    /// Those of a seed: the same ones each time.
    pub fn new(seed: u64) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ seed << 32)
    }

    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as u32
    }

    pub fn below(&mut self, limit: u32) -> u32 {
        self.next() % limit
    }

    pub fn of<const N: usize>(&mut self, values: [u32; N]) -> u32 {
        values[self.below(N as u32) as usize]
    }

    /// A value that registers may react to.
    pub fn value(&mut self) -> u32 {
        let any = self.next();
        self.of([0, 1, 2, 4, 7, 0x1f, 0x8000, 0xfe00_0000, 0xfe00_1000, 0xffff_ffff, 0xffff_fffe, any])
    }

    /// An address where a BAR is or might be, or of configuration space; never of memory, nor of the
    /// interrupt controllers.
    pub fn address(&mut self) -> u32 {
        let near = self.below(0x120);
        let place = self.of([
            0xfe00_0000,
            0xfe00_0000,
            0xfe00_0ff0,
            0xfe00_1000,
            0xfe00_17f0,
            0xfe00_2000,
            0xfd00_0000,
            0xfd0f_fff0,
            0xe002_0000,
            0xe004_0000,
            0xe00f_fff0,
            0x7fff_ff00,
            0xfffe_f000,
        ]);
        place + near
    }
}
