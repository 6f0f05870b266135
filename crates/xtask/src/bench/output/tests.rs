//! Reports as the tools print them.

use super::{Failures, Load, counter_by, h2load, wrk};

const WRK: &str = "Running 1s test @ http://127.0.0.1:18777/
  1 threads and 4 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.72ms    1.65ms  21.71ms   98.05%
    Req/Sec     2.52k   295.81     2.89k    72.73%
  2758 requests in 1.10s, 1.37MB read
";

const H2LOAD: &str = "Application protocol: h2c

finished in 2.00s, 41250.50 req/s, 42.10MB/s
requests: 82501 total, 82629 started, 82501 done, 82499 succeeded, 2 failed, 1 errored, 0 timeout
status codes: 82499 2xx, 0 3xx, 0 4xx, 1 5xx
traffic: 84.20MB (88291823) total, 805.97KB (825310) headers (space savings 91.67%), 80.57MB
";

#[test]
fn wrk_reports_a_clean_run() {
    let load = wrk(&format!(
        "{WRK}Requests/sec:   2508.00\nTransfer/sec:  1.24MB\n"
    ));
    let expected = Load {
        requests: 2758,
        rate: 2508.0,
        failures: Failures::default(),
    };
    assert_eq!(load.expect("a whole report"), expected);
}

#[test]
fn wrk_reports_failures_by_class() {
    let text = format!(
        "{WRK}  Socket errors: connect 1, read 2, write 3, timeout 4\n  \
         Non-2xx or 3xx responses: 5\nRequests/sec:   2508.00\n"
    );
    let expected = Failures {
        refused: 1,
        reset: 5,
        timeout: 4,
        wrong_status: 5,
        wrong_body: 0,
    };
    assert_eq!(wrk(&text).expect("a whole report").failures, expected);
    assert_eq!(expected.total(), 15);
}

#[test]
fn h2load_reports_requests_and_failures() {
    let expected = Load {
        requests: 82_501,
        rate: 41_250.5,
        failures: Failures {
            reset: 1,
            wrong_status: 1,
            ..Failures::default()
        },
    };
    assert_eq!(h2load(H2LOAD).expect("a whole report"), expected);
}

#[test]
fn a_report_without_a_result_is_an_error() {
    assert!(wrk("unable to connect to 127.0.0.1:9 Connection refused").is_err());
    assert!(wrk(WRK).is_err(), "no rate");
    assert!(h2load("starting benchmark...").is_err());
}

#[test]
fn no_answers_are_no_figure() {
    let load = Load {
        requests: 4,
        ..Load::default()
    };
    assert_eq!(load.cpu_us(0.001).ok(), Some(250.0));
    assert!(
        Load::default().cpu_us(0.001).is_err(),
        "nothing to divide by"
    );
}

#[test]
fn counters_are_summed_by_a_label() {
    let text = "# TYPE weft_request_errors counter\n\
                weft_request_errors_total{error=\"reset\",route=\"a} b\"} 2\n\
                weft_request_errors_total{route=\"c\",error=\"reset\"} 3 1700000000\n\
                weft_request_errors_total{last_error=\"reset\",error=\"timeout\"} 4\n\
                weft_request_errors_total_other{error=\"reset\"} 50\n\
                weft_requests_total{class=\"success\"} 9\n";
    let sums = counter_by(text, "weft_request_errors_total", "error");
    let expected = [("reset".to_owned(), 5.0), ("timeout".to_owned(), 4.0)];
    assert_eq!(sums, expected.into());
    assert!(counter_by(text, "weft_absent_total", "error").is_empty());
}
