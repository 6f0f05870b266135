//! An object with the status it should have.

use std::sync::Arc;

use weft_api::AnyObject;

use crate::Status;

impl Status {
    /// The object with this status; `None` for an object of a kind that has no such status.
    #[must_use]
    pub fn of(&self, object: AnyObject) -> Option<AnyObject> {
        macro_rules! set {
            ($($kind:ident = $status:ident),+ $(,)?) => {
                match (object, self) {
                    $((AnyObject::$kind(object), Self::$status(status)) => {
                        let mut object = Arc::unwrap_or_clone(object);
                        object.status = status.clone();
                        Some(AnyObject::from(object))
                    })+
                    _ => None,
                }
            };
        }
        set! {
            GatewayClass = GatewayClass,
            XMesh = Mesh,
            Gateway = Gateway,
            ListenerSet = ListenerSet,
            HttpRoute = Route,
            GrpcRoute = Route,
            TlsRoute = Route,
            TcpRoute = Route,
            UdpRoute = Route,
            BackendTlsPolicy = Policy,
            XBackendTrafficPolicy = Policy,
        }
    }
}
