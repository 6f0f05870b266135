//! Clients of a worker that are no members: by their certificates, and by how they speak.

use rcgen::{
    BasicConstraints, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyUsagePurpose,
    NameConstraints, SerialNumber, SubjectPublicKeyInfo,
};
use rustls::pki_types::CertificateDer;
use weft_tests::{
    netns::can_make_namespaces,
    refusals::{Row, attacked},
};

use super::{
    Counter, Forge, Made, TUNNEL, World,
    forge::{Ca, Minted, Shown, Tune, WEB, dns, extension, over, san_of, to_come, uri},
    hold,
    stranger::{ONLY_TLS12, Stranger, says},
};

const HANDSHAKES: Counter = Counter {
    name: "weft_tls_handshakes_total",
    labels: &["side=\"server\""],
    label: "result",
};

const OID_SAN: [u64; 4] = [2, 5, 29, 17];
const OID_KEY_USAGE: [u64; 4] = [2, 5, 29, 15];
const OID_UNKNOWN: [u64; 4] = [1, 2, 3, 4];

/// A key nobody should use any more.
const RSA_1024: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDc3tvA/z2KZbWDmHh5f3WHLlmI
xp4CvXPMYtq2ustxKEOYJLws4IEMvwWTz/F5yLDGVR2U+eCqgKGZFI73ntbWVjrn
gBp2+Wecs09A5YnD+H5+xYgym2dF50bHap5IfdivfUOKu6EiJhJqswzj7jCFH4uz
K/EYtl61/2la0kVGMwIDAQAB
-----END PUBLIC KEY-----
";

/// What a client does.
#[derive(Clone)]
enum Does {
    Tls(Stranger),
    /// Sends this, and no more.
    Says(&'static [u8]),
}

impl World {
    /// A pod that others call.
    fn called() -> Self {
        let world = Self::of(|pair| &pair.cart);
        let good = world.forge.good(|_| ());
        let stream = world.dial(&world.pair.web, world.pair.cart.at(TUNNEL));
        let seen = world
            .runtime
            .block_on(Stranger::showing(good).calls(stream));
        assert_eq!(seen, "served", "whoever is a member is let in");
        world
    }

    fn play_callers(&self, rows: Vec<(Row, Does)>, group: &str) {
        let mut faults = Vec::new();
        for (row, does) in rows {
            let stream = self.dial(&self.pair.web, self.pair.cart.at(TUNNEL));
            faults.extend(match does {
                Does::Tls(stranger) => self.play(&row, HANDSHAKES, stranger.calls(stream)),
                Does::Says(bytes) => self.play(&row, HANDSHAKES, says(Ok(stream), bytes)),
            });
        }
        hold(group, &faults);
    }

    /// Leaves that are good but for one thing.
    fn play_leaves(&self, group: &str, leaves: &[(&str, Tune)]) {
        let rows = attacked(group, leaves).into_iter();
        let rows = rows.map(|(row, tune)| (row, Stranger::showing(self.forge.good(tune))));
        let rows = rows.map(|(row, stranger)| (row, Does::Tls(stranger)));
        self.play_callers(rows.collect(), group);
    }
}

impl Forge {
    /// What a member shows, but for `tune`.
    pub(super) fn good(&self, tune: impl FnOnce(&mut rcgen::CertificateParams)) -> Shown {
        self.issuer.leaf(WEB, tune).under(&[&self.issuer.der])
    }

