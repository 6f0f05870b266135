package kube

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
)

// metricsPort is where all parts of Weft show their metrics.
const metricsPort = "15021"

// Sample is one value of a metric.
type Sample struct {
	Name   string
	Labels map[string]string
	Value  float64
}

// Metrics are those that a pod of Weft shows.
func Metrics(ctx context.Context, pod core.Pod) ([]Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	address := "http://" + net.JoinHostPort(pod.Status.PodIP, metricsPort) + "/metrics"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", address, response.Status)
	}
	return parseMetrics(string(text)), err
}

// parseMetrics reads the text format of OpenMetrics, of which Weft's has neither exemplars nor times, and no
// comma or brace in a value of a label.
func parseMetrics(text string) []Sample {
	var all []Sample
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || at < 0 {
			continue
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			continue
		}
		name, labels, _ := strings.Cut(line[:at], "{")
		sample := Sample{Name: name, Labels: map[string]string{}, Value: value}
		for pair := range strings.SplitSeq(strings.TrimSuffix(labels, "}"), ",") {
			if key, quoted, found := strings.Cut(pair, "="); found {
				sample.Labels[key] = strings.Trim(quoted, `"`)
			}
		}
		all = append(all, sample)
	}
	return all
}
