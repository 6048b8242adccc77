//! A resource on the first line, and the body of a PATCH after it.

#![no_main]

use scim_relay_sdk::testing::laws;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| laws::a_patch_leaves_a_resource(bytes));
