package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	residentLimitKiB = 5 << 10
	idleFor          = 1500 * time.Millisecond
)

// build makes the program as the image has it.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "desist-launcher")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=1.2.3", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return path
}

func TestTheProgramIsSmallAndIdle(t *testing.T) {
	for name, listening := range map[string]bool{"listening": true, "by mailbox alone": false} {
		t.Run(name, func(t *testing.T) {
			p := newPod(t, false)
			c := p.hearing()
			if !listening {
				p.env = append(p.env, "DESIST_PUSH_KEY=")
			}
			p.cmd = exec.Command(build(t), append([]string{"run", "--"}, p.actor("-deaf")...)...)
			p.startPrepared()
			p.waitEvent("command ready")
			p.wantSmallAndIdle()
			if listening {
				c.push(cancel(1))
				p.wantSmallAndIdle()
			}
		})
	}
}

func (p *pod) wantSmallAndIdle() {
	p.t.Helper()
	pid := p.cmd.Process.Pid
	// What was told goes on and off, on a busy machine later than one thinks, and each time the launcher hears of it.
	// So a window counts in which nothing happened; a launcher that looks by itself now and then has none.
	p.until(fmt.Sprintf("%v in which it does not wake up", idleFor), func() bool {
		before := switches(p.t, pid)
		time.Sleep(idleFor)
		woken := switches(p.t, pid) - before
		p.t.Logf("it woke up %d times in %v", woken, idleFor)
		return woken <= 5
	})
	if kib := status(p.t, fmt.Sprintf("/proc/%d/status", pid), "VmRSS"); kib > residentLimitKiB {
		p.t.Errorf("%d KiB are resident", kib)
	} else {
		p.t.Logf("%d KiB are resident", kib)
	}
}

// switches counts how often the program's threads gave up their CPU.
func switches(t *testing.T, pid int) int {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	must(err)
	sum := 0
	for _, task := range tasks {
		sum += status(t, task, "voluntary_ctxt_switches")
	}
	return sum
}

func status(t *testing.T, file, name string) int {
	t.Helper()
	raw, err := os.ReadFile(file)
	must(err)
	found := regexp.MustCompile(`(?m)^` + name + `:\s+(\d+)`).FindSubmatch(raw)
	if found == nil {
		t.Fatalf("no %s in %s", name, file)
	}
	number, err := strconv.Atoi(string(found[1]))
	must(err)
	return number
}

func TestInstallPutsARunnableCopyInPlaceAlsoOverARunningOne(t *testing.T) {
	program, target := build(t), filepath.Join(t.TempDir(), "desist-launcher")
	for range 2 {
		if output, err := exec.Command(program, "install", target).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		info, err := os.Stat(target)
		must(err)
		if info.Mode() != 0o555 {
			t.Errorf("mode %v", info.Mode())
		}
		running := exec.Command(target, "run", "--", "sleep", "60")
		must(running.Start())
		defer running.Wait()
		defer running.Process.Kill()
		if output, err := exec.Command(target, "version").Output(); err != nil || strings.TrimSpace(string(output)) != "1.2.3" {
			t.Errorf("version %q, %v", output, err)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(target)); len(entries) != 1 {
		t.Errorf("left over: %v", entries)
	}
}

func TestInstallSaysWhyItCannot(t *testing.T) {
	var stderr strings.Builder
	code := dispatch([]string{"install", "/no/such/folder/launcher"}, nil, &stderr)
	if code != 1 || !strings.Contains(stderr.String(), "no such file or directory") {
		t.Errorf("code %d: %s", code, stderr.String())
	}
}

func TestAWrongCommandLineShowsTheRightOnes(t *testing.T) {
	for _, args := range [][]string{nil, {"run"}, {"run", "--"}, {"run", "sleep", "1"}, {"install"}, {"help"}} {
		var stderr strings.Builder
		if code := dispatch(args, nil, &stderr); code != 2 || stderr.String() != usage {
			t.Errorf("%q: code %d, %q", args, code, stderr.String())
		}
	}
}
