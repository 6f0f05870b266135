//! A scripted API server: lists, watches, reads, patches and creates objects of any kind over HTTP,
//! and goes wrong in every way a real one can. Each way is a named switch ([`Fault`]).

mod fault;
mod serve;
mod state;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use weft_api::Kind;
use weft_certs::SelfSigned;

pub use fault::Fault;
pub use state::Resource;

use crate::wait::Expected;
use state::State;

/// Name in the certificates of a server that speaks TLS.
pub const SERVER_NAME: &str = "api.weft.test";

/// An API server on loopback. Dropping it closes everything.
#[derive(Debug)]
pub struct FakeApi {
    shared: Arc<Shared>,
    address: SocketAddr,
    directory: TempDir,
    serving: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told whenever an object or a fault changes.
    changed: watch::Sender<()>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something and wakes every watch.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let answer = change(&mut self.state());
        self.changed.send_replace(());
        answer
    }
}

impl FakeApi {
    /// A server that serves these kinds in the newest version, and Leases.
    ///
    /// # Panics
    /// When the system gives no socket or no directory.
    pub async fn start(kinds: &[Kind]) -> Self {
        let mut state = State::default();
        state.served = kinds.iter().map(|kind| Resource::of(*kind)).collect();
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: watch::channel(()).0,
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expected("the API server's socket");
        let address = listener.local_addr().expected("its address");
        let mut api = Self {
            shared,
            address,
            directory: TempDir::new().expected("a directory for the kubeconfig"),
            serving: JoinSet::new(),
        };
        api.accept(listener);
        api.write_kubeconfig("first token");
        api
    }

    fn accept(&mut self, listener: TcpListener) {
        self.serving
            .spawn(serve::accept(listener, Arc::clone(&self.shared)));
    }

