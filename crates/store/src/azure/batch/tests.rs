use super::*;

const TABLE: Destination<'static> = Destination { table: "http://127.0.0.1:10002/account/steadfast", partition: "web" };

fn operations() -> Vec<Operation> {
    let entity = |row: &str| Entity::new("web", row).number("Version", 7);
    vec![
        Operation { row: "h".into(), does: Does::Replace(entity("h"), "W/\"one\"".into()) },
        Operation { row: "r-a".into(), does: Does::Insert(entity("r-a")) },
        Operation { row: "r-b".into(), does: Does::Delete("W/\"two\"".into()) },
    ]
}

/// What Azurite 3.35.0 answered to such a transaction.
const DONE: &str = "--batchresponse_9e40\r\nContent-Type: multipart/mixed; boundary=changesetresponse_5f40\r\n\r\n\
    --changesetresponse_5f40\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
    HTTP/1.1 204 No Content\r\nX-Content-Type-Options: nosniff\r\nETag: W/\"datetime'2026-11-22T06%3A22%3A39.06Z'\"\r\n\r\n\r\n\
    --changesetresponse_5f40\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
    HTTP/1.1 204 No Content\r\nCache-Control: no-cache\r\nDataServiceVersion: 1.0;\r\n\r\n\r\n\
    --changesetresponse_5f40--\r\n--batchresponse_9e40--\r\n";

/// Likewise, to one that failed.
const REFUSED: &str = "--batchresponse_c5df\r\nContent-Type: multipart/mixed; boundary=changesetresponse_53e7\r\n\r\n\
    --changesetresponse_53e7\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
    HTTP/1.1 412 Precondition Failed\r\nContent-ID: 1\r\nContent-Type: application/json;charset=utf-8\r\n\r\n\
    {\"odata.error\":{\"code\":\"UpdateConditionNotSatisfied\",\"message\":{\"lang\":\"en-US\",\"value\":\"0:The update \
    condition specified in the request was not satisfied.\\nRequestId:857f\\nTime:2026\"}}}\r\n\
    --changesetresponse_53e7--\r\n--batchresponse_c5df--\r\n";

#[test]
fn a_request_names_each_operation_and_what_it_believes() {
    let (media, body) = request(TABLE, &operations());
    let body = std::str::from_utf8(&body).unwrap();
    let boundary = media.strip_prefix("multipart/mixed; boundary=").unwrap();
    assert!(body.starts_with(&format!("--{boundary}\r\n")) && body.ends_with(&format!("--{boundary}--\r\n")));
    let url = TABLE.table;
    for line in [
        format!("PUT {url}(PartitionKey='web',RowKey='h') HTTP/1.1"),
        format!("POST {url} HTTP/1.1"),
        format!("DELETE {url}(PartitionKey='web',RowKey='r-b') HTTP/1.1"),
        "If-Match: W/\"one\"".to_owned(),
        "If-Match: W/\"two\"".to_owned(),
    ] {
        assert_eq!(body.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line}\n{body}");
    }
    assert_eq!(body.matches("If-Match").count(), 2, "an insert believes that nothing is there");
}

#[test]
fn an_answer_gives_the_etags_in_order() {
    let etag = Some("W/\"datetime'2026-11-22T06%3A22%3A39.06Z'\"".to_owned());
    assert_eq!(answer(DONE.as_bytes(), 2), Ok(Answer::Done(vec![etag, None])));
}

#[test]
fn a_refusal_says_which_operation() {
    let Ok(Answer::Refused(refusal)) = answer(REFUSED.as_bytes(), 7) else { panic!("it was refused") };
    assert_eq!((refusal.status, refusal.operation), (412, Some(0)));
    assert_eq!(refusal.code, "UpdateConditionNotSatisfied");
    assert!(refusal.is_condition() && refusal.message.starts_with("The update condition"));
}

#[test]
fn what_is_no_whole_answer_is_none() {
    for wrong in ["", "\r\n\r\n", "boundary=\r\n\r\n", "--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b--"]
    {
        assert!(answer(wrong.as_bytes(), 1).is_err(), "{wrong:?}");
    }
    assert!(answer(DONE.as_bytes(), 3).is_err(), "it tells of two");
    assert!(answer(b"\xff", 1).is_err());
    // Cut off anywhere it is an answer to nothing, and never one to fewer operations.
    let end = DONE.find("--changesetresponse_5f40--").unwrap();
    for cut in 0..end {
        assert!(answer(&DONE.as_bytes()[..cut], 2).is_err(), "cut at {cut}");
    }
}
