use super::*;

fn at(s: u64) -> Moment {
    Moment::from_nanos(s * 1_000_000_000)
}

fn up(policy: Restart) -> Application {
    let mut application = Application::new(policy);
    application.start();
    application.started();
    application
}

fn crash(application: &mut Application, now: Moment) -> Option<Moment> {
    application.start();
    application.started();
    application.died(137);
    application.empty(now, 137);
    application.start_at()
}

#[test]
fn pauses_double_to_a_bound_and_begin_anew_after_a_recovery() {
    let mut application = Application::new(Restart::OnFailure);
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        assert_eq!(crash(&mut application, at(100)), Some(at(100 + pause)));
    }
    application.healthy(at(0), at(29));
    assert_eq!(crash(&mut application, at(100)), Some(at(130)), "29 s are no recovery");
    application.healthy(at(0), at(30));
    assert_eq!(crash(&mut application, at(100)), Some(at(101)));
}

#[test]
fn how_it_ends_decides_what_follows() {
    let died = |policy, code| {
        let mut application = up(policy);
        application.died(code);
        assert_eq!(application.state(), State::Dying { code });
        application.empty(at(5), code);
        application.state()
    };
    assert_eq!(died(Restart::OnFailure, 1), State::Down { start_at: at(6) });
    assert_eq!(died(Restart::OnFailure, 0), State::Over { code: 0 });
    assert_eq!(died(Restart::Never, 3), State::Over { code: 3 });

    let stopped = |policy, why| {
        let mut application = up(policy);
        application.stop(why);
        application.died(143);
        assert_eq!(application.state(), State::Stopping { why }, "we asked for it");
        application.empty(at(5), 143);
        application.state()
    };
    for policy in [Restart::OnFailure, Restart::Never] {
        assert_eq!(stopped(policy, Why::HandOver), State::Down { start_at: at(5) });
        assert_eq!(stopped(policy, Why::Leaving), State::Over { code: 143 });
    }
    assert_eq!(stopped(Restart::OnFailure, Why::Unhealthy), State::Down { start_at: at(6) });
    assert_eq!(stopped(Restart::Never, Why::Unhealthy), State::Over { code: 143 });
}
