//! The stages of `cargo x test`, in order, as data.
//!
//! The last seven that run tests share one set of test binaries and split it by filter, so a test
//! module nobody thought of lands in `integration` instead of being left out.

use crate::tool::{Package, Tool};

#[cfg(test)]
mod tests;

/// One step of the test run.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    /// One line: what a success of this stage means.
    pub(crate) purpose: &'static str,
    pub(crate) kind: Kind,
    pub(crate) speed: Speed,
    /// Arguments of cargo, separated by spaces.
    pub(crate) args: &'static str,
    pub(crate) env: &'static [(&'static str, &'static str)],
    /// Stages without whose success this one would only repeat their failure.
    pub(crate) after: &'static [&'static str],
    pub(crate) tools: &'static [Tool],
    /// What to do when it fails.
    pub(crate) cure: &'static str,
}

/// How a stage counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Counts as one.
    Command,
    /// Counts its tests; running none is a failure, because then its filter matches nothing.
    Tests,
    /// Counts its tests; may be empty.
    TestsIfAny,
}

/// Whether `--fast` keeps a stage.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speed {
    Fast,
    Slow,
}

/// What most stages that are one command share.
const COMMAND: Stage = Stage {
    name: "",
    purpose: "",
    kind: Kind::Command,
    speed: Speed::Fast,
    args: "",
    env: &[],
    after: &["fetch"],
    tools: &[],
    cure: "",
};

/// What most stages that run tests share.
const TESTS: Stage = Stage {
    kind: Kind::Tests,
    after: &["build"],
    cure: "fix the test named above; run it alone with `cargo test -p PACKAGE NAME`",
    ..COMMAND
};

const CLIPPY: Tool = Tool {
    probe: &["cargo", "clippy", "--version"],
    package: Package::Rustup("clippy"),
};
const CURL: Tool = Tool {
    probe: &["curl", "--version"],
    package: Package::Debian("curl"),
};
const GO: Tool = Tool {
    probe: &["go", "version"],
    package: Package::Debian("golang-go"),
};
const LINUX_ROOT: Tool = Tool {
    probe: &["sh", "-c", "test $(uname -s) = Linux && test $(id -u) = 0"],
    package: Package::Machine(
        "a cluster is made with namespaces, mounts and bridges; run as root on Linux",
    ),
};
const NAMESPACES: Tool = Tool {
    probe: &["sh", "-c", "test $(uname -s) = Linux && test $(id -u) = 0"],
    package: Package::Machine("network namespaces are made by root; run as root on Linux"),
};
const IP: Tool = Tool {
    probe: &["ip", "-V"],
    package: Package::Debian("iproute2"),
};
const NFT: Tool = Tool {
    probe: &["nft", "--version"],
    package: Package::Debian("nftables"),
};
const GRPCURL: Tool = Tool {
    probe: &["grpcurl", "-version"],
    package: Package::Go("github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"),
};
const WEBSOCKETS: Tool = Tool {
    probe: &["python3", "-c", "import websockets.sync.client"],
    package: Package::PyPi("websockets==15.0.1"),
};
const HELM: Tool = Tool {
    probe: &["helm", "version"],
    package: Package::Go("helm.sh/helm/v3/cmd/helm@v3.22.0"),
};
const RUSTFMT: Tool = Tool {
    probe: &["cargo", "fmt", "--version"],
    package: Package::Rustup("rustfmt"),
};

/// What the stages of a cluster share. They have their own cluster, whatever `KUBECONFIG` says: what
/// they do to it is not for somebody else's.
const CLUSTER: Stage = Stage {
    speed: Speed::Slow,
    env: &[("KUBECONFIG", "/var/lib/weft-bed/kubeconfig/admin")],
    after: &["install"],
    tools: &[LINUX_ROOT, GO],
    ..COMMAND
};

