//! Every check in one slice. Codes are never reused; those between that are missing belong to what is
//! not built yet (telemetry) or to what no object of the API server says.

use weft_source::Severity;

/// A check.
#[derive(Debug)]
pub(super) struct Code {
    /// `WC###`
    pub(super) id: &'static str,
    /// How bad it is when it fails.
    pub(super) severity: Severity,
    /// What is checked, as a heading.
    pub(super) subject: &'static str,
    /// What to do when it fails, in one line.
    pub(super) cure: &'static str,
    /// The first version that has it.
    pub(super) since: &'static str,
}

macro_rules! codes {
    ($($name:ident = $id:literal, $severity:ident, $subject:literal, $cure:literal;)+) => {
        $(
            #[doc = concat!("`", $id, "`: ", $subject, ".")]
            pub(super) static $name: Code = Code {
                id: $id,
                severity: Severity::$severity,
                subject: $subject,
                cure: $cure,
                since: "0.1.0",
            };
        )+

        /// Every code, in ascending order.
        pub(super) static CODES: &[&Code] = &[$(&$name),+];
    };
}

codes! {
    REACHABLE = "WC101", Error, "API server reachable", "look at the kubeconfig, its context and the network to the API server";
    VERSION = "WC102", Error, "Kubernetes 1.33 or later", "upgrade Kubernetes";
    CRDS = "WC103", Error, "CRDs of the Gateway API", "kubectl apply --server-side -f https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.6.1/standard-install.yaml";
    BUNDLE = "WC104", Warning, "version of the CRDs", "install the CRDs of Gateway API v1.6, as WC103 says";
    CHANNEL = "WC105", Warning, "channel of the CRDs", "install the CRDs of one channel, standard or experimental, with their annotations";
    SAFE_UPGRADES = "WC106", Warning, "admission policy against unsafe upgrades of the CRDs", "install the CRDs from the release's standard-install.yaml, which brings the policy";
    INSTALL_RIGHTS = "WC107", Error, "right to install", "install as somebody who may; cluster-admin may";
    POD_SECURITY = "WC108", Info, "Pod Security level of the namespace", "nothing: the pods are admitted at every level";
    KERNEL = "WC109", Error, "kernels of nodes have what capture needs", "modprobe -a nft_chain_nat nft_nat nft_redir nft_ct nf_conntrack_netlink tcp_diag on the node, and list them in /etc/modules-load.d; where modprobe finds one of them missing, another kernel";
    SOCKET_LB = "WC111", Info, "load balancing at sockets", "nothing for Gateways; for a mesh set socketLB.hostNamespaceOnly=true in Cilium";
    OTHER_MESH = "WC112", Warning, "another mesh where Weft has pods", "take the namespace out of the other mesh, whose proxies would stand before Weft's";
    CLOCK = "WC114", Warning, "clocks of API server and of this machine", "let both machines keep time by NTP; certificates are good for hours";
    FAMILIES = "WC115", Warning, "address families of nodes and Services", "give nodes and Services the same families, IPv4, IPv6 or both; else some Services have no endpoints that can be reached";
    REPLICAS = "WC201", Error, "replicas of the control plane", "kubectl describe pods -l app.kubernetes.io/name=weft-controller, in its namespace";
    LEADER = "WC202", Error, "one leader, by a fresh lease", "read the log of the control plane: it says why it cannot lead";
    SYNCED = "WC203", Error, "everything is read from the API server", "read the log of the control plane: it says which kinds it cannot read";
    UNREADABLE = "WC205", Warning, "objects that can be read", "correct the objects; until then the last version that could be read stays in force";
    APPLIED = "WC207", Warning, "routes are in force on all proxies", "kubectl describe pods -l gateway.networking.k8s.io/gateway-name=NAME, in the namespace of the Gateway, and read the log of the proxies named";
    STATUSES = "WC208", Error, "statuses are up to date", "read the log of the control plane: it says which statuses cannot be written";
    PUBLISHED = "WC209", Error, "GatewayClass", "weft install | kubectl apply -f -";
    RBAC = "WC211", Warning, "rights of the control plane", "apply what `weft install` prints, and delete bindings that nobody needs";
    SKEW = "WC212", Warning, "versions of the control plane and of this command", "upgrade one of the two: they may be one minor version apart";
    NODES = "WC401", Error, "proxy on every node", "kubectl describe daemonset weft-node, in the namespace of the control plane; pods without it on their node are outside of the mesh";
    CHAIN = "WC402", Error, "plugin in the CNI chain of every node", "read what it says: mesh.cniConfigurations and mesh.cniPrograms have to be what the container runtime reads; until then pods start before they are captured";
    SUPERVISOR = "WC404", Error, "supervisor ready on every node", "kubectl logs -c node of the pod on that node, in the namespace of the control plane";
    RESTARTS = "WC405", Warning, "supervisors that were restarted", "kubectl logs -c node --previous of the pod on that node; more memory for mesh.resources if it was OOMKilled";
    CAPTURED = "WC406", Error, "every pod of the mesh captured", "`weft namespace status NAME` says why; the log of the node's proxy says more";
    CLASS_ACCEPTED = "WC801", Error, "GatewayClass accepted", "kubectl describe gatewayclass NAME; without a control plane nobody accepts it";
    PROGRAMMED = "WC802", Error, "listeners programmed", "`weft describe gateway/NS/NAME` says what is wrong with each listener";
    ADDRESS = "WC803", Error, "address assigned", "give the cluster a load balancer, or the Gateway a Service of another type (spec.infrastructure.parametersRef)";
    CERTIFICATE = "WC804", Warning, "certificates of listeners", "renew the certificate in the Secret; it is taken over within seconds";
    DEPLOYED = "WC805", Error, "Deployment and Service of the Gateway", "kubectl describe pods -l gateway.networking.k8s.io/gateway-name=NAME, in its namespace";
}
