//! Experimental kinds around the mesh: XMesh (GEP-3949) and XBackend (GEP-4894).

use crate::gateway::{ClassSpec, ClassStatus};
use crate::object::kind_struct;
use crate::policy::BackendTlsValidation;
use crate::reference::{PortNumber, SecretReference};
use crate::route::RouteStatus;
use crate::schema::{open_enum, schema};

kind_struct! {
    /// A mesh served by one controller, and what it supports. Cluster-scoped.
    pub struct XMesh { spec: ClassSpec, status: ClassStatus }

    /// A backend that is not a Service, for example a host outside the cluster.
    pub struct XBackend { spec: BackendSpec, status: RouteStatus }
}

open_enum! {
    /// What a backend is.
    pub enum BackendType {
        ExternalHostname = "ExternalHostname",
    }

    /// Protocol spoken with a backend.
    pub enum BackendProtocol {
        Tcp = "TCP",
        Http = "HTTP",
        Http2 = "HTTP2",
        Http11 = "HTTP11",
        H2c = "H2C",
        Mcp = "MCP",
        Grpc = "GRPC",
    }

    /// Which sides of a connection to a backend show a certificate.
    pub enum BackendTlsMode {
        None = "None",
        ServerOnly = "ServerOnly",
        ClientAndServer = "ClientAndServer",
    }
}

schema! {
    /// Spec of an XBackend.
    pub struct BackendSpec {
        /// Which kind of destination it is.
        #[serde(rename = "type")]
        pub type_: BackendType,
        /// Its port.
        pub port: BackendPort,
        /// Destination by DNS name.
        pub external_hostname: Option<ExternalHostname>,
        /// Protocol; absent leaves it to the route.
        pub protocol: Option<BackendProtocol>,
        /// TLS towards the destination.
        pub tls: Option<Box<BackendTls>>,
    }

    /// A port of an XBackend.
    pub struct BackendPort {
        /// Name of the port.
        pub name: Option<String>,
        /// Number of the port.
        pub port: PortNumber,
    }

    /// A destination by DNS name.
    pub struct ExternalHostname {
        /// Host name without wildcard.
        pub hostname: String,
    }

    /// TLS towards an XBackend.
    pub struct BackendTls {
        /// Which sides show a certificate.
        pub mode: BackendTlsMode,
        /// Client certificate, for `ClientAndServer`.
        pub client_certificate_ref: Option<SecretReference>,
        /// How the destination is verified.
        pub validation: Option<BackendTlsValidation>,
    }
}
