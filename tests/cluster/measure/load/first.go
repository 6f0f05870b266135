package load

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// First lets this program go before whatever else the machine does (SCHED_FIFO, sched(7)), so that the
// lateness of clients is not taken for that of what they measure. It takes root or CAP_SYS_NICE. What is
// returned ends it, and can be called in any case.
func First() (later func() error, err error) {
	if err := schedule("--fifo", "1"); err != nil {
		return func() error { return nil }, err
	}
	return func() error { return schedule("--other", "0") }, nil
}

// schedule moves all threads of this program; those that begin later do as those that begin them.
func schedule(policy, priority string) error {
	output, err := exec.Command("chrt", "--all-tasks", policy, "--pid", priority, strconv.Itoa(os.Getpid())).CombinedOutput()
	if err != nil {
		return fmt.Errorf("chrt %s: %w: %s", policy, err, output)
	}
	return nil
}

// AsOthers does something that clients do not wait for, in a thread that does not go first.
func AsOthers(do func() error) error {
	done := make(chan error)
	go func() {
		// Never unlocked, so the thread ends with what it does.
		runtime.LockOSThread()
		err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}, 0)
		if err == nil {
			err = do()
		}
		done <- err
	}()
	return <-done
}
