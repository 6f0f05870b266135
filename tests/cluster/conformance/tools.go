//go:build tools

// The echo server of the suite is built from this module, which pins it.
package conformance

import _ "sigs.k8s.io/gateway-api/conformance/echo-basic"
