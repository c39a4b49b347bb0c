use alloc::string::ToString;

use super::*;

#[test]
fn a_place_is_its_text() {
    for (text, source) in [
        ("query:camera", Source::Query("camera".into())),
        ("query:camera id", Source::Query("camera id".into())),
        ("query:a:b", Source::Query("a:b".into())),
        ("header:x-camera", Source::Header("x-camera".into())),
        ("cookie:SID", Source::Cookie("SID".into())),
        ("path:{room}", Source::Path("room".into())),
        ("source-ip", Source::SourceIp { prefix: None }),
        ("source-ip/24", Source::SourceIp { prefix: Some(24) }),
    ] {
        assert_eq!(text.parse::<Source>().as_ref(), Ok(&source), "{text}");
        assert_eq!(source.to_string(), text);
    }
    assert_eq!("header:X-Camera".parse::<Source>().unwrap().to_string(), "header:x-camera");
}

#[test]
fn what_is_no_place_is_refused_with_what_would_be_right() {
    for (text, expected) in [
        ("", "expected query:NAME"),
        ("camera", "expected query:NAME"),
        ("qurey:camera", "expected query:NAME"),
        ("query:", "such as query:camera"),
        ("query", "such as query:camera"),
        ("query:a\nb", "control characters"),
        ("header:x camera", "such as header:x-camera"),
        ("cookie:a;b", "such as cookie:session"),
        ("path:room", "path:{NAME}"),
        ("path:{}", "path:{NAME}"),
        ("path:{Room}", "path:{NAME}"),
        ("source-ip/0", "source-ip/32"),
        ("source-ip/33", "source-ip/32"),
        ("source-ip/64/64", "source-ip/32"),
        ("source-ip:1", "expected query:NAME"),
    ] {
        let refused = text.parse::<Source>().expect_err(text).to_string();
        assert!(refused.contains(expected), "{text:?}: {refused}");
    }
    for text in ["jwt:sub", "sni", "tls-subject"] {
        let refused = text.parse::<Source>().expect_err(text).to_string();
        assert!(refused.contains("is not a place in a request that is read yet: expected query:NAME"), "{refused}");
    }
    assert!(alloc::format!("query:{}", "x".repeat(129)).parse::<Source>().is_err());
}

#[test]
fn places_are_listed() {
    let sources = Sources(["query:camera", "header:x-camera"].map(|text| text.parse().unwrap()).into());
    assert_eq!(sources.to_string(), "query:camera, header:x-camera");
    assert_eq!(Sources::default().to_string(), "");
}
