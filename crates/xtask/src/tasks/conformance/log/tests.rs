//! Logs of the suite as it wrote them, shortened where it repeats itself.

use super::{Log, Verdict};

fn check(log: &str, expected: &[(&str, Verdict)], trouble: Option<&str>) {
    let read = Log::parse(log);
    for (name, verdict) in expected {
        assert_eq!(read.tests.get(*name), Some(verdict), "verdict on {name}");
    }
    assert_eq!(
        read.tests.len(),
        expected.len(),
        "tests in {:?}",
        read.tests
    );
    assert_eq!(
        read.trouble.as_deref(),
        trouble,
        "what the suite itself suffered from"
    );
}

#[test]
fn without_gateway_class_the_suite_says_why_it_does_not_start() {
    check(
        r#"=== RUN   TestConformance
    conformance.go:117: Running conformance tests with:
    conformance.go:142:   ConformanceProfiles: [GATEWAY-HTTP]
    conformance.go:121: 
        	Error Trace:	sigs.k8s.io/gateway-api/conformance@v1.6.1/conformance.go:121
        	            				sigs.k8s.io/gateway-api/conformance@v1.6.1/conformance.go:102
        	Error:      	Received unexpected error:
        	            	cannot infer supported features from GWC: fetchGatewayClassSupportedFeatures(): gatewayclasses.gateway.networking.k8s.io "weft" not found
        	Test:       	TestConformance
        	Messages:   	error initializing conformance suite
--- FAIL: TestConformance (0.77s)
FAIL
"#,
        &[],
        Some(
            "Received unexpected error: cannot infer supported features from GWC: \
             fetchGatewayClassSupportedFeatures(): gatewayclasses.gateway.networking.k8s.io \
             \"weft\" not found",
        ),
    );
}

#[test]
fn each_kind_of_result_is_told_apart() {
    check(
        "\
=== RUN   TestConformance
    conformance.go:117: Running conformance tests with:
=== RUN   TestConformance/HTTPRouteWeight
=== PAUSE TestConformance/HTTPRouteWeight
=== RUN   TestConformance/HTTPRouteSimpleSameNamespace
    conformance.go:78: 2026-11-21T18:52:10.1Z: Applying tests/httproute-simple-same-namespace.yaml
=== RUN   TestConformance/HTTPRouteSimpleSameNamespace/Simple_HTTP_request_should_reach_infra-backend
--- PASS: TestConformance/HTTPRouteSimpleSameNamespace (1.20s)
    --- PASS: TestConformance/HTTPRouteSimpleSameNamespace/Simple_HTTP_request_should_reach_infra-backend (0.01s)
=== RUN   TestConformance/UDPRoute
    conformance.go:62: Skipping UDPRoute: suite does not support UDPRoute
=== RUN   TestConformance/TLSRouteSimple
    conformance.go:73: Skipping TLSRouteSimple: test explicitly skipped
=== RUN   TestConformance/GatewayStaticAddresses
    gateway-static-addresses.go:57: UsableNetworkAddresses must be configured
=== CONT  TestConformance/HTTPRouteWeight
    httproute-weight.go:70: 
        	Error Trace:	x.go:1
        	Error:      	Received unexpected error:
        	            	share of infra-backend-v1 is 0.5
        	Test:       	TestConformance/HTTPRouteWeight/Requests_should_have_a_distribution
        	Messages:   	weights are wrong
    httproute-weight.go:71: 
        	Error:      	a second one
--- FAIL: TestConformance (67.80s)
    --- SKIP: TestConformance/UDPRoute (0.00s)
    --- SKIP: TestConformance/TLSRouteSimple (0.00s)
    --- SKIP: TestConformance/GatewayStaticAddresses (0.00s)
    --- FAIL: TestConformance/HTTPRouteWeight (9.90s)
        --- FAIL: TestConformance/HTTPRouteWeight/Requests_should_have_a_distribution (9.80s)
FAIL
",
        &[
            ("GatewayStaticAddresses", Verdict::Skipped),
            ("HTTPRouteSimpleSameNamespace", Verdict::Passed),
            (
                "HTTPRouteWeight",
                Verdict::Failed(Some(
                    "Received unexpected error: share of infra-backend-v1 is 0.5".to_owned(),
                )),
            ),
            ("TLSRouteSimple", Verdict::LeftOut),
            ("UDPRoute", Verdict::NotClaimed("UDPRoute".to_owned())),
        ],
        None,
    );
}

#[test]
fn a_test_that_tells_no_error_is_explained_by_its_parts() {
    check(
        "\
=== RUN   TestConformance
=== RUN   TestConformance/MeshHTTPRouteRedirectHostAndStatus
=== RUN   TestConformance/MeshHTTPRouteRedirectHostAndStatus/0_request_to_'echo/hostname-redirect'
    pod.go:72: 2026-11-21T19:14:57.6Z: Response expectation failed for request: [client ...]
--- FAIL: TestConformance (235.79s)
    --- FAIL: TestConformance/MeshHTTPRouteRedirectHostAndStatus (0.03s)
        --- FAIL: TestConformance/MeshHTTPRouteRedirectHostAndStatus/0_request_to_'echo/hostname-redirect' (30.00s)
FAIL
",
        &[(
            "MeshHTTPRouteRedirectHostAndStatus",
            Verdict::Failed(Some("0_request_to_'echo/hostname-redirect'".to_owned())),
        )],
        None,
    );
}

#[test]
fn a_parallel_test_that_was_only_paused_has_not_passed() {
    check(
        "\
=== RUN   TestConformance
=== RUN   TestConformance/HTTPRouteWeight
=== PAUSE TestConformance/HTTPRouteWeight
panic: test timed out after 40m0s
	running tests:
		TestConformance (40m0s)
FAIL
",
        &[("HTTPRouteWeight", Verdict::Unfinished)],
        Some("panic: test timed out after 40m0s"),
    );
}

#[test]
fn a_run_that_was_killed_is_no_success() {
    check(
        "=== RUN   TestConformance\n",
        &[],
        Some("the run ended without a result"),
    );
    check("", &[], Some("the run ended without a result"));
}

#[test]
fn a_passed_run_has_no_trouble() {
    check(
        "=== RUN   TestConformance\n--- PASS: TestConformance (1.00s)\nPASS\n",
        &[],
        None,
    );
}
