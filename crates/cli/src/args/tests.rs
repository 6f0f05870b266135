//! Tests of `args`: the parser is sound, values mean what they say.

use clap::{CommandFactory, Parser};

use super::{Cli, PortPair, Reference, Target};

#[test]
fn the_parser_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_help_for_every_option() {
    for command in Cli::command().get_subcommands() {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for option in command.get_arguments() {
            assert!(
                option.get_help().is_some(),
                "{} {} says nothing about itself",
                command.get_name(),
                option.get_id()
            );
        }
    }
}

#[test]
fn command_lines_that_parse() {
    let rows = [
        "run -f a -f b --port-map 80=8081 --bind 0.0.0.0 --drain-timeout 1m30s --ready-fd 3",
        "run -f a --access-log all --access-log-file log --admin 127.0.0.1:0 --workers 2",
        "analyze a b - --fail-on warning -o junit",
        "explain -f a --to web.shop:80 -n pay --header x-a=b --header y=z --method POST",
        "explain -f a --gateway shop/edge:443 --host a.example --sni a.example --grpc",
        "routes -f a -n shop -o json",
        "resolve -n pay web.shop:80 --state-dir s",
        "demo --once -q",
        "completion zsh",
        "version -o json -vv --color never",
    ];
    for row in rows {
        let words = std::iter::once("weft").chain(row.split(' '));
        if let Err(error) = Cli::try_parse_from(words) {
            panic!("{row}: {error}");
        }
    }
}

#[test]
fn command_lines_that_do_not() {
    let rows = [
        "run",
        "run -f a --port-map 80",
        "run -f a --port-map 0=80",
        "run -f a --bind localhost",
        "run -f a --access-log some",
        "run -f a --drain-timeout 30",
        "explain -f a",
        "explain -f a --to web --gateway a/b",
        "explain -f a --gateway edge",
        "explain -f a --to web --header x",
        "resolve web.shop:0",
        "resolve a.b.c",
        "version -o xml",
    ];
    for row in rows {
        let words = std::iter::once("weft").chain(row.split(' '));
        assert!(Cli::try_parse_from(words).is_err(), "{row}");
    }
}

#[test]
fn services_as_clients_write_them() {
    let target = |service: &str, namespace: Option<&str>, port| Target {
        service: service.to_owned(),
        namespace: namespace.map(str::to_owned),
        port,
    };
    let rows = [
        ("web", target("web", None, None)),
        ("web:80", target("web", None, Some(80))),
        ("web.shop", target("web", Some("shop"), None)),
        ("web.shop.svc:80", target("web", Some("shop"), Some(80))),
        (
            "web.shop.svc.cluster.local:80",
            target("web", Some("shop"), Some(80)),
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
    assert_eq!(target("web", None, None).name("pay").to_string(), "pay/web");
}

#[test]
fn gateways_and_port_pairs() {
    let edge: Reference = "shop/edge:443".parse().expect("a Gateway");
    assert_eq!(
        (edge.name.to_string().as_str(), edge.port),
        ("shop/edge", Some(443))
    );
    let pair: PortPair = "80=8081".parse().expect("two ports");
    assert_eq!((pair.from, pair.to), (80, 8081));
}
