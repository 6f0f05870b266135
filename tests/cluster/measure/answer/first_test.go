package answer

import (
	"testing"
	"time"
)

func TestAFirstRequestIsFoundInALog(t *testing.T) {
	want := First{1500 * time.Microsecond, "HTTP 503"}
	got, err := ReadFirst("something else\n" + want.String() + "\nlater\n")
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if _, err := ReadFirst("something else\n"); err == nil {
		t.Error("found one in a log without")
	}
}
