use bytes::Bytes;
use steadfast_host::http::{HeaderMap, StatusCode};

use super::*;

fn refusal(status: u16, code: &str) -> Refusal {
    Refusal { status, code: code.to_owned(), message: String::new(), operation: None, date: None }
}

fn commit(status: u16, code: &str) -> Error {
    Failure::Refused(refusal(status, code)).of_commit()
}

fn look(status: u16, code: &str) -> Error {
    Failure::Refused(refusal(status, code)).of_look()
}

#[test]
fn what_may_have_happened_is_said_of_no_other() {
    for (status, code) in
        [(500, "OperationTimedOut"), (500, "InternalError"), (504, ""), (502, ""), (408, ""), (599, "")]
    {
        assert!(matches!(commit(status, code), Error::OutcomeUnknown(_)), "{status} {code}");
        assert!(matches!(look(status, code), Error::Unavailable(_)), "{status} {code}");
    }
    for (status, code) in
        [(503, "ServerBusy"), (429, ""), (409, "TableBeingDeleted"), (409, "AccountIsDisabled"), (507, "")]
    {
        assert!(matches!(commit(status, code), Error::Unavailable(_)), "{status} {code}");
    }
    assert!(matches!(Failure::NotSent("x".into()).of_commit(), Error::Unavailable(_)));
    assert!(matches!(Failure::Unanswered("x".into()).of_commit(), Error::OutcomeUnknown(_)));
    assert!(matches!(Failure::TooLarge("x".into()).of_commit(), Error::OutcomeUnknown(_)));
    assert!(matches!(Failure::Unanswered("x".into()).of_look(), Error::Unavailable(_)));
}

#[test]
fn who_is_not_let_in_is_told_what_is_missing() {
    let denied = |status, code: &str| match commit(status, code) {
        Error::Denied(why) => why,
        other => panic!("{code}: {other:?}"),
    };
    assert!(denied(403, "AuthorizationPermissionMismatch").contains("Storage Table Data Contributor"));
    assert!(denied(403, "KeyBasedAuthenticationNotPermitted").contains("credential=managed"));
    assert!(denied(401, "").contains("401"));
    let late = Refusal { date: Some("Sun, 22 Nov 2026 06:22:38 GMT".into()), ..refusal(403, "AuthenticationFailed") };
    let Error::Denied(why) = Failure::Refused(late).of_look() else { panic!("not denied") };
    assert!(why.contains("06:22:38"), "{why}");
    assert!(matches!(commit(404, "TableNotFound"), Error::Config(why) if why.contains("az storage table create")));
    assert!(matches!(commit(413, "RequestBodyTooLarge"), Error::Config(_)));
    assert!(matches!(commit(400, "InvalidInput"), Error::Config(_)));
}

#[test]
fn both_services_errors_are_read() {
    let reply = |status: u16, header: Option<&'static str>, body: &'static str| {
        let code = header.map(|value| ("x-ms-error-code".parse().unwrap(), value.parse().unwrap()));
        let headers: HeaderMap = code.into_iter().collect();
        Refusal::of(&Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::from_static(body.as_bytes()),
        })
    };
    let xml = "<?xml version=\"1.0\"?><Error><Code>LeaseIdMissing</Code><Message>There is a lease.\nRequestId:1</Message></Error>";
    let refused = reply(412, None, xml);
    assert_eq!((refused.code.as_str(), refused.is_condition()), ("LeaseIdMissing", false));
    assert!(refused.is_of_a_lease());
    assert_eq!(refused.shown(), "LeaseIdMissing (412): There is a lease.");
    // A HEAD's answer has no body, and the code in a header.
    assert!(reply(404, Some("BlobNotFound"), "").is_condition());
    assert!(reply(404, Some("ContainerNotFound"), "").is_missing_place());
    let json = r#"{"odata.error":{"code":"EntityAlreadyExists","message":{"lang":"en-US","value":"1:The specified entity already exists."}}}"#;
    let refused = reply(409, None, json);
    assert_eq!((refused.operation, refused.is_condition()), (Some(1), true));
    // A stranger's page is shown as what it is, and not sent to the terminal as it came.
    let page = reply(500, None, "<Message>\u{1b}[31mred</Message>");
    assert!(!page.shown().contains('\u{1b}'), "{}", page.shown());
    assert_eq!(reply(500, None, "").shown(), "status 500");
}
