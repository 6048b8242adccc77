//! The path of an attribute, as projections, sorting and PATCH write it.

#![no_main]

use scim_relay_sdk::testing::laws;

libfuzzer_sys::fuzz_target!(|text: &str| laws::a_path_reads_as_it_is_printed(text));
