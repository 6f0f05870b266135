//! Tables of real first bytes, and the law that an answer never changes.

use proptest::prelude::*;

use crate::{
    ClientHello, Detection, MAX_CLIENT_HELLO_BYTES, MAX_PEEK_BYTES, MAX_REQUEST_LINE_BYTES, detect,
};

/// Asserts `expected` for `bytes`, and `NeedMore` or `expected` for each prefix.
#[track_caller]
fn check(row: &str, bytes: &[u8], expected: &Detection) {
    assert_eq!(&detect(bytes), expected, "{row}");
    for length in 0..bytes.len() {
        let early = detect(&bytes[..length]);
        assert!(
            early == Detection::NeedMore || &early == expected,
            "{row}: {early:?} after {length} bytes, {expected:?} in the end"
        );
    }
}

fn vec16(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("a short test vector");
    [&length.to_be_bytes()[..], body].concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().to_vec(), vec16(body)].concat()
}

fn sni(name: &[u8]) -> Vec<u8> {
    extension(0, &vec16(&[&[0], &*vec16(name)].concat()))
}

fn alpn(names: &[&[u8]]) -> Vec<u8> {
    let list: Vec<u8> = names
        .iter()
        .flat_map(|name| [&[u8::try_from(name.len()).expect("short")], *name].concat())
        .collect();
    extension(16, &vec16(&list))
}

/// The body of a TLS 1.3 ClientHello with a GREASE suite and the given extensions.
fn hello_body(extensions: &[u8]) -> Vec<u8> {
    let fixed: &[u8] = &[
        &[3, 3][..],
        &[0x5a; 32],
        &[32],
        &[0xa5; 32],
        &vec16(&[0x0a, 0x0a, 0x13, 0x01, 0x13, 0x02]),
        &[1, 0],
    ]
    .concat();
    [fixed, &vec16(extensions)].concat()
}

fn message(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len())
        .expect("a short test message")
        .to_be_bytes();
    [&[1], &length[1..], body].concat()
}

/// `message` in records of at most `fragment` bytes.
fn records(message: &[u8], fragment: usize) -> Vec<u8> {
    message
        .chunks(fragment)
        .flat_map(|part| [&[22, 3, 1][..], &vec16(part)].concat())
        .collect()
}

fn hello(extensions: &[&[u8]]) -> Vec<u8> {
    records(&message(&hello_body(&extensions.concat())), 1 << 14)
}

fn tls(sni: Option<&str>, alpn: &[&[u8]]) -> Detection {
    let alpn = alpn.iter().map(|name| name.to_vec()).collect();
    Detection::Tls(ClientHello {
        sni: sni.map(str::to_owned),
        alpn,
    })
}

/// A recorded first flight; see `testdata/README.md`.
fn recorded(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    let byte = |pair: &[u32]| u8::try_from(pair[0] * 16 + pair[1]).expect("two digits");
    digits.chunks_exact(2).map(byte).collect()
}

fn openssl() -> Vec<u8> {
    recorded(include_str!("../testdata/openssl-tls12.hex"))
}

#[test]
fn http1() {
    let rows: &[(&str, &[u8])] = &[
        ("a method called PRI", b"PRI * HTTP/1.1\r\n"),
        ("a method that starts like it", b"PRINT / HTTP/1.1\r\n"),
        ("GET", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("HTTP/1.0", b"GET / HTTP/1.0\r\n"),
        ("absolute form", b"GET http://a/ HTTP/1.1\r\n"),
        ("CONNECT", b"CONNECT a:443 HTTP/1.1\r\n"),
        ("asterisk form", b"OPTIONS * HTTP/1.1\r\n"),
        ("unknown method", b"PROPFIND /x HTTP/1.1\r\n"),
        ("lower-case method", b"get / HTTP/1.1\r\n"),
        ("method of odd characters", b"M-SEARCH * HTTP/1.1\r\n"),
        ("empty line first", b"\r\nGET / HTTP/1.1\r\n"),
        ("to be refused: bare LF", b"GET / HTTP/1.1\n"),
        (
            "to be refused: space in the target",
            b"GET /a b HTTP/1.1\r\n",
        ),
        ("to be refused: raw UTF-8", "GET /ä HTTP/1.1\r\n".as_bytes()),
        ("to be refused: tab", b"GET /\t HTTP/1.1\r\n"),
        ("to be refused: no target", b"GET  HTTP/1.1\r\n"),
        ("to be refused: version 2.0", b"GET / HTTP/2.0\r\n"),
    ];
    for (row, bytes) in rows {
        check(row, bytes, &Detection::Http1);
    }
}

#[test]
fn http2() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    check("preface", preface, &Detection::Http2);
    assert_eq!(
        detect(&preface[..14]),
        Detection::Http2,
        "14 bytes are enough"
    );
    assert_eq!(
        detect(&preface[..13]),
        Detection::NeedMore,
        "13 bytes are not"
    );
}