/// Every stage, in the order of a full run.
pub(crate) const STAGES: &[Stage] = &[
    Stage {
        name: "fetch",
        purpose: "every dependency named in Cargo.lock is on this machine",
        args: "fetch --locked",
        after: &[],
        cure: "reach the crate registry once, or commit the Cargo.lock that belongs to Cargo.toml",
        ..COMMAND
    },
    Stage {
        name: "format",
        purpose: "every file is formatted by rustfmt",
        args: "fmt --all --check",
        after: &[],
        tools: &[RUSTFMT],
        cure: "run `cargo fmt --all`",
        ..COMMAND
    },
    Stage {
        name: "lint",
        purpose: "clippy and rustc have nothing to say about any target",
        args: "clippy --locked --workspace --all-targets -- -D warnings",
        tools: &[CLIPPY],
        cure: "follow the lint's help text; an exception needs `#[expect(..., reason = \"...\")]`",
        ..COMMAND
    },
    Stage {
        name: "build",
        purpose: "all binaries and all tests compile",
        args: "build --locked --workspace --all-targets",
        cure: "fix the first error above; a missing linker means: install a C compiler",
        ..COMMAND
    },
    Stage {
        name: "unit",
        purpose: "unit tests, specification tables and properties hold, room by room",
        args: "test --locked --workspace --no-fail-fast --lib --bins --examples",
        ..TESTS
    },
    Stage {
        name: "doctest",
        purpose: "the examples in the documentation compile and run",
        kind: Kind::TestsIfAny,
        speed: Speed::Slow,
        args: "test --locked --workspace --no-fail-fast --doc",
        ..TESTS
    },
    Stage {
        name: "golden",
        purpose: "each YAML file of tests/golden gives the statuses and tables beside it",
        args: "test --locked --workspace --no-fail-fast --test * -- golden::",
        cure: "if the new output is right, `cargo x golden --update` and review the diff",
        ..TESTS
    },
    Stage {
        name: "tidy",
        purpose: "the numbered invariants and the ratchets of the code map hold",
        args: "test --locked --workspace --no-fail-fast --test * -- tidy::",
        cure: "each finding above names its file, line and cure",
        ..TESTS
    },
    Stage {
        name: "standalone",
        purpose: "`weft` routes real connections from YAML, end to end, without a cluster",
        speed: Speed::Slow,
        args: "test --locked --workspace --no-fail-fast --test * -- standalone:: \
               --skip standalone::tour::",
        tools: &[CURL],
        ..TESTS
    },
    Stage {
        name: "tour",
        purpose: "the tour of README.md prints what it shows, with every client it names",
        speed: Speed::Slow,
        args: "test --locked --workspace --no-fail-fast --test * -- standalone::tour::",
        tools: &[CURL, GRPCURL, WEBSOCKETS],
        cure: "correct README.md or what it shows; each block is named by its line",
        ..TESTS
    },
    Stage {
        name: "helm",
        purpose: "the chart gives what `weft install` prints, and its roles grant nothing else",
        speed: Speed::Slow,
        args: "test --locked --workspace --no-fail-fast --test * -- helm::",
        tools: &[HELM],
        ..TESTS
    },
    Stage {
        name: "netns",
        purpose: "pods are captured, and let go, without harm, in this kernel's network namespaces",
        speed: Speed::Slow,
        args: "test --locked --workspace --no-fail-fast --test * -- netns::",
        tools: &[NAMESPACES, IP, NFT],
        ..TESTS
    },
    Stage {
        name: "integration",
        purpose: "every other test of the integration binaries",
        kind: Kind::TestsIfAny,
        speed: Speed::Slow,
        args: "test --locked --workspace --no-fail-fast --test * -- \
               --skip golden:: --skip tidy:: --skip standalone:: --skip helm:: --skip netns::",
        ..TESTS
    },
    Stage {
        name: "docs",
        purpose: "the API documentation builds without a warning",
        speed: Speed::Slow,
        args: "doc --locked --no-deps --workspace",
        env: &[("RUSTDOCFLAGS", "-D warnings")],
        cure: "fix the links and code blocks rustdoc names above",
        ..COMMAND
    },
    Stage {
        name: "cluster-code",
        purpose: "the programs that make and judge a cluster pass their own tests",
        args: "x cluster test",
        after: &["fetch"],
        tools: &[GO],
        cure: "run the `go` command named above in its directory",
        ..CLUSTER
    },
    Stage {
        name: "images",
        purpose: "what is deployed is built and packed",
        args: "x image --profile release",
        after: &["build"],
        tools: &[GO],
        cure: "fix the first error above",
        ..CLUSTER
    },
    Stage {
        name: "cluster-clear",
        purpose: "nothing is left of a cluster that was made on this machine before",
        args: "x cluster down",
        after: &["cluster-code"],
        cure: "what stayed is named above",
        ..CLUSTER
    },
    Stage {
        name: "cluster-up",
        purpose: "this machine becomes a Kubernetes with two nodes",
        args: "x cluster up",
        after: &["cluster-clear"],
        cure: "tests/cluster/README.md says what a machine must have",
        ..CLUSTER
    },
    Stage {
        name: "cluster-prove",
        purpose: "the cluster does what the stages after this one rely on",
        args: "x cluster prove",
        after: &["cluster-up"],
        cure: "the claim that does not hold is named above; logs are in /var/lib/weft-bed/log",
        ..CLUSTER
    },
    Stage {
        name: "install",
        purpose: "Weft is installed on the cluster and its control plane becomes ready",
        args: "x cluster install",
        after: &["cluster-up", "images"],
        cure: "`cargo x cluster kubectl -- -n weft-system describe pods` says what it waits for",
        ..CLUSTER
    },
    Stage {
        name: "cluster-tour",
        purpose: "README.md's tour of a cluster works as it is pasted, by `weft install` and by Helm",
        args: "x cluster tour",
        tools: &[LINUX_ROOT, GO, CURL, HELM],
        cure: "correct README.md or what it shows; the line is named above",
        ..CLUSTER
    },
    Stage {
        name: "conformance",
        purpose: "the official suite of the Gateway API passes, with every feature Weft claims",
        args: "x conformance --retry",
        cure: "run the test alone: `cargo x conformance --run TEST`",
        ..CLUSTER
    },
    Stage {
        name: "experimental",
        purpose: "so does the suite with the kinds and fields of the experimental channel",
        args: "x conformance --channel experimental --retry",
        cure: "run the test alone: `cargo x conformance --channel experimental --run TEST`",
        ..CLUSTER
    },
    Stage {
        name: "mesh-conformance",
        purpose: "the official suite passes between pods of the mesh",
        args: "x conformance --profile MESH-HTTP,MESH-GRPC --retry",
        cure: "run the test alone: `cargo x conformance --profile MESH-HTTP --run TEST`",
        ..CLUSTER
    },
    Stage {
        name: "cluster-mesh",
        purpose: "a namespace joins the mesh and leaves it; nothing is readable, refused or lost",
        args: "x cluster measure mesh -- -only-failures",
        cure: "what clients were told is above; tests/cluster/README.md says how to run it longer",
        ..CLUSTER
    },
    Stage {
        name: "mesh-upgrade",
        purpose: "proxies of nodes and the controller are replaced; no kept connection of the mesh ends",
        args: "x cluster measure mesh-upgrade -- -only-failures -exchanges=10000",
        after: &["cluster-mesh"],
        cure: "what clients were told is above; alone: `cargo x cluster measure mesh-upgrade`",
        ..CLUSTER
    },
    Stage {
        name: "cluster-upgrades",
        purpose: "no client loses a request while weights, gateways, controllers and backends change",
        args: "x cluster measure upgrades kill -- -only-failures -rate=20 -hold=5s -steps=6 -kills=2 \
               -exchanges=1200",
        cure: "what clients were told is above; tests/cluster/README.md says how to run it longer",
        ..CLUSTER
    },
    Stage {
        name: "scenarios",
        purpose: "hostile objects harm nobody on the cluster, and uninstalling leaves nothing",
        args: "x cluster measure poison uninstall",
        cure: "run it alone: `cargo x cluster measure SCENARIO`, as tests/cluster/README.md says",
        ..CLUSTER
    },
    Stage {
        name: "cluster-down",
        purpose: "nothing of the cluster stays on this machine",
        args: "x cluster down",
        after: &["fetch"],
        cure: "what stayed is named above",
        ..CLUSTER
    },
];
