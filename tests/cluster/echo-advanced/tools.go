//go:build tools

// Package tools pins the echo server and client that the mesh tests of the suite run as
// echo-advanced. They are those of Istio, at the commit that go.mod names.
package tools

import (
	_ "istio.io/istio/pkg/test/echo/cmd/client"
	_ "istio.io/istio/pkg/test/echo/cmd/server"
)
