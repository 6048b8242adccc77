//! The body of a bulk request.

#![no_main]

use scim_relay_sdk::testing::laws;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| laws::a_bulk_comes_to_an_end(bytes));
