//! No key in any text: what `Debug` prints of everything that holds or has held one.

use std::fmt::Debug;
use std::sync::Arc;

use data_encoding::{BASE64, HEXLOWER, HEXUPPER};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use crate::mint::{WEB, authority, bundles_of, clock, id};
use crate::tests::now;
use crate::{
    Acceptor, BackendTls, BootstrapAcceptor, BuiltIn, CaRoots, CheckedRequest, Connector, Entry,
    HostPattern, IdentityAcceptor, IdentityConnector, Issuers, KeyAndRequest, SecretPem, Trust,
    self_signed,
};

/// The ways bytes of a key could show in a text: PEM, hexadecimal, and `{:?}` of bytes.
fn traces(pem: &SecretPem) -> Vec<String> {
    let der = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).expect("a key");
    let bytes = der.secret_der();
    // In PKCS#8 of P-256 the private number is the 32 bytes from the 36th on.
    let number = &bytes[36..68];
    let decimal = format!("{:?}", &number[..8]);
    vec![
        BASE64.encode(bytes)[48..80].to_owned(),
        BASE64.encode(number)[..20].to_owned(),
        HEXLOWER.encode(number)[..16].to_owned(),
        HEXUPPER.encode(number)[..16].to_owned(),
        decimal.trim_matches(['[', ']']).to_owned(),
        "PRIVATE KEY".to_owned(),
    ]
}

#[track_caller]
fn check(name: &str, value: &dyn Debug, secrets: &[String]) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for secret in secrets {
            assert!(
                !flat.contains(secret.as_str()),
                "{name} prints key material: {flat}"
            );
        }
    }
}

#[test]
fn debug_prints_no_key() {
    let authority = authority();
    let exported = authority.export();
    let mut secrets = traces(&exported.issuer_key);
    secrets.extend(traces(exported.root_key.as_ref().expect("the root's key")));
    check("AuthorityPem", &exported, &secrets);
    check("SecretPem", &exported.issuer_key, &secrets);
    check("Authority", &authority, &secrets);

    let issuers = Issuers {
        signing: Arc::new(authority),
        also_trusted: Vec::new(),
        bundle_version: 1,
    };
    check("Issuers", &issuers, &secrets);
    check("BuiltIn", &BuiltIn::new(issuers), &secrets);
}

#[test]
fn debug_prints_no_key_of_a_leaf() {
    let authority = authority();
    let request = KeyAndRequest::new(&id(WEB)).expect("randomness");
    let secrets = traces(&SecretPem::new(request.key.to_pem()));
    check("KeyAndRequest", &request, &secrets);
    let checked = CheckedRequest::parse(request.der(), &id(WEB)).expect("our own");
    check("CheckedRequest", &checked, &secrets);
    let signed = authority
        .issue(&checked, crate::LeafLife::default(), now())
        .expect("a good request");
    let bundles = bundles_of(&authority);
    let leaf = request
        .into_leaf(&signed.chain, &bundles, now())
        .expect("a good answer");
    check("Leaf", &leaf, &secrets);
    let identity = crate::Identity::new(leaf, Trust::new(bundles, clock()));
    check("Identity", &identity, &secrets);
    check(
        "IdentityAcceptor",
        &IdentityAcceptor::new(&identity).expect("TLS 1.3"),
        &secrets,
    );
    check(
        "BootstrapAcceptor",
        &BootstrapAcceptor::new(&identity).expect("TLS 1.3"),
        &secrets,
    );
    check(
        "IdentityConnector",
        &IdentityConnector::new(&identity).expect("TLS 1.3"),
        &secrets,
    );
}

#[test]
fn debug_prints_no_key_of_a_gateway() {
    let made = self_signed(&["shop.example"], now()).expect("randomness");
    let secrets = traces(&made.key_pem);
    check("SelfSigned", &made, &secrets);
    let pair =
        crate::ServerCert::from_pem(made.cert_pem.as_bytes(), made.key_pem.expose().as_bytes())
            .expect("a pair");
    check("ServerCert", &pair, &secrets);
    let entry = Entry {
        host: HostPattern::Any,
        certs: vec![pair.clone()],
    };
    check("Entry", &entry, &secrets);
    check(
        "Acceptor",
        &Acceptor::https([entry]).expect("randomness"),
        &secrets,
    );
    let settings = BackendTls {
        server_name: "shop.example".to_owned(),
        roots: CaRoots::from_pem(&made.cert_pem).expect("a CA"),
        subject_alt_names: Vec::new(),
        client_cert: Some(pair),
        alpn: Vec::new(),
    };
    check("BackendTls", &settings, &secrets);
    check(
        "Connector",
        &Connector::new(&settings, clock()).expect("good settings"),
        &secrets,
    );
}

#[test]
fn the_check_sees_a_leak() {
    let made = self_signed(&["shop.example"], now()).expect("randomness");
    let secrets = traces(&made.key_pem);
    let der = PrivateKeyDer::from_pem_slice(made.key_pem.expose().as_bytes()).expect("a key");
    let leaks = [
        made.key_pem.expose().to_owned(),
        format!("{:?}", der.secret_der()),
        HEXLOWER.encode(der.secret_der()),
        BASE64.encode(der.secret_der()),
    ];
    for leak in leaks {
        assert!(
            secrets.iter().any(|secret| leak.contains(secret.as_str())),
            "this text would not be noticed: {leak}"
        );
    }
}
