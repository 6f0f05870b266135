//! ReferenceGrants (GEP-709): whether an object may refer to one in another namespace.
//!
//! A grant speaks for the namespace it lives in, never for another one; that is checked here even
//! where the caller looked grants up by namespace (Cilium GHSA-r7wr-4w5q-55m6 is what happens
//! otherwise). Nothing is permitted by default and nothing permits itself.

use weft_api::ReferenceGrant;

/// A reference from one namespace into another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference<'a> {
    /// Group of the referring object.
    pub(crate) from_group: &'a str,
    /// Kind of the referring object.
    pub(crate) from_kind: &'a str,
    /// Namespace of the referring object.
    pub(crate) from_namespace: &'a str,
    /// Group of the referent.
    pub(crate) to_group: &'a str,
    /// Kind of the referent.
    pub(crate) to_kind: &'a str,
    /// Namespace of the referent.
    pub(crate) to_namespace: &'a str,
    /// Name of the referent.
    pub(crate) to_name: &'a str,
}

impl Reference<'_> {
    /// Whether it leaves its namespace, and so needs a grant.
    pub(crate) fn crosses_namespaces(&self) -> bool {
        self.from_namespace != self.to_namespace
    }

    /// Whether one of the grants permits it. Entries of `from` and of `to` are alternatives, and
    /// every `from` goes with every `to`.
    pub(crate) fn permitted_by<'g>(
        &self,
        mut grants: impl Iterator<Item = &'g ReferenceGrant>,
    ) -> bool {
        grants.any(|grant| {
            grant.metadata.namespace.as_deref() == Some(self.to_namespace)
                && grant.spec.from.iter().any(|from| {
                    from.group == self.from_group
                        && from.kind == self.from_kind
                        && from.namespace == self.from_namespace
                })
                && grant.spec.to.iter().any(|to| {
                    // An empty name is an absent one: "refers to all resources of the kind".
                    let name = to.name.as_deref().unwrap_or_default();
                    to.group == self.to_group
                        && to.kind == self.to_kind
                        && (name.is_empty() || name == self.to_name)
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use weft_api::{
        ReferenceGrant,
        policy::{ReferenceGrantFrom, ReferenceGrantTo},
    };

    use super::Reference;

    fn grant(namespace: &str, from: [&str; 3], to: (&str, &str, Option<&str>)) -> ReferenceGrant {
        let mut grant = ReferenceGrant::default();
        grant.metadata.namespace = Some(namespace.into());
        let [group, kind, namespace] = from.map(str::to_owned);
        grant.spec.from.push(ReferenceGrantFrom {
            group,
            kind,
            namespace,
        });
        let (group, kind, name) = (to.0.to_owned(), to.1.to_owned(), to.2.map(str::to_owned));
        grant.spec.to.push(ReferenceGrantTo { group, kind, name });
        grant
    }

    /// A reference of HTTPRoute `web/*` to Service `shop/cart` against one grant each.
    #[test]
    fn a_grant_permits_exactly_what_it_says() {
        const GATEWAY: &str = "gateway.networking.k8s.io";
        let reference = Reference {
            from_group: GATEWAY,
            from_kind: "HTTPRoute",
            from_namespace: "web",
            to_group: "",
            to_kind: "Service",
            to_namespace: "shop",
            to_name: "cart",
        };
        let to = |name| grant("shop", [GATEWAY, "HTTPRoute", "web"], ("", "Service", name));
        let lives_in = |ns| grant(ns, [GATEWAY, "HTTPRoute", "web"], ("", "Service", None));
        let from = |from| grant("shop", from, ("", "Service", None));
        let kind = |group, kind| grant("shop", [GATEWAY, "HTTPRoute", "web"], (group, kind, None));
        let rows = [
            ("every Service", to(None), true),
            ("this Service", to(Some("cart")), true),
            ("an empty name is none", to(Some("")), true),
            ("another Service", to(Some("pay")), false),
            ("another kind", kind("", "Secret"), false),
            ("another group", kind("example.com", "Service"), false),
            (
                "a grant in the namespace of the route",
                lives_in("web"),
                false,
            ),
            ("a grant in a third namespace", lives_in("bank"), false),
            (
                "from another namespace",
                from([GATEWAY, "HTTPRoute", "bank"]),
                false,
            ),
            (
                "from another kind",
                from([GATEWAY, "GRPCRoute", "web"]),
                false,
            ),
            ("from another group", from(["", "HTTPRoute", "web"]), false),
        ];
        for (name, grant, permitted) in &rows {
            assert_eq!(
                reference.permitted_by([grant].into_iter()),
                *permitted,
                "{name}"
            );
        }
        assert!(
            !reference.permitted_by(std::iter::empty()),
            "nothing is permitted by default"
        );
        let all = rows.iter().map(|(_, grant, _)| grant);
        assert!(reference.permitted_by(all), "grants are alternatives");
    }
}
