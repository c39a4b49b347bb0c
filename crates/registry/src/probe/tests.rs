use super::*;

fn answer(role: Role, reason: ProbeReason) -> ProbeAnswer {
    ProbeAnswer {
        set: "web".parse().unwrap(),
        instance: "web-1".parse().unwrap(),
        incarnation: Incarnation(0xa1),
        role,
        epoch: 7,
        valid_for_ms: 2_400,
        reason,
    }
}

#[test]
fn an_answer_is_this_document() {
    let text = r#"{"set":"web","instance":"web-1","incarnation":"00000000000000a1","role":"leader","epoch":7,"valid_for_ms":2400,"reason":"leading"}"#;
    let leader = answer(Role::Leader, ProbeReason::Leading);
    assert_eq!(serde_json::to_string(&leader).unwrap(), text);
    assert_eq!(serde_json::from_str::<ProbeAnswer>(text).unwrap(), leader);
    assert_eq!(leader.leading(), Some(Epoch(7)));
}

#[test]
fn a_member_of_a_sticky_set_leads_nothing() {
    let member = ProbeAnswer { epoch: 0, valid_for_ms: 0, ..answer(Role::Member, ProbeReason::Healthy) };
    let text = serde_json::to_string(&member).unwrap();
    assert!(text.contains(r#""role":"member","epoch":0,"valid_for_ms":0,"reason":"healthy""#), "{text}");
    assert_eq!((serde_json::from_str(&text).ok(), member.leading()), (Some(member.clone()), None));
}

#[test]
fn every_reason_is_read_as_it_is_written() {
    for reason in ProbeReason::ALL {
        let text = serde_json::to_string(&reason).unwrap();
        assert_eq!(text, format!("\"{}\"", reason.as_str()));
        assert_eq!(serde_json::from_str::<ProbeReason>(&text).unwrap(), reason);
    }
}

#[test]
fn words_of_a_newer_agent_leave_the_answer_readable_and_never_make_a_leader() {
    let text = serde_json::to_string(&answer(Role::Leader, ProbeReason::Leading)).unwrap();
    let newer = text.replace("\"leader\"", "\"observer\"").replace("\"leading\"", "\"eclipsed\"");
    let read: ProbeAnswer = serde_json::from_str(&newer).unwrap();
    assert_eq!((read.leading(), read.reason), (None, ProbeReason::Other));
}
