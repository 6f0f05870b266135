package main

// The Kubernetes that the bed runs; kube/go.mod pins the same version for every staging module.
const (
	kubeVersion = "v1.36.3"
	kubeMajor   = "1"
	kubeMinor   = "36"
)

// component is what one module of this tree is built into: its programs, and the image they go
// into if refs is not empty.
type component struct {
	name   string
	module string // directory of its module, relative to this tree
	pkgs   []string
	// ldflags stamps what Go modules cannot know, such as the version of Kubernetes.
	ldflags string
	// isTest builds the test binary of the package instead of a program.
	isTest bool
	refs   []string
	user   string
	// extra are files of modules that the image needs beside its programs.
	extra []moduleFile
	// cold is how long it takes on two cores the first time, for people who wait.
	cold string
}

type moduleFile struct {
	module, path, dst string
}

const (
	version = "-X k8s.io/component-base/version."
	suite   = "registry.k8s.io/gateway-api/"
	echo    = "istio.io/istio/pkg/test/echo/cmd/"
	testPKI = "tests/testdata/certs/dns/"
)

var components = []component{
	{name: "bed", module: ".", pkgs: []string{"./bed"}, cold: "1 min"},
	{
		name: "kube", module: "kube", pkgs: []string{"."}, cold: "6 min",
		ldflags: version + "gitVersion=" + kubeVersion + " " + version + "gitMajor=" + kubeMajor + " " +
			version + "gitMinor=" + kubeMinor + " " + version + "gitTreeState=clean",
	},
	{name: "pause", module: ".", pkgs: []string{"./pause"}, refs: []string{"registry.k8s.io/pause:3.10"}},
	{
		name: "coredns", module: "coredns", pkgs: []string{"."}, cold: "1 min",
		refs: []string{"registry.k8s.io/coredns/coredns:v1.12.2"},
	},
	// The manifests of the suite name three versions; the sources of one serve them all.
	{
		name: "echo-basic", module: "conformance", user: "65532",
		pkgs: []string{"sigs.k8s.io/gateway-api/conformance/echo-basic"},
		refs: []string{suite + "echo-basic:v1.5.1", suite + "echo-basic:v1.6.0-dev.2", suite + "echo-basic:v1.6.0-dev.3"},
	},
	{
		name: "echo-advanced", module: "echo-advanced", user: "1338", cold: "2 min",
		pkgs: []string{echo + "server", echo + "client"},
		refs: []string{suite + "echo-advanced:v1.5.1"},
		extra: []moduleFile{
			{"istio.io/istio", testPKI + "cert-chain.pem", "/cert.crt"},
			{"istio.io/istio", testPKI + "key.pem", "/cert.key"},
		},
	},
	{name: "conformance", module: "conformance", pkgs: []string{"."}, isTest: true, cold: "2 min"},
	{name: "measure", module: "measure", pkgs: []string{"."}, cold: "1 min"},
	{
		name: "measure-backend", module: "measure", pkgs: []string{"./backend"}, user: "65532",
		refs: []string{"ghcr.io/weft-mesh/measure-backend:1"},
	},
}