    /// A good leaf of an issuer which is good but for `tune`.
    fn issued(&self, tune: Tune) -> Shown {
        let issuer = self.root.issuer(tune);
        issuer.leaf(WEB, |_| ()).under(&[&issuer.der])
    }
}

const NAMES: &[(&str, Tune)] = &[
    ("another scheme", |p| {
        p.subject_alt_names = vec![uri("https://cluster.local/ns/shop/sa/web")];
    }),
    ("a trust domain in upper case", |p| {
        p.subject_alt_names = vec![uri("spiffe://Cluster.local/ns/shop/sa/web")];
    }),
    ("userinfo", |p| {
        p.subject_alt_names = vec![uri("spiffe://me@cluster.local/ns/shop/sa/web")];
    }),
    ("a port", |p| {
        p.subject_alt_names = vec![uri("spiffe://cluster.local:1/ns/shop/sa/web")];
    }),
    ("a query", |p| {
        p.subject_alt_names = vec![uri("spiffe://cluster.local/ns/shop/sa/web?a")];
    }),
    ("a fragment", |p| {
        p.subject_alt_names = vec![uri("spiffe://cluster.local/ns/shop/sa/web#a")];
    }),
    ("percent-encoding", |p| {
        p.subject_alt_names = vec![uri("spiffe://cluster.local/ns/shop%2fsa/web")];
    }),
    ("an empty segment", |p| {
        p.subject_alt_names = vec![uri("spiffe://cluster.local/ns//shop/sa/web")];
    }),
    ("a relative step", |p| {
        p.subject_alt_names = vec![uri("spiffe://cluster.local/ns/shop/../web")];
    }),
    ("a slash at the end", |p| {
        p.subject_alt_names = vec![uri("spiffe://cluster.local/ns/shop/sa/web/")];
    }),
    ("2049 bytes", |p| {
        let path = "a".repeat(2049 - "spiffe://cluster.local/".len());
        p.subject_alt_names = vec![uri(&format!("spiffe://cluster.local/{path}"))];
    }),
    ("the trust domain itself", |p| {
        p.subject_alt_names = vec![uri("spiffe://cluster.local")];
    }),
    ("no service account", |p| {
        p.subject_alt_names = vec![uri("spiffe://cluster.local/ns/shop")];
    }),
];

const LEAVES: &[(&str, Tune)] = &[
    ("no alternative name", |p| p.subject_alt_names.clear()),
    ("two URIs", |p| {
        let other = uri("spiffe://cluster.local/ns/shop/sa/db");
        p.subject_alt_names.push(other);
    }),
    ("a DNS name alone", |p| {
        p.subject_alt_names = vec![dns("web.shop")];
    }),
    ("names not critical beside an empty subject", |p| {
        p.subject_alt_names.clear();
        p.custom_extensions = vec![extension(&OID_SAN, false, san_of(WEB))];
    }),
    ("a foreign trust domain", |p| {
        p.subject_alt_names = vec![uri("spiffe://elsewhere.example/ns/shop/sa/web")];
    }),
    ("keyCertSign", |p| {
        p.key_usages.push(KeyUsagePurpose::KeyCertSign);
    }),
    ("cRLSign", |p| p.key_usages.push(KeyUsagePurpose::CrlSign)),
    ("CA:true", |p| {
        p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }),
    ("no key usage", |p| p.key_usages.clear()),
    ("key usage not critical", |p| {
        p.key_usages.clear();
        p.custom_extensions = vec![extension(&OID_KEY_USAGE, false, vec![3, 2, 7, 0x80])];
    }),
    ("no digitalSignature", |p| {
        p.key_usages = vec![KeyUsagePurpose::KeyAgreement];
    }),
    ("no purpose", |p| p.extended_key_usages.clear()),
    ("any purpose", |p| {
        p.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    }),
    ("clientAuth alone", |p| {
        p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    }),
    ("serverAuth alone", |p| {
        p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    }),
    ("expired a second ago", over),
    ("valid in a minute", to_come),
    ("serial number 0", |p| {
        p.serial_number = Some(SerialNumber::from_slice(&[0]));
    }),
    ("serial number of 21 bytes", |p| {
        p.serial_number = Some(SerialNumber::from_slice(&[0x11; 21]));
    }),
    ("name constraints", |p| {
        p.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("shop".to_owned())],
            excluded_subtrees: Vec::new(),
        });
    }),
    ("an unknown critical extension", |p| {
        p.custom_extensions = vec![extension(&OID_UNKNOWN, true, vec![5, 0])];
    }),
];