#[test]
fn undecided() {
    let rows: &[(&str, &[u8])] = &[
        ("silence, as of the client of a server-first protocol", b""),
        ("empty lines only", b"\r\n\r\n"),
        ("incomplete method", b"GE"),
        ("incomplete target", b"GET /ind"),
        ("incomplete version", b"GET / HTTP/1."),
        ("no line end yet", b"GET / HTTP/1.1"),
        ("CR without LF yet", b"GET / HTTP/1.1\r"),
        ("record header of TLS", b"\x16\x03\x01\x02\x00"),
    ];
    for (row, bytes) in rows {
        check(row, bytes, &Detection::NeedMore);
    }
}

#[test]
fn opaque() {
    let rows: &[(&str, &[u8])] = &[
        ("HTTP/0.9", b"GET /\r\n"),
        ("no version", b"GET / FTP/1.1\r\n"),
        ("version glued to the target", b"GET /HTTP/1.1\r\n"),
        ("version of three digits", b"GET / HTTP/1.10\r\n"),
        ("lower-case version", b"GET / http/1.1\r\n"),
        ("CR inside", b"GET / HTTP/1.1\rX"),
        ("NUL inside", b"GET /\0 HTTP/1.1\r\n"),
        ("leading space", b" GET / HTTP/1.1\r\n"),
        ("a response", b"HTTP/1.1 200 OK\r\n"),
        ("SSH banner", b"SSH-2.0-OpenSSH_9.6\r\n"),
        ("SMTP greeting of a client", b"EHLO mail.example\r\n"),
        ("Redis array", b"*1\r\n$4\r\nPING\r\n"),
        ("Redis inline", b"PING\r\n"),
        ("memcached text", b"get key\r\n"),
        ("PostgreSQL startup", b"\x00\x00\x00\x08\x04\xd2\x16\x2f"),
        (
            "PostgreSQL protocol 3",
            b"\x00\x00\x00\x29\x00\x03\x00\x00user\x00",
        ),
        ("MySQL login", b"\x20\x00\x00\x01\x85\xae\xff\x00"),
        (
            "MongoDB",
            b"\x3f\x00\x00\x00\x00\x00\x00\x00\xd4\x07\x00\x00",
        ),
        ("Kafka", b"\x00\x00\x00\x1a\x00\x12\x00\x00"),
        ("AMQP", b"AMQP\x00\x00\x09\x01"),
        ("MQTT connect", b"\x10\x0e\x00\x04MQTT"),
        ("LDAP bind", b"\x30\x0c\x02\x01\x01\x60\x07"),
        ("PROXY protocol 2", b"\r\n\r\n\x00\r\nQUIT\n"),
        ("SSLv2 hello", b"\x80\x2e\x01\x03\x01"),
        ("TLS alert", b"\x15\x03\x01\x00\x02\x02\x28"),
        ("not ASCII", b"\xff\xfe\xfd"),
    ];
    for (row, bytes) in rows {
        check(row, bytes, &Detection::Opaque);
    }
}

