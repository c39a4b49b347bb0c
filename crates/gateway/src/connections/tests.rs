use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn of(most: Option<usize>, per_source: Option<usize>, files: u64) -> Result<Connections, Error> {
    let bounds = Bounds { connections: most, connections_per_source: per_source, ..Bounds::default() };
    Connections::new(&bounds, &["10.9.0.0/16".parse().unwrap()], files)
}

#[test]
fn what_may_be_open_decides_how_many_are_taken() {
    for (files, connections, per_source) in
        [(1_000_000, 100_000, 25_000), (20_000, 9_872, 2_468), (1_024, 384, 96), (256, 64, 16), (8, 2, 1), (0, 1, 1)]
    {
        assert_eq!(of(None, None, files).unwrap().most(), (connections, per_source), "of {files} files");
    }
    assert_eq!(of(Some(200_000), None, 1_000_000).unwrap().most(), (200_000, 50_000), "what is asked for is taken");
    assert_eq!(of(Some(384), Some(7), 1_024).unwrap().most(), (384, 7));
    let error = of(Some(385), None, 1_024).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert_eq!(
        error.to_string(),
        "connections = 385 in [limits] needs 1026 open files, and this process may have 1024: allow it more (ulimit -n, \
         LimitNOFILE= of the systemd unit), or take at most 384"
    );
}

#[test]
fn a_source_has_so_many_and_no_more_whatever_its_address_looks_like() {
    let connections = of(Some(100), Some(2), 1_024).unwrap();
    for (one, same, other) in
        [("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"), ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1")]
    {
        let (first, second) = (connections.enter(ip(one)).unwrap(), connections.enter(ip(same)).unwrap());
        assert_eq!(connections.enter(ip(same)).unwrap_err(), TooMany, "{same} is {one}");
        let third = connections.enter(ip(other)).unwrap();
        assert_eq!((connections.now(), connections.sources()), (3, 2));
        connections.leave(first);
        let again = connections.enter(ip(same)).unwrap();
        [second, third, again].into_iter().for_each(|counted| connections.leave(counted));
        assert_eq!((connections.now(), connections.sources()), (0, 0), "nothing is kept");
    }
}

#[test]
fn proxies_that_are_trusted_count_for_all_but_for_no_source() {
    let connections = of(Some(5), Some(1), 1_024).unwrap();
    let inside: Vec<Counted> = (0..5).map(|_| connections.enter(ip("10.9.1.1")).unwrap()).collect();
    assert!(!connections.has_room() && connections.sources() == 0);
    inside.into_iter().for_each(|counted| connections.leave(counted));
    assert!(connections.has_room());
}

#[test]
fn threads_that_come_and_go_leave_nothing_behind() {
    let connections = of(Some(1_000), Some(3), 4_096).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let connections = &connections;
            scope.spawn(move || {
                for n in 0..20_000_u32 {
                    let source = IpAddr::V4((0x0a00_0000 | (n % 97)).into());
                    if let Ok(counted) = connections.enter(source) {
                        if n % 7 == thread {
                            std::thread::yield_now();
                        }
                        connections.leave(counted);
                    }
                }
            });
        }
    });
    assert_eq!((connections.now(), connections.sources()), (0, 0));
}
