//! Rows that cannot fail prove nothing: meshes that overlook something, and rows that have to notice.

use std::{io, net::SocketAddr};

use serde_json::Value;
use tokio::net::TcpListener;
use weft_tests::mesh::{
    Dialled, Family, Mesh,
    manifests::Manifests,
    runner::{Membership, failures},
    standalone::Standalone,
};

use super::path;

/// A mesh that never hears of something that objects say.
struct Deaf {
    mesh: Standalone,
    /// Part of objects in which a field is overlooked.
    place: &'static str,
    /// The field.
    name: &'static str,
    /// The namespace it takes all clients to be of.
    namespace: Option<&'static str>,
}

impl Mesh for Deaf {
    async fn listen(&self, pod: &str, family: Family) -> TcpListener {
        self.mesh.listen(pod, family).await
    }

    fn nobody(&self, pod: &str, family: Family) -> SocketAddr {
        self.mesh.nobody(pod, family)
    }

    async fn apply(&self, manifests: &Manifests) {
        let mut heard = Manifests::default();
        for object in manifests.objects() {
            let mut object = object.clone();
            overlook(&mut object, self.place, self.name);
            heard.put(object);
        }
        self.mesh.apply(&heard).await;
    }

    async fn dial(&self, namespace: &str, address: SocketAddr) -> io::Result<Dialled> {
        let namespace = self.namespace.unwrap_or(namespace);
        self.mesh.dial(namespace, address).await
    }

    async fn status(&self, object: &str) -> Option<Value> {
        self.mesh.status(object).await
    }
}

/// Removes every field of that name, wherever it is.
fn remove(value: &mut Value, name: &str) {
    match value {
        Value::Object(fields) => {
            fields.remove(name);
            fields.values_mut().for_each(|value| remove(value, name));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| remove(value, name)),
        _ => {}
    }
}

/// Removes every field of that name from parents or rules of routes, or from the metadata of anything.
fn overlook(object: &mut Value, place: &str, name: &str) {
    if let Some(part) = object.pointer_mut(place) {
        remove(part, name);
    }
}

/// The file, where and what is overlooked, and rows that notice.
type Overlooked = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const PARENTS: &str = "/spec/parentRefs";
const RULES: &str = "/spec/rules";

#[rustfmt::skip]
const OVERLOOKED: &[Overlooked] = &[
    ("backends", RULES, "filters", &["a filter nobody knows is not left out", "a broken mirror"]),
    ("conflicts", PARENTS, "sectionName", &["a port that only the HTTPRoute has"]),
    ("consumer", PARENTS, "port", &["the producer keeps the ports that the consumer's routes do not name"]),
    ("frontend", RULES, "headers", &["Host is matched as a header and differs"]),
    ("parents", PARENTS, "sectionName", &["and no other port", "name and number of two ports"]),
    ("precedence", RULES, "type", &["2 Exact before PathPrefix", "3 RegularExpression before PathPrefix", "3 the longer RegularExpression"]),
    ("precedence", RULES, "method", &["4 a trailing slash is no character", "5 a method match"]),
    ("precedence", RULES, "headers", &["6 most header matches"]),
    ("precedence", RULES, "queryParams", &["6 repeats of a header name do not count", "7 most query parameters"]),
    ("precedence", "/metadata", "creationTimestamp", &["8 the oldest route"]),
    ("precedence-grpc", RULES, "type", &["3 characters of the service", "4 characters of the method"]),
    ("precedence-grpc", RULES, "headers", &["5 most header matches"]),
    ("precedence-grpc", "/metadata", "creationTimestamp", &["6 the oldest route"]),
    ("redirect", RULES, "hostname", &["a hostname", "everything"]),
    ("redirect", RULES, "port", &["a port", "port 443 of http is not", "a given port wins over the destination"]),
    ("redirect", RULES, "scheme", &["a scheme", "a scheme brings its own port", "the same scheme too"]),
    ("redirect", RULES, "statusCode", &["301", "303", "307", "308"]),
    ("retry", RULES, "retry", &["a listed code is tried again and the last answer is passed on"]),
    ("rewrite", RULES, "hostname", &["the Host, and the path stays"]),
    ("rewrite", RULES, "remove", &["Host, path and fields together", "fields of the answer", "a call's metadata"]),
    ("unmatched", RULES, "headers", &["a header that is missing", "a call without the metadata"]),
    ("unmatched", RULES, "method", &["another method", "another method of the service"]),
    ("unmatched", RULES, "queryParams", &["another query parameter"]),
];

#[tokio::test]
async fn rows_notice_what_a_mesh_overlooks() {
    for &(file, place, name, rows) in OVERLOOKED {
        let mesh = Deaf {
            mesh: Standalone::start(),
            place,
            name,
            namespace: None,
        };
        check(&mesh, file, &format!("{place}, {name}"), rows).await;
    }
}

#[tokio::test]
async fn rows_notice_a_mesh_that_does_not_know_who_asks() {
    let mesh = Deaf {
        mesh: Standalone::start(),
        place: "/spec",
        name: "nothing",
        namespace: Some("other"),
    };
    let rows = [
        "clients of the consumer's namespace use its route",
        "the groups are not merged",
    ];
    check(&mesh, "consumer", "the client", &rows).await;
}

async fn check(mesh: &Deaf, file: &str, overlooked: &str, rows: &[&str]) {
    let found = failures(mesh, &path("base"), &path(file), Membership::Plain).await;
    for row in rows {
        let named = format!("{row} [");
        assert!(
            found.iter().any(|failure| failure.starts_with(&named)),
            "{file}: row {row:?} holds in a mesh that overlooks {overlooked}: {found:#?}"
        );
    }
}
