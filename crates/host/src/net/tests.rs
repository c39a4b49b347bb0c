use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What `look` finds, in time. A socket closed here may live on for a moment in a child that another test has forked.
async fn soon<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            match look() {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), found).await.expect("in time")
}

#[tokio::test]
async fn a_taken_address_is_told_with_its_owner() {
    let taken = Listener::tcp(ANY_PORT).unwrap();
    let address = taken.local_addr().unwrap();
    let error = Listener::tcp(address).unwrap_err();
    assert_eq!(error.owner.as_ref().map(|owner| owner.pid), Some(std::process::id().cast_signed()));
    let text = error.to_string();
    assert!(text.starts_with(&format!("cannot listen on {address}: it is in use by ")), "{text}");
    assert!(text.contains(&format!("(pid {})", std::process::id())), "{text}");
}

#[tokio::test]
async fn an_address_of_another_machine_is_told() {
    let error = Listener::tcp(SocketAddr::from(([203, 0, 113, 9], 8080))).unwrap_err().to_string();
    assert!(error.ends_with("has the address 203.0.113.9; listen on 0.0.0.0:8080 or an address it has"), "{error}");
}

#[tokio::test]
async fn listeners_that_share_have_one_address() {
    let one = bind_tcp(ANY_PORT, Sharing::Shared).unwrap();
    let address = one.local_addr().unwrap();
    let other = bind_tcp(address, Sharing::Shared).unwrap();
    assert_eq!(other.local_addr().unwrap(), address);
    bind_tcp(address, Sharing::Alone).unwrap_err();
}

#[tokio::test]
async fn bytes_go_through_either_kind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let tcp = Listener::tcp(ANY_PORT).unwrap();
    let address = tcp.local_addr().unwrap();
    let unix = Listener::unix(&path).unwrap();

    let client = connect_tcp(&Host::Ip(address.ip()), address.port()).await.unwrap();
    let (served, peer) = tcp.accept().await;
    assert_eq!(peer, Peer::Tcp(client.local_addr().unwrap()));
    assert!(peer.is_local());
    echo(served, Stream::Tcp(client)).await;

    let client = tokio::net::UnixStream::connect(&path).await.unwrap();
    let (served, peer) = unix.accept().await;
    assert_eq!(peer, Peer::Unix { pid: Some(std::process::id().cast_signed()) });
    echo(served, Stream::Unix(client)).await;
}

async fn echo(mut one: Stream, mut other: Stream) {
    one.write_all(b"hello").await.unwrap();
    let mut read = [0; 5];
    other.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"hello");
}

#[tokio::test]
async fn a_unix_socket_is_private_replaced_when_stale_and_removed_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "std leaves the file of a dead socket behind");

    let listener = soon(|| Listener::unix(&path).ok()).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let second = Listener::unix(&path).unwrap_err();
    assert_eq!(second.source.kind(), io::ErrorKind::AddrInUse);
    drop(listener);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");

    for (bytes, fits) in [(102, true), (103, false)] {
        let path = dir.path().join("x".repeat(bytes - dir.path().as_os_str().len() - 1));
        let listener = Listener::unix(&path);
        assert_eq!(listener.is_ok(), fits, "{bytes}");
        if let Err(error) = listener {
            assert!(error.to_string().ends_with("choose one of at most 102 bytes"), "{error}");
        }
    }

    std::fs::write(&path, "precious").unwrap();
    Listener::unix(&path).unwrap_err();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_reserved_port_is_nobody_elses_until_released() {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let reserved = reserve_port(ip, 20_000..=29_999).unwrap();
    let port = reserved.port();
    let refused = reserve_port(ip, port..=port).unwrap_err();
    assert!(refused.to_string().starts_with(&format!("no port of {port}-{port} is free on 127.0.0.1")));
    bind_tcp(SocketAddr::new(ip, port), Sharing::Alone).unwrap_err();
    assert_eq!(reserved.release(), port);
    soon(|| bind_tcp(SocketAddr::new(ip, port), Sharing::Alone).ok()).await;
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is tried")]
    reserve_port(ip, 2..=1).unwrap_err();
}

#[test]
fn a_reserved_port_that_is_shared_is_had_again_and_again_by_those_who_share_and_by_nobody_else() {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let reserved = reserve_port(ip, 20_000..=29_999).unwrap();
    let (port, address) = (reserved.port(), SocketAddr::new(ip, reserved.port()));
    bind_tcp(address, Sharing::Shared).unwrap_err();
    reserved.share().unwrap();
    for _ in 0..2 {
        let listening = bind_tcp(address, Sharing::Shared).unwrap();
        drop(std::net::TcpStream::connect(address).unwrap());
        drop(listening);
        std::net::TcpStream::connect(address).unwrap_err();
        bind_tcp(address, Sharing::Alone).unwrap_err();
        reserve_port(ip, port..=port).unwrap_err();
    }
}

#[tokio::test]
async fn names_resolve_and_unknown_ones_are_told() {
    let local = resolve(&Host::Name("localhost".into()), 80, RESOLVE_WITHIN).await.unwrap();
    assert!(local.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
    let error = resolve(&Host::Name("nobody.invalid".into()), 80, RESOLVE_WITHIN).await.unwrap_err();
    assert!(error.to_string().contains("nobody.invalid"), "{error}");
}

#[test]
fn an_ipv4_peer_of_an_ipv6_socket_is_an_ipv4_peer() {
    let peer = Peer::Tcp("[::ffff:127.0.0.1]:80".parse().unwrap());
    assert_eq!(peer.ip(), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    assert!(peer.is_local());
}