const CHAINS: &[Made<Shown>] = &[
    ("an expired root", |it| {
        it.expired.leaf(WEB, |_| ()).under(&[])
    }),
    ("an unknown root", |_| {
        Ca::root("nobody's", |_| ()).leaf(WEB, |_| ()).under(&[])
    }),
    ("an unknown root with the name of ours", |_| {
        let impostor = Ca::root("the root of the test", |_| ());
        impostor.leaf(WEB, |_| ()).under(&[])
    }),
    ("the certificate of a CA", |it| it.issuer.shown()),
    ("the intermediate is missing", |it| {
        it.issuer.leaf(WEB, |_| ()).under(&[])
    }),
    ("one intermediate too deep", |it| {
        let name = |p: &mut rcgen::CertificateParams| {
            p.distinguished_name
                .push(rcgen::DnType::CommonName, "below");
        };
        let below = it.issuer.issuer(name);
        let leaf = below.leaf(WEB, |_| ());
        leaf.under(&[&below.der, &it.issuer.der])
    }),
    ("an intermediate without keyCertSign", |it| {
        it.issued(|p| p.key_usages = vec![KeyUsagePurpose::CrlSign])
    }),
    ("an intermediate that is no CA", |it| {
        it.issued(|p| p.is_ca = IsCa::ExplicitNoCa)
    }),
    ("an intermediate with the ID of a workload", |it| {
        it.issued(|p| p.subject_alt_names = vec![uri(WEB)])
    }),
    ("an expired intermediate", |it| it.issued(over)),
    ("an intermediate with an unknown critical extension", |it| {
        it.issued(|p| p.custom_extensions = vec![extension(&OID_UNKNOWN, true, vec![5, 0])])
    }),
    ("an intermediate with RSA 1024", |it| {
        let key = SubjectPublicKeyInfo::from_pem(RSA_1024).expect("an RSA key");
        let weak = it.root.issuer_of(&key);
        it.issuer.leaf(WEB, |_| ()).under(&[&weak])
    }),
    ("six certificates", |it| {
        let issuer = &it.issuer.der;
        let leaf = it.issuer.leaf(WEB, |_| ());
        leaf.under(&[issuer, issuer, issuer, issuer, issuer])
    }),
    ("17 KiB of certificates", |it| {
        it.good(|p| {
            let mut content = vec![4, 0x82, 0x44, 0];
            content.resize(4 + 0x4400, 0);
            p.custom_extensions = vec![extension(&OID_UNKNOWN, false, content)];
        })
    }),
    ("no certificate of X.509", |it| {
        let nothing = CertificateDer::from(vec![0x30, 0]);
        it.issuer.leaf(WEB, |_| ()).as_if(&nothing, &[])
    }),
];

const SPEECHES: &[Made<Does>] = &[
    ("TLS 1.2", |it| {
        Does::Tls(Stranger {
            versions: &ONLY_TLS12,
            ..Stranger::showing(it.good(|_| ()))
        })
    }),
    ("no certificate", |_| Does::Tls(Stranger::nobody())),
    ("self-signed", |_| {
        let own = Minted::self_signed(WEB).under(&[]);
        Does::Tls(Stranger::showing(own))
    }),
    ("the key of another certificate", |it| {
        let (one, other) = (it.issuer.leaf(WEB, |_| ()), it.issuer.leaf(WEB, |_| ()));
        let stolen = one.as_if(&other.der, &[&it.issuer.der]);
        Does::Tls(Stranger::showing(stolen))
    }),
    ("ALPN without h2", |it| {
        Does::Tls(Stranger {
            alpn: &[b"http/1.1"],
            ..Stranger::showing(it.good(|_| ()))
        })
    }),
    ("no ALPN", |it| {
        Does::Tls(Stranger {
            alpn: &[],
            ..Stranger::showing(it.good(|_| ()))
        })
    }),
    ("HTTP in plaintext", |_| {
        Does::Says(b"GET / HTTP/1.1\r\nhost: cart\r\n\r\n")
    }),
    ("HTTP/2 in plaintext", |_| {
        Does::Says(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
    }),
    ("nothing at all", |_| Does::Says(b"")),
];

#[test]
fn whose_name_is_none() {
    if can_make_namespaces() {
        World::called().play_leaves("names", NAMES);
    }
}

#[test]
fn whose_certificate_is_not_one_of_a_workload() {
    if can_make_namespaces() {
        World::called().play_leaves("leaves", LEAVES);
    }
}

#[test]
fn for_whom_nobody_vouches() {
    if can_make_namespaces() {
        let world = World::called();
        let rows = attacked("chains", CHAINS).into_iter();
        let rows = rows.map(|(row, chain)| {
            let stranger = Stranger::showing(chain(&world.forge));
            (row, Does::Tls(stranger))
        });
        world.play_callers(rows.collect(), "chains");
    }
}

#[test]
fn who_speaks_otherwise_than_members() {
    if can_make_namespaces() {
        let world = World::called();
        let rows = attacked("handshakes", SPEECHES).into_iter();
        let rows = rows.map(|(row, does)| (row, does(&world.forge)));
        world.play_callers(rows.collect(), "handshakes");
    }
}
