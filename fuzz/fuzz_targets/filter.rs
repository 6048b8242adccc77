//! A filter.

#![no_main]

use scim_relay_sdk::testing::laws;

libfuzzer_sys::fuzz_target!(|text: &str| laws::a_filter_reads_as_it_is_printed(text));