#[test]
fn endless_request_lines_are_bounded() {
    let endless = |start: &str| {
        let rest = MAX_REQUEST_LINE_BYTES - start.len();
        [start.as_bytes(), &vec![b'a'; rest]].concat()
    };
    check("endless GET", &endless("GET /"), &Detection::Http1);
    check(
        "endless unknown method",
        &endless("FETCH /"),
        &Detection::Opaque,
    );
    check("endless word", &endless(""), &Detection::Opaque);
    check(
        "endless empty lines",
        &vec![b'\n'; MAX_REQUEST_LINE_BYTES],
        &Detection::Opaque,
    );

    let mut longest = endless("FETCH /");
    let version = b" HTTP/1.1\r\n";
    let start = longest.len() - version.len();
    longest[start..].copy_from_slice(version);
    check("longest request line", &longest, &Detection::Http1);
}

#[test]
fn hellos_of_real_clients() {
    let rows: [(&str, &str, &[&[u8]]); 3] = [
        (
            "openssl",
            include_str!("../testdata/openssl-tls12.hex"),
            &[b"h2", b"http/1.1"],
        ),
        (
            "curl",
            include_str!("../testdata/curl-tls13.hex"),
            &[b"h2", b"http/1.1"],
        ),
        (
            "Go",
            include_str!("../testdata/go-tls13-hybrid.hex"),
            &[b"h2"],
        ),
    ];
    for (row, hex, alpn) in rows {
        check(row, &recorded(hex), &tls(Some("shop.example"), alpn));
    }
}

#[test]
fn client_hellos() {
    let grease = extension(0x1a1a, &[0]);
    let with_grease = [
        grease.clone(),
        sni(b"a"),
        alpn(&[b"\x2a\x2a", b"h2"]),
        grease,
    ]
    .concat();
    let body = hello_body(&[]);
    let bare = records(&message(&body[..body.len() - 2]), 1 << 14);
    let rows = [
        ("no extensions", hello(&[]), tls(None, &[])),
        ("not even a list of them", bare, tls(None, &[])),
        ("name", hello(&[&sni(b"a.b")]), tls(Some("a.b"), &[])),
        ("upper case", hello(&[&sni(b"A.B")]), tls(Some("a.b"), &[])),
        ("underscore", hello(&[&sni(b"a_b")]), tls(Some("a_b"), &[])),
        ("IPv4 as name", hello(&[&sni(b"10.0.0.1")]), tls(None, &[])),
        (
            "IPv6 as name",
            hello(&[&sni(b"2001:db8::1")]),
            tls(None, &[]),
        ),
        (
            "GREASE",
            hello(&[&with_grease]),
            tls(Some("a"), &[b"\x2a\x2a", b"h2"]),
        ),
        ("no name", hello(&[&alpn(&[b"h2"])]), tls(None, &[b"h2"])),
    ];
    for (row, bytes, expected) in rows {
        check(row, &bytes, &expected);
        let more = [&bytes[..], b"\x17\x03\x03"].concat();
        check(&format!("{row}, and a record"), &more, &expected);
    }
    let offer = ClientHello {
        sni: None,
        alpn: vec![b"h2".to_vec()],
    };
    assert!(offer.offers(b"h2") && !offer.offers(b"http/1.1"));
}

#[test]
fn hellos_spread_over_records() {
    // A key share as large as that of X25519MLKEM768.
    let share = extension(51, &[7; 1220]);
    let whole = message(&hello_body(
        &[share, sni(b"pq.example"), alpn(&[b"h2"])].concat(),
    ));
    let expected = tls(Some("pq.example"), &[b"h2"]);
    for fragment in [32, 33, 100, 1000, whole.len() - 1, whole.len()] {
        check(
            &format!("records of {fragment}"),
            &records(&whole, fragment),
            &expected,
        );
    }
    check("records of 31", &records(&whole, 31), &Detection::Opaque);
}

#[test]
fn sizes_of_hellos_are_bounded() {
    let padded = |size: usize| {
        let empty = hello_body(&[]).len() + extension(21, &[]).len();
        message(&hello_body(&extension(21, &vec![0; size - empty])))
    };
    let largest = records(&padded(MAX_CLIENT_HELLO_BYTES), 32);
    assert_eq!(
        detect(&largest),
        tls(None, &[]),
        "the largest hello in the smallest records"
    );
    assert!(
        largest.len() <= MAX_PEEK_BYTES,
        "{} bytes are waited for",
        largest.len()
    );
    let too_large = records(&padded(MAX_CLIENT_HELLO_BYTES + 1), 1 << 14);
    check("one byte too large", &too_large[..64], &Detection::Opaque);
}

