//! The body of a search.

#![no_main]

use scim_relay_sdk::testing::laws;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| laws::a_search_is_bounded(bytes));
