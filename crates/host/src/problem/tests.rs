use super::*;

#[test]
fn a_problem_comes_back_as_it_was_sent() {
    let sent = Problem {
        title: "No room".into(),
        ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-room", "every instance of \"rec\" is full")
    }
    .retry_after(Duration::from_millis(1500));
    let response = Response::from(sent.clone());
    assert_eq!(response.status, 503);
    assert_eq!(response.headers[header::CONTENT_TYPE], MEDIA_TYPE);
    assert_eq!(response.headers[header::RETRY_AFTER], "2", "rounded up: earlier would be too early");
    let text = String::from_utf8(response.body().unwrap().to_vec()).unwrap();
    assert_eq!(
        text,
        r#"{"title":"No room","status":503,"reason":"no-room","detail":"every instance of \"rec\" is full"}"#
    );
    let read = Problem::of(response.status, &response.headers, response.body().unwrap()).unwrap();
    assert_eq!(read, Problem { retry_after: Some(Duration::from_secs(2)), ..sent });
}

#[test]
fn any_answer_of_400_and_above_is_a_problem() {
    let read = |status, media: &'static str, body: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        Problem::of(StatusCode::from_u16(status).unwrap(), &headers, &Bytes::from_static(body.as_bytes()))
    };
    assert_eq!(read(200, MEDIA_TYPE, "{}"), None);
    for (media, body) in [
        ("text/html", "<h1>Bad gateway</h1>"),
        (MEDIA_TYPE, "not json"),
        (MEDIA_TYPE, "{}"),
        (MEDIA_TYPE, "{\"reason\":7}"),
    ] {
        let problem = read(502, media, body).unwrap();
        assert_eq!(
            (problem.status, problem.reason.as_str(), problem.detail.as_str()),
            (502, "http-502", "Bad Gateway"),
            "{body}"
        );
    }
}
