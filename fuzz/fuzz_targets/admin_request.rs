#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| steadfast::fuzzing::admin_request(data));
