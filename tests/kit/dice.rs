//! Chance that can be had again: the same seed, the same throws.

/// Numbers that look random and are the same for the same seed (xorshift, G. Marsaglia 2003).
pub(crate) struct Dice(u64);

impl Dice {
    /// One of many for the same seed.
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        // Seeds that are close to each other are to throw nothing alike.
        Self((seed * 1_000 + number).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).expect("it is less than sides")
    }

    pub(crate) fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { of.get(self.throw(of.len())) }
    }
}

/// A run that failed is repeated with its number.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("SCIM_RELAY_TEST_SEED");
    seed.map_or(1, |seed| seed.parse().expect("SCIM_RELAY_TEST_SEED is a number"))
}
