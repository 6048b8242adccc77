//! How much one PATCH may ask for. A filter of many comparisons, held against many entries by many
//! operations, would be the work of minutes in a body of a megabyte.

use crate::scim::error::Error;

/// In bytes of filters and values, each counted for every entry it is held against or written to:
/// a short filter on a thousand entries, a hundred times over.
const BUDGET: usize = 4 * 1024 * 1024;

/// What even the shortest of them costs.
const LEAST: usize = 16;

/// What is left.
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(BUDGET)
    }
}

impl Budget {
    /// Takes what so many `bytes` cost at so many `entries` of the attribute `at`.
    pub(super) fn spend(&mut self, entries: usize, bytes: usize, at: &str) -> Result<(), Error> {
        let cost = entries.saturating_mul(bytes.saturating_add(LEAST));
        let left = self.0.checked_sub(cost).ok_or_else(|| {
            Error::new(
                413,
                None,
                format!(
                    "the operations on the many values of `{at}` are too much for one request; \
                     send fewer of them, or shorter filters"
                ),
            )
        })?;
        self.0 = left;
        Ok(())
    }
}
