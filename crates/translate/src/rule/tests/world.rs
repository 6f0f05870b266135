//! The objects that the routes of the tests refer to.

use std::sync::LazyLock;

use weft_api::AnyObject;
use weft_store::Store;

const OBJECTS: &str = "
{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: web}, spec: {ports: [
  {name: http, port: 80},
  {name: h2c, port: 81, appProtocol: kubernetes.io/h2c},
  {name: ws, port: 82, appProtocol: kubernetes.io/ws},
  {name: db, port: 83, appProtocol: mysql},
  {name: dns, port: 53, protocol: UDP},
  {name: both-udp, port: 54, protocol: UDP},
  {name: both-tcp, port: 54, protocol: TCP}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: headless}, spec: {clusterIP: None, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: external}, spec: {type: ExternalName, externalName: example.com, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: secure}, spec: {ports: [{name: http, port: 80}, {name: tls, port: 443, appProtocol: HTTPS}, {name: db, port: 3306, appProtocol: mysql}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: sealed}, spec: {ports: [{name: http, port: 80}, {name: tls, port: 443, appProtocol: HTTPS}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: partly}, spec: {ports: [{name: http, port: 80}, {name: tls, port: 443}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: bank, name: ledger}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {namespace: bank, name: vault}, spec: {ports: [{port: 80}]}}
---
{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, metadata: {namespace: bank, name: ledger},
 spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}], to: [{group: '', kind: Service, name: ledger}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {namespace: shop, name: not-ours-to-give},
 spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}], to: [{group: '', kind: Service}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {namespace: shop, name: secure},
 spec: {targetRefs: [{group: '', kind: Service, name: secure}], validation: {hostname: a, wellKnownCACertificates: System}}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {namespace: shop, name: sealed},
 spec: {targetRefs: [{group: '', kind: Service, name: sealed}], validation: {hostname: a, caCertificateRefs: [{group: '', kind: ConfigMap, name: nope}]}}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {namespace: shop, name: partly},
 spec: {targetRefs: [{group: core, kind: Service, name: partly, sectionName: tls}], validation: {hostname: a, wellKnownCACertificates: System}}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {namespace: bank, name: web},
 spec: {targetRefs: [{group: '', kind: Service, name: web}], validation: {hostname: a, wellKnownCACertificates: System}}}
";

/// A store with the objects.
pub(super) static WORLD: LazyLock<Store> = LazyLock::new(|| {
    let documents: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(OBJECTS).expect("the test world is YAML");
    let mut store = Store::default();
    for document in documents {
        store.apply(AnyObject::parse(document).expect("the test world is valid"));
    }
    store
});
