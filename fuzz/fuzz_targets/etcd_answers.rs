#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| steadfast_store::fuzzing::etcd_answers(data));
