use super::*;

fn config() -> AgentConfig {
    AgentConfig::new("web".parse().unwrap(), "web-1".parse().unwrap(), "/tmp".into())
}

async fn resolved(name: &str, source: &str) -> Result<String, Error> {
    let mut config = config();
    config.command = Some(vec!["app".into()]);
    config.endpoints.insert(name.parse().unwrap(), source.parse()?);
    let found = Endpoints::resolve(&config).await?;
    Ok(found.direct.values().next().map(ToString::to_string).unwrap_or_default())
}

#[tokio::test]
async fn a_url_a_host_and_port_or_a_port_will_do() {
    for (name, source, expected) in [
        ("http", "http://10.0.0.4:8081", "http://10.0.0.4:8081"),
        ("http", "exec:echo https://web.example:8443", "https://web.example:8443"),
        ("http", "exec:echo web.example:8081", "http://web.example:8081"),
        ("stream", "exec:echo 10.0.0.4:8081", "tcp://10.0.0.4:8081"),
        ("http", "exec:printf ' 8081\\n\\n'", "http://127.0.0.1:8081"),
        ("http", "exec:echo $((8000 + 81))", "http://127.0.0.1:8081"),
    ] {
        assert_eq!(resolved(name, source).await.ok().as_deref(), Some(expected), "{source}");
    }
}

#[tokio::test]
async fn what_is_no_address_is_told_with_where_it_came_from() {
    for (source, expected) in [
        ("exec:exit 3", "exit code 3"),
        ("exec:echo sorry >&2; exit 1", "sorry"),
        ("exec:true", "expected a URL, host:port or a port"),
        ("exec:echo 0", "http"),
        ("exec:echo 65536", "65536"),
        ("env:STEADFAST_TEST_NOT_SET", "STEADFAST_TEST_NOT_SET"),
        ("env:PATH", "the environment variable PATH is"),
    ] {
        let error = resolved("http", source).await.unwrap_err();
        assert_eq!(error.class(), crate::Class::Configuration);
        assert!(error.to_string().contains(expected) && error.to_string().contains("http"), "{source}: {error}");
    }
}

#[tokio::test]
async fn an_automatic_port_is_ours_until_it_is_given_away() {
    let mut config = config();
    config.endpoints.insert("http".parse().unwrap(), EndpointSource::Auto);
    let mut found = Endpoints::resolve(&config).await.unwrap();
    let port = found.port_of("http").unwrap();
    assert!(config.ports.contains(&port));
    let anywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let error = reserve_port(anywhere, port..=port).unwrap_err().to_string();
    assert!(error.contains(&port.to_string()), "{error}");
    config.ports = port..=port;
    let error = Endpoints::resolve(&config).await.unwrap_err().to_string();
    assert!(error.contains("endpoint http") && error.contains("widen the range"), "{error}");
    found.release();
    reserve_port(anywhere, port..=port).unwrap();
}

#[test]
fn a_wildcard_is_no_address_to_be_found_at() {
    let anywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let mut config = config();
    let error = advertised(&config, anywhere).unwrap_err();
    assert!(error.to_string().contains("--advertise"), "{error}");
    config.endpoints.insert("http".parse().unwrap(), "http://10.0.0.4:8081".parse().unwrap());
    let host = |config: &AgentConfig, listening| advertised(config, listening).unwrap().to_string();
    assert_eq!(host(&config, anywhere), "10.0.0.4");
    assert_eq!(host(&config, IpAddr::V4(Ipv4Addr::LOCALHOST)), "127.0.0.1");
    config.advertise = Some("vm-4.example".parse().unwrap());
    assert_eq!(host(&config, IpAddr::V4(Ipv4Addr::LOCALHOST)), "vm-4.example");
}
