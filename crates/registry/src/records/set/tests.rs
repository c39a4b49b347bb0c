//! A set's record as bytes.

use super::super::{decode, encode};
use super::*;

const SINGLE: &str =
    r#"{"v":1,"kind":"single","lease_ttl":"3s","clock_drift":0.1,"park_for":"10s","release_after":"0s"}"#;
const STICKY: &str = r#"{"v":1,"kind":"sticky","admit_below":0.85,"claim_within":"30s","client":["query:camera","header:x-camera"],"forget_after":"never","home_full":"move","home_wait":"0s","idle_after":"1m","max_clients":10000000,"new_per_source":1000,"on_home_lost":"move","policy":"spread","prefer":{"zone":"header:zone"},"presence":"report","require":{"region":"query:region"},"return_home":"when-idle","weight":"query:mbps","weight_default":1,"weight_max":12.5}"#;

fn read(text: &str) -> SetRecord {
    decode("set/web", text.as_bytes()).unwrap()
}

fn settings(record: &SetRecord) -> Result<SetSettings, String> {
    record.settings(&"web".parse().unwrap()).map_err(|error| error.to_string())
}

fn written(record: &SetRecord) -> String {
    String::from_utf8(encode(record)).unwrap()
}

/// The document stands for settings, whose record is this very document.
#[track_caller]
fn golden(text: &str) -> SetSettings {
    let settings = settings(&read(text)).unwrap();
    assert_eq!(written(&SetRecord::new(&settings)), text);
    assert_eq!(SetRecord::new(&settings), read(text));
    settings
}

#[test]
fn a_single_set() {
    assert_eq!(golden(SINGLE), SetSettings::Single(SingleSettings::default()));
}

#[test]
fn a_sticky_set() {
    let SetSettings::Sticky(sticky) = golden(STICKY) else { panic!("it is sticky") };
    assert_eq!(sticky.admit_below_milli, 850);
    assert_eq!(sticky.forget_after, None);
    assert_eq!(sticky.weight_max.map(|most| most.as_milli()), Some(12_500));
    assert_eq!(sticky.client.to_string(), "query:camera, header:x-camera");
    let few = r#"{"v":1,"kind":"sticky","client":"query:camera"}"#;
    assert!(settings(&read(few)).is_ok(), "what an older version did not know yet has its default");
}

#[test]
fn fields_of_a_newer_version_are_kept() {
    let newer = SINGLE.replace(r#""0s"}"#, r#""0s","witness":{"n":3}}"#);
    let again = settings(&read(&newer)).unwrap();
    assert_eq!(written(&read(&newer).rewritten(&again)), newer);

    let newer = STICKY.replace("12.5}", r#"12.5,"witness":{"n":[3,null]}}"#);
    let SetSettings::Sticky(sticky) = settings(&read(&newer)).unwrap() else { panic!("it is sticky") };
    let again = SetSettings::Sticky(sticky);
    assert_eq!(written(&read(&newer).rewritten(&again)), newer);
    let without_a_most = STICKY.replace(r#","weight_max":12.5"#, "");
    let fewer = settings(&read(&without_a_most)).unwrap();
    assert_eq!(written(&read(STICKY).rewritten(&fewer)), without_a_most, "a known field can be taken away");

    let other = r#"{"v":1,"kind":"mirrored","copies":3}"#;
    assert_eq!(written(&read(other)), other);
}

#[test]
fn what_cannot_be_used_is_refused_with_the_reason() {
    for (text, expected) in [
        (r#"{"v":1,"kind":"mirrored"}"#, "kind \"mirrored\" is not known here: expected \"single\" or \"sticky\""),
        (&*SINGLE.replace("0.1", "-1.0"), "clock_drift -1 is not between 0 and 1"),
        (&*SINGLE.replace("3s", "100ms"), "lease_ttl must be"),
        (r#"{"v":1,"kind":"sticky"}"#, "client is missing"),
        (r#"{"v":1,"kind":"sticky","client":7,"policy":"x"}"#, "not a number; policy: \"x\" is not a policy"),
        (r#"{"v":1,"kind":"sticky","client":["query:a",1]}"#, "not a list of other things than strings"),
        (r#"{"v":1,"kind":"sticky","client":"query:a","max_clients":1e30}"#, "max_clients is to be a whole number"),
        (r#"{"v":1,"kind":"sticky","client":"query:a","weight":true}"#, "not a boolean"),
    ] {
        let refused = settings(&read(text)).expect_err(text);
        assert!(refused.starts_with("set/web: ") && refused.contains(expected), "{refused}");
    }
    for text in [r#"{"v":1}"#, r#"{"v":1,"kind":3}"#, r#"{"v":1,"kind":"single","lease_ttl":"3s"}"#] {
        assert!(decode::<SetRecord>("set/web", text.as_bytes()).is_err(), "{text}");
    }
}
