package load

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestGoesFirstUntilItDoesNot(t *testing.T) {
	policy := func() uint32 {
		attributes, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return attributes.Policy
	}
	later, err := First()
	if err != nil {
		t.Skip("this takes root or CAP_SYS_NICE: ", err)
	}
	if policy() != unix.SCHED_FIFO {
		t.Error("it goes as others do")
	}
	err = AsOthers(func() error {
		if attributes, err := unix.SchedGetAttr(0, 0); err != nil || attributes.Policy != unix.SCHED_NORMAL {
			t.Error("what nobody waits for goes first, too: ", attributes, err)
		}
		return nil
	})
	if err != nil || policy() != unix.SCHED_FIFO {
		t.Error("it does not go first any more: ", err)
	}
	if err := later(); err != nil {
		t.Error(err)
	}
	if policy() != unix.SCHED_NORMAL {
		t.Error("it still goes first")
	}
}
