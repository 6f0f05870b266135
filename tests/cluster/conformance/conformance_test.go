// Package conformance is the official suite of the Gateway API, unmodified, as a test binary.
package conformance

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/tests"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/pkg/features"
)

func TestConformance(t *testing.T) { conformance.RunConformance(t) }

// TestCatalogue needs no cluster. It prints a line for every test of the suite and every profile
// that the suite counts it in, separated by tabs:
//
//	catalogue PROFILE core|extended TEST FEATURES
//
// The log of a run names tests only; this is how they are counted by profile. The profile of a test
// that counts in none is "none".
func TestCatalogue(t *testing.T) {
	profiles := []suite.ConformanceProfile{
		suite.GatewayHTTPConformanceProfile,
		suite.GatewayGRPCConformanceProfile,
		suite.GatewayTLSConformanceProfile,
		suite.GatewayTCPConformanceProfile,
		suite.GatewayUDPConformanceProfile,
		suite.MeshHTTPConformanceProfile,
		suite.MeshGRPCConformanceProfile,
	}
	for _, test := range tests.ConformanceTests {
		needs := sets.New(test.Features...)
		line := func(profile, level string) {
			fmt.Printf("catalogue\t%s\t%s\t%s\t%s\n", profile, level, test.ShortName, names(test.Features))
		}
		counts := false
		for _, profile := range profiles {
			switch {
			case profile.CoreFeatures.IsSuperset(needs):
				line(string(profile.Name), "core")
			case profile.CoreFeatures.Union(profile.ExtendedFeatures).IsSuperset(needs):
				line(string(profile.Name), "extended")
			default:
				continue
			}
			counts = true
		}
		if !counts {
			line("none", "extended")
		}
	}
}

func names(list []features.FeatureName) string {
	var words []string
	for _, feature := range list {
		words = append(words, string(feature))
	}
	return strings.Join(words, ",")
}
