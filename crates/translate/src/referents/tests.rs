//! Only what is referred to, by something of ours, with permission.

use super::*;
use crate::fixture::{CLASS, store};

const LISTENER: &str = "name: https, port: 443, protocol: HTTPS";

fn gateway(class: &str, tls: &str) -> String {
    format!(
        "{CLASS}Gateway infra/gw {{gatewayClassName: {class}, listeners: [{{{LISTENER}, tls: {{{tls}}}}}]}}\n"
    )
}

fn grant(from: &str, to: &str) -> String {
    format!(
        "ReferenceGrant shop/g {{from: [{{group: gateway.networking.k8s.io, kind: Gateway, \
         namespace: {from}}}], to: [{{group: \"\", kind: Secret{to}}}]}}\n"
    )
}

fn policy(reference: &str) -> String {
    format!(
        "BackendTLSPolicy shop/p {{targetRefs: [{{group: \"\", kind: Service, name: web}}], \
         validation: {{hostname: web, caCertificateRefs: [{reference}]}}}}\n"
    )
}

#[test]
fn what_is_referred_to_and_granted_is_read_and_nothing_else() {
    let own = "certificateRefs: [{name: tls}]";
    let other = "certificateRefs: [{name: tls, namespace: shop}]";
    let rows = [
        (
            "of the Gateway's namespace",
            gateway("weft", own),
            "Secret infra/tls",
        ),
        ("of somebody else's Gateway", gateway("other", own), ""),
        (
            "of another namespace, not granted",
            gateway("weft", other),
            "",
        ),
        (
            "of another namespace, granted",
            gateway("weft", other) + &grant("infra", ""),
            "Secret shop/tls",
        ),
        (
            "another one is granted",
            gateway("weft", other) + &grant("infra", ", name: pay"),
            "",
        ),
        (
            "granted to another namespace",
            gateway("weft", other) + &grant("bank", ""),
            "",
        ),
        (
            "another kind",
            gateway("weft", "certificateRefs: [{name: tls, kind: ConfigMap}]"),
            "",
        ),
        (
            "authorities of a policy",
            policy("{group: \"\", kind: ConfigMap, name: ca}"),
            "ConfigMap shop/ca",
        ),
        (
            "authorities of another namespace",
            policy("{group: \"\", kind: ConfigMap, name: ca, namespace: bank}"),
            "",
        ),
        (
            "authorities in a Secret",
            policy("{group: \"\", kind: Secret, name: ca}"),
            "",
        ),
    ];
    let scope = Scope::cluster(crate::features::Channel::Standard, "v1.6.1");
    for (name, world, expected) in rows {
        let found = referents(&store(&world), &scope);
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.join(", "), expected, "{name}");
    }
}