    /// A kubeconfig file whose current context is this server.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    fn write_kubeconfig(&self, token: &str) {
        let mut cluster = json!({ "server": format!("http://{}", self.address) });
        if self.authority().exists() {
            cluster = json!({
                "server": format!("https://{}", self.address),
                "tls-server-name": SERVER_NAME,
                "certificate-authority": self.authority(),
            });
        }
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "fake", "cluster": cluster }],
            "users": [{ "name": "weft", "user": { "token": token } }],
            "contexts": [{ "name": "fake", "context": { "cluster": "fake", "user": "weft" } }],
            "current-context": "fake",
        });
        std::fs::write(self.kubeconfig(), config.to_string()).expected("write the kubeconfig");
    }

    /// File with the certificate clients trust.
    fn authority(&self) -> PathBuf {
        self.directory.path().join("ca.crt")
    }

    /// Speaks TLS with this certificate, made for [`SERVER_NAME`], on connections to come. `is_told`
    /// makes clients trust it from now on.
    ///
    /// # Panics
    /// When it is no certificate with its key.
    pub fn present(&self, certificate: &SelfSigned, is_told: bool) {
        let chain = CertificateDer::from_pem_slice(certificate.cert_pem.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.expose().as_bytes());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expected("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(vec![chain.expected("a certificate")], key.expected("a key"))
            .expected("a certificate and its key");
        if is_told {
            std::fs::write(self.authority(), &certificate.cert_pem).expected("write the CA");
            self.write_kubeconfig("first token");
        }
        self.shared
            .change(|state| state.tls = Some(Arc::new(config)));
    }

    /// Takes a new token and no other one. `is_told` puts it into the kubeconfig.
    pub fn rotate_token(&self, token: &str, is_told: bool) {
        if is_told {
            self.write_kubeconfig(token);
        }
        self.shared
            .change(|state| state.token = Some(token.to_owned()));
    }

    /// Knows the owner of a token from now on: a service account, and the pod the token is bound to.
    /// It is meant for `audience`.
    pub fn know_token(&self, token: &str, (namespace, account): (&str, &str), audience: &str) {
        let user = json!({
            "audience": audience,
            "username": format!("system:serviceaccount:{namespace}:{account}"),
            "extra": {
                "authentication.kubernetes.io/pod-name": [format!("{account}-0")],
                "authentication.kubernetes.io/pod-uid": [format!("uid-of-{account}-0")],
                "authentication.kubernetes.io/node-name": ["node-1"],
                "authentication.kubernetes.io/credential-id": [format!("JTI={token}")],
            },
        });
        self.shared
            .change(|state| state.users.insert(token.to_owned(), user));
    }

    /// The token is bound to no pod, as those that people make.
    pub fn unbind_token(&self, token: &str) {
        self.shared.change(|state| {
            if let Some(user) = state.users.get_mut(token) {
                user["extra"] = json!({});
            }
        });
    }

    /// Adds or replaces an object, with a new resource version, and a new generation if its spec
    /// differs.
    ///
    /// # Panics
    /// When it is no object with kind and name.
    pub fn apply(&self, object: Value) {
        self.shared.change(|state| state.apply(object));
    }

    /// Removes an object; false when there is none.
    pub fn delete(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        let resource = Resource::of(kind);
        self.shared
            .change(|state| state.delete(&resource, namespace, name))
    }

    /// An object as it is stored.
    #[must_use]
    pub fn object(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        self.stored(&Resource::of(kind), namespace, name)
    }

    /// A Lease as it is stored.
    #[must_use]
    pub fn lease(&self, namespace: &str, name: &str) -> Option<Value> {
        self.stored(&Resource::lease(), namespace, name)
    }

    /// A Deployment as it is stored.
    #[must_use]
    pub fn deployment(&self, namespace: &str, name: &str) -> Option<Value> {
        self.stored(&Resource::deployment(), namespace, name)
    }

    fn stored(&self, resource: &Resource, namespace: &str, name: &str) -> Option<Value> {
        self.shared.state().get(resource, namespace, name).cloned()
    }

    /// All objects of a kind.
    #[must_use]
    pub fn objects(&self, kind: Kind) -> Vec<Value> {
        self.shared.state().objects(&Resource::of(kind))
    }

    /// Serves a kind in a version from now on, beside the versions it has.
    pub fn serve(&self, kind: Kind, version: &str) {
        let resource = Resource::of(kind).version(version);
        self.shared.change(|state| state.served.extend([resource]));
    }

    /// Serves a kind that Weft does not read, such as one of roles.
    pub fn serve_other(&self, resource: Resource) {
        self.shared.change(|state| state.served.extend([resource]));
    }

    /// Objects of a kind that Weft does not read.
    #[must_use]
    pub fn others(&self, resource: &Resource) -> Vec<Value> {
        self.shared.state().objects(resource)
    }

    /// All objects of all kinds.
    #[must_use]
    pub fn everything(&self) -> Vec<Value> {
        self.shared.state().everything()
    }

    /// Says this at a path that is about no object, such as `/version`.
    pub fn say(&self, path: &str, answer: impl Into<String>) {
        let said = (path.to_owned(), answer.into());
        self.shared.change(|state| state.said.extend([said]));
    }

    /// Serves a kind no more, and forgets its objects, as a deleted CRD does.
    pub fn withdraw(&self, kind: Kind) {
        self.shared
            .change(|state| state.withdraw(&Resource::of(kind)));
    }

    /// Answers 404 for kinds of CRDs and knows none in discovery, as a server that has just started
    /// may; objects stay.
    pub fn forget_crds(&self, forgotten: bool) {
        self.shared
            .change(|state| state.are_crds_forgotten = forgotten);
    }

    /// Forgets which changes led to the objects as they are: watches from before answer 410.
    pub fn compact(&self) {
        self.shared.change(State::compact);
    }

    /// Turns a fault on.
    pub fn fault(&self, fault: Fault) {
        self.shared.change(|state| {
            if matches!(fault, Fault::StaleList(_)) {
                state.snapshot();
            }
            state.faults.push(fault);
        });
    }

    /// Turns all faults off.
    pub fn heal(&self) {
        self.shared.change(|state| state.faults.clear());
    }

    /// Takes a status away under somebody's hands: a change by another controller.
    pub fn edit(&self, kind: Kind, (namespace, name): (&str, &str), edit: impl FnOnce(&mut Value)) {
        let resource = Resource::of(kind);
        self.shared
            .change(|state| state.edit(&resource, namespace, name, edit));
    }

    /// Changes a Lease as another replica would.
    pub fn edit_lease(&self, (namespace, name): (&str, &str), edit: impl FnOnce(&mut Value)) {
        self.shared
            .change(|state| state.edit(&Resource::lease(), namespace, name, edit));
    }

    /// Deletes a Lease.
    pub fn delete_lease(&self, (namespace, name): (&str, &str)) -> bool {
        self.shared
            .change(|state| state.delete(&Resource::lease(), namespace, name))
    }

    /// Every request so far: method, path and query.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.shared.state().requests.clone()
    }

    /// Paths that were asked for, without queries.
    #[must_use]
    pub fn paths(&self) -> BTreeSet<String> {
        let requests = self.requests();
        let path = |request: &String| request.split('?').next().unwrap_or_default().to_owned();
        requests.iter().map(path).collect()
    }

    /// Closes the socket and every connection, as a server that is away.
    pub async fn stop(&mut self) {
        self.serving.shutdown().await;
    }

    /// Listens again where it did before.
    ///
    /// # Panics
    /// When somebody else took the port meanwhile.
    pub fn restart(&mut self) {
        let socket = TcpSocket::new_v4().expected("a socket");
        socket.set_reuseaddr(true).expected("an address used again");
        socket.bind(self.address).expected("the same port");
        let listener = socket.listen(128).expected("listen again");
        self.accept(listener);
    }
}
