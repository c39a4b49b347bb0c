use super::*;

#[test]
fn endpoints_have_one_text_form() {
    for (text, canonical) in [
        ("http://10.0.0.4:8081", "http://10.0.0.4:8081"),
        ("http://10.0.0.4:8081/", "http://10.0.0.4:8081"),
        ("http://web.example", "http://web.example:80"),
        ("https://Web.Example", "https://web.example:443"),
        ("tcp://[::1]:5432", "tcp://[::1]:5432"),
        ("http://[::1]", "http://[::1]:80"),
        ("rtsp://cam_1:554", "rtsp://cam_1:554"),
    ] {
        assert_eq!(text.parse::<Endpoint>().map(|e| e.to_string()).as_deref(), Ok(canonical), "{text}");
    }
    for text in [
        "",
        "10.0.0.4:80",
        "http://",
        "http://:80",
        "tcp://host",
        "http://host:0",
        "http://host:65536",
        "http://a b:80",
        "http://h:80/path",
        "http://u@h:80",
        "http://1.2.3:80",
        "http://[::1:80",
        "ht tp://h:80",
        "HTTP://h:80",
        "http://h\r\n:80",
    ] {
        assert!(text.parse::<Endpoint>().is_err(), "{text:?} must be refused");
    }
}
