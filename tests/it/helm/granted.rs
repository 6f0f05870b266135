//! The rights of the control plane, in full. Whoever adds a line says in the chart what for.

/// Everything the control plane may do: verb, group/resource, and the names it is limited to.
pub(super) const GRANTED: &str = "
cluster create /configmaps
cluster create /serviceaccounts
cluster create /services
cluster create apps/deployments
cluster create authentication.k8s.io/tokenreviews
cluster delete /serviceaccounts
cluster delete /services
cluster delete apps/deployments
cluster get /apis
cluster get /configmaps
cluster get /namespaces
cluster get /secrets
cluster get /serviceaccounts
cluster get /services
cluster get apiextensions.k8s.io/customresourcedefinitions gateways.gateway.networking.k8s.io
cluster get apps/deployments
cluster get discovery.k8s.io/endpointslices
cluster get gateway.networking.k8s.io/backendtlspolicies
cluster get gateway.networking.k8s.io/gatewayclasses
cluster get gateway.networking.k8s.io/gateways
cluster get gateway.networking.k8s.io/grpcroutes
cluster get gateway.networking.k8s.io/httproutes
cluster get gateway.networking.k8s.io/listenersets
cluster get gateway.networking.k8s.io/referencegrants
cluster get gateway.networking.k8s.io/tcproutes
cluster get gateway.networking.k8s.io/tlsroutes
cluster get gateway.networking.k8s.io/udproutes
cluster get gateway.networking.x-k8s.io/xbackends
cluster get gateway.networking.x-k8s.io/xbackendtrafficpolicies
cluster get gateway.networking.x-k8s.io/xmeshes
cluster list /namespaces
cluster list /services
cluster list discovery.k8s.io/endpointslices
cluster list gateway.networking.k8s.io/backendtlspolicies
cluster list gateway.networking.k8s.io/gatewayclasses
cluster list gateway.networking.k8s.io/gateways
cluster list gateway.networking.k8s.io/grpcroutes
cluster list gateway.networking.k8s.io/httproutes
cluster list gateway.networking.k8s.io/listenersets
cluster list gateway.networking.k8s.io/referencegrants
cluster list gateway.networking.k8s.io/tcproutes
cluster list gateway.networking.k8s.io/tlsroutes
cluster list gateway.networking.k8s.io/udproutes
cluster list gateway.networking.x-k8s.io/xbackends
cluster list gateway.networking.x-k8s.io/xbackendtrafficpolicies
cluster list gateway.networking.x-k8s.io/xmeshes
cluster patch /configmaps
cluster patch /serviceaccounts
cluster patch /services
cluster patch apps/deployments
cluster patch gateway.networking.k8s.io/backendtlspolicies/status
cluster patch gateway.networking.k8s.io/gatewayclasses/status
cluster patch gateway.networking.k8s.io/gateways/status
cluster patch gateway.networking.k8s.io/grpcroutes/status
cluster patch gateway.networking.k8s.io/httproutes/status
cluster patch gateway.networking.k8s.io/listenersets/status
cluster patch gateway.networking.k8s.io/tcproutes/status
cluster patch gateway.networking.k8s.io/tlsroutes/status
cluster patch gateway.networking.k8s.io/udproutes/status
cluster patch gateway.networking.x-k8s.io/xbackends/status
cluster patch gateway.networking.x-k8s.io/xbackendtrafficpolicies/status
cluster patch gateway.networking.x-k8s.io/xmeshes/status
cluster watch /configmaps
cluster watch /namespaces
cluster watch /services
cluster watch discovery.k8s.io/endpointslices
cluster watch gateway.networking.k8s.io/backendtlspolicies
cluster watch gateway.networking.k8s.io/gatewayclasses
cluster watch gateway.networking.k8s.io/gateways
cluster watch gateway.networking.k8s.io/grpcroutes
cluster watch gateway.networking.k8s.io/httproutes
cluster watch gateway.networking.k8s.io/listenersets
cluster watch gateway.networking.k8s.io/referencegrants
cluster watch gateway.networking.k8s.io/tcproutes
cluster watch gateway.networking.k8s.io/tlsroutes
cluster watch gateway.networking.k8s.io/udproutes
cluster watch gateway.networking.x-k8s.io/xbackends
cluster watch gateway.networking.x-k8s.io/xbackendtrafficpolicies
cluster watch gateway.networking.x-k8s.io/xmeshes
own create /secrets
own create coordination.k8s.io/leases
own get /secrets weft-ca
own get coordination.k8s.io/leases weft-controller
own patch /secrets weft-ca
own patch coordination.k8s.io/leases weft-controller
";

/// What it may do besides while it has a mesh. Proxies of nodes may do nothing: they ask the control
/// plane.
pub(super) const GRANTED_FOR_THE_MESH: &str = "
cluster create /events
cluster get /events
cluster get /pods
cluster list /pods
cluster patch /events
cluster patch /pods/status
cluster watch /pods
";
