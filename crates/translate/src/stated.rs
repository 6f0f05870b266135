//! An object with the status it should have.

use std::sync::Arc;

use weft_api::AnyObject;

use crate::Status;

impl Status {
    /// The status of an object without the entries of these controllers; `None` for an object of a
    /// kind whose status has no entries by controller.
    #[must_use]
    pub fn withdrawn(object: &AnyObject, controllers: &[&str]) -> Option<Self> {
        let is_own = |name: &str| controllers.contains(&name);
        macro_rules! without {
            ($($kind:ident = $status:ident.$entries:ident),+ $(,)?) => {
                match object {
                    $(AnyObject::$kind(object) => {
                        let mut status = object.status.clone();
                        status.$entries.retain(|entry| !is_own(&entry.controller_name));
                        Some(Self::$status(status))
                    })+
                    _ => None,
                }
            };
        }
        without! {
            HttpRoute = Route.parents,
            GrpcRoute = Route.parents,
            TlsRoute = Route.parents,
            TcpRoute = Route.parents,
            UdpRoute = Route.parents,
            BackendTlsPolicy = Policy.ancestors,
            XBackendTrafficPolicy = Policy.ancestors,
        }
    }

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
