//! The body of a POST or PUT.

#![no_main]

use scim_relay_sdk::testing::laws;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| laws::a_body_is_kept_as_it_is_served(bytes));
