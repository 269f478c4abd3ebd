use super::*;

fn load(text: &str) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tripline.yaml");
    std::fs::write(&path, text).unwrap();
    Config::load(Some(&path))
}

#[test]
fn a_file_overrides_what_it_names_and_nothing_else() {
    let config =
        load("sink: stdout\nlimits: {body: 1MiB, headTime: 2s}\ndrain: {delay: 0s}\n").unwrap();
    assert_eq!(config.sink().unwrap(), Sink::Stdout);
    let limits = config.ingress_limits();
    assert_eq!(limits.body, 1024 * 1024);
    assert_eq!(limits.head_time, Duration::from_secs(2));
    assert_eq!(limits.total_time, Limits::DEFAULT.total_time);
    assert_eq!(config.drain.delay, Duration::ZERO);
}

#[test]
fn the_shipped_defaults_are_valid() {
    let config = Config::default();
    config.check().unwrap();
    assert_eq!(config.ingress_limits(), Limits::DEFAULT);
    assert_eq!(sqlite(&config), Path::new(".tripline/journal.db"));
}

#[test]
fn links_to_services_are_no_settings() {
    let names = [
        "TRIPLINE_SINK",
        "TRIPLINE_ADMIN__TOKEN_FILE",
        "TRIPLINE_SERVICE_HOST",
        "TRIPLINE_SERVICE_PORT",
        "TRIPLINE_SERVICE_PORT_HTTP",
        "TRIPLINE_PORT",
        "TRIPLINE_PORT_8080_TCP",
        "TRIPLINE_PORT_8080_TCP_ADDR",
        "TRIPLINE_PORT_8080_TCP_PORT",
        "TRIPLINE_ADMIN_SERVICE_HOST",
        "PATH",
    ];
    let variables = names
        .iter()
        .map(|name| ((*name).to_owned(), "x".to_owned()));
    let mut kept: Vec<String> = settings_of(variables).into_keys().collect();
    kept.sort();
    assert_eq!(kept, ["TRIPLINE_ADMIN__TOKEN_FILE", "TRIPLINE_SINK"]);
}

#[test]
fn unknown_keys_and_values_are_named() {
    for (text, expected) in [
        ("snik: stdout", "snik"),
        ("limits: {bodi: 1MiB}", "bodi"),
        ("limits: {headTime: soon}", "soon"),
        ("drain: {delay: -1s}", "negative"),
        ("kube: {ports: '9-8'}", "no range of ports"),
    ] {
        let error = load(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for (text, key) in [
        ("limits: {body: 1GiB}", "limits.body"),
        ("limits: {head: 1KiB}", "limits.head"),
        ("limits: {connections: 0}", "limits.connections"),
        ("sink: 's3:x'", "sink"),
        ("sink: 'dir:'", "sink"),
        ("journal: 'redis://x'", "journal"),
        ("journal: 'nats://x'\nnats: {replicas: 2}", "nats.replicas"),
        ("journal: 'nats://x'\nnats: {prefix: 'a.b'}", "nats.prefix"),
        (
            "journal: 'nats://x'\nnats: {tls: {cert: a.pem}}",
            "nats.tls",
        ),
        ("admin: {listen: '0.0.0.0:9000'}", "admin.listen"),
        ("kube: {service: tripline}", "kube.service"),
        ("kube: {endpoints: [127.0.0.1]}", "kube.endpoints"),
        (
            "kube: {endpoints: [192.0.2.1], ports: 8000-8100}",
            "kube.ports",
        ),
        ("ingress: {tls: {cert: c.pem}}", "ingress.tls"),
        ("webhook: {listen: '0.0.0.0:8443'}", "webhook.listen"),
    ] {
        let error = load(text).unwrap().check().unwrap_err().to_string();
        assert!(error.contains(key), "{text}: {error}");
    }
}

#[test]
fn an_admin_port_with_a_token_may_be_reachable() {
    let text = "admin: {listen: '0.0.0.0:9000', tokenFile: /run/token}";
    load(text).unwrap().check().unwrap();
}

fn sqlite(config: &Config) -> PathBuf {
    match config.journal_place().unwrap() {
        JournalPlace::Sqlite(path) => path,
        JournalPlace::Nats(nats) => panic!("{nats:?}"),
    }
}

#[test]
fn servers_of_nats_are_taken_as_they_are_written() {
    let config = Config {
        journal: "nats://a:4222,nats://b:4222".into(),
        ..Config::default()
    };
    let JournalPlace::Nats(nats) = config.journal_place().unwrap() else {
        panic!("it is no NATS server");
    };
    assert_eq!(nats.access.servers, "nats://a:4222,nats://b:4222");
    assert_eq!((nats.settings.replicas, nats.settings.max_bytes), (1, -1));
    assert_eq!(nats.seal, Path::new(".tripline/seal.key"));
}

#[test]
fn retries_that_make_no_sense_are_named() {
    let config =
        load("retry: {attempts: 5, maxAge: 1h, shortMaxAge: 5m, firstWait: 2s, longestWait: 1m}\n");
    let policy = config.unwrap().retry.policy().unwrap();
    assert_eq!(policy.attempts, Some(5));
    assert_eq!(policy.give_up_after, Duration::from_secs(3600));
    assert_eq!(policy.give_up_soon_after, Duration::from_secs(300));
    assert_eq!(policy.first_wait, Duration::from_secs(2));
    assert_eq!(policy.longest_wait, Duration::from_secs(60));
    for (text, expected) in [
        ("retry: {attempts: 0}", "retry.attempts: must be at least 1"),
        ("retry: {maxAge: 0s}", "retry.maxAge: "),
        ("retry: {shortMaxAge: 9000h}", "retry.shortMaxAge: "),
        (
            "retry: {firstWait: 1ms}",
            "the first wait is at least 100ms",
        ),
        ("retry: {firstWait: 10m}", "the longest wait is shorter"),
    ] {
        let told = load(text).and_then(|config| config.check()).unwrap_err();
        assert!(told.to_string().contains(expected), "{told}");
    }
}
