#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| steadfast_core::fuzzing::placement(data));
