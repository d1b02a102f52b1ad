//! A gzip stream that is some hundred times smaller than what it holds.

/// `before`, then `' '` at least `blanks` times, then `after`.
pub fn bomb(before: &str, repeated: u8, times: usize, after: &str) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.value(1, 1); // the last block
    bits.value(1, 2); // with the fixed codes
    before.bytes().for_each(|byte| bits.literal(byte));
    bits.literal(repeated);
    for _ in 0..times.div_ceil(258) {
        // The longest match, at the distance of one byte.
        bits.code(0b1100_0101, 8);
        bits.code(0, 5);
    }
    after.bytes().for_each(|byte| bits.literal(byte));
    bits.code(0, 7);
    let mut stream = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    stream.extend(bits.bytes());
    // Nobody gets as far as the checksum.
    stream.extend([0; 8]);
    stream
}

/// Bits as deflate packs them (RFC 1951, 3.1.1).
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    free: u32,
}

impl Bits {
    fn bit(&mut self, bit: u32) {
        if self.free == 0 {
            self.bytes.push(0);
            self.free = 8;
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit & 1 == 1) << (8 - self.free);
        }
        self.free -= 1;
    }

    /// From the lowest bit.
    fn value(&mut self, value: u32, length: u32) {
        (0..length).for_each(|at| self.bit(value >> at));
    }

    /// From the highest bit.
    fn code(&mut self, code: u32, length: u32) {
        (0..length).rev().for_each(|at| self.bit(code >> at));
    }

    fn literal(&mut self, byte: u8) {
        self.code(0b0011_0000 + u32::from(byte), 8);
    }

    fn bytes(self) -> Vec<u8> {
        self.bytes
    }
}