#[test]
fn malformed_hellos_are_opaque() {
    let body = |edit: fn(&mut Vec<u8>)| {
        let mut body = hello_body(&[]);
        edit(&mut body);
        records(&message(&body), 1 << 14)
    };
    let two_names = [&[0, 0, 1][..], b"a", &[0, 0, 1], b"b"].concat();
    let rows = [
        ("record version 2", b"\x16\x02".to_vec()),
        ("record version 3.5", b"\x16\x03\x05".to_vec()),
        ("empty record", b"\x16\x03\x01\x00\x00".to_vec()),
        ("record too long", b"\x16\x03\x01\x40\x01".to_vec()),
        ("a ServerHello", b"\x16\x03\x03\x00\x7a\x02".to_vec()),
        (
            "hello of length 0",
            b"\x16\x03\x01\x00\x20\x01\x00\x00\x00".to_vec(),
        ),
        ("hello version 2", body(|body| body[0] = 2)),
        ("session ID of 33 bytes", body(|body| body[34] = 33)),
        ("odd cipher suites", body(|body| body[68] = 5)),
        ("byte after the extensions", body(|body| body.push(0))),
        (
            "extensions cut short",
            body(|body| body.truncate(body.len() - 1)),
        ),
        ("two names", hello(&[&extension(0, &vec16(&two_names))])),
        (
            "name of another type",
            hello(&[&extension(0, &vec16(&[1, 0, 1, b'a']))]),
        ),
        ("empty name", hello(&[&sni(b"")])),
        ("NUL in the name", hello(&[&sni(b"a\0b")])),
        ("name not ASCII", hello(&[&sni("ä".as_bytes())])),
        ("name of 256 bytes", hello(&[&sni(&[b'a'; 256])])),
        ("server name twice", hello(&[&sni(b"a"), &sni(b"b")])),
        ("protocols twice", hello(&[&alpn(&[b"h2"]), &alpn(&[b"x"])])),
        ("empty protocol list", hello(&[&alpn(&[])])),
        ("empty protocol", hello(&[&alpn(&[b""])])),
        ("extension longer than the list", hello(&[&[0, 0, 0, 9, 0]])),
    ];
    for (row, bytes) in rows {
        check(row, &bytes, &Detection::Opaque);
    }
}

/// Bytes that look like something, with one edit.
fn nearly_valid() -> impl Strategy<Value = Vec<u8>> {
    let seeds = prop::sample::select(vec![
        openssl(),
        hello(&[&sni(b"shop.example"), &alpn(&[b"h2", b"http/1.1"])]),
        records(&message(&hello_body(&sni(b"shop.example"))), 40),
        b"GET /index.html HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
        b"\r\n\r\nPOST /a b HTTP/1.0\n\r".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(),
    ]);
    (seeds, any::<prop::sample::Index>(), any::<u8>(), 0..4_u8).prop_map(
        |(mut bytes, at, byte, edit)| {
            let at = at.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => {}
            }
            bytes
        },
    )
}

proptest! {
    #[test]
    fn no_answer_ever_changes(
        bytes in prop_oneof![nearly_valid(), prop::collection::vec(any::<u8>(), 0..64)],
        more in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let stream = [bytes, more].concat();
        let mut answer = Detection::NeedMore;
        for length in 0..=stream.len() {
            let now = detect(&stream[..length]);
            if answer != Detection::NeedMore {
                prop_assert_eq!(&now, &answer, "changed at byte {}", length);
            }
            answer = now;
        }
    }

    #[test]
    fn it_always_decides(start in nearly_valid(), filler in any::<u8>()) {
        let mut stream = start;
        stream.resize(MAX_PEEK_BYTES, filler);
        prop_assert_ne!(detect(&stream), Detection::NeedMore);
    }

    #[test]
    fn request_lines_are_http(method in "[A-Za-z!#$%&'*+.^_`|~-]{1,20}", target in "[!-~]{1,60}") {
        let line = format!("{method} {target} HTTP/1.1\r\n");
        prop_assert_eq!(detect(line.as_bytes()), Detection::Http1);
    }
}
