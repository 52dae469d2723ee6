package main

import (
	"runtime"
	"sync"
)

// spareThreadCount is more than the launcher uses at once: the loop, the log,
// signals, the watch, and the runtime's own.
const spareThreadCount = 8

// spareThreads lets the runtime make its threads while there is room for them;
// it keeps them. At a pid limit that the command has used up it could make
// none, and a runtime that cannot ends the program, and with it the container.
func spareThreads(n int) {
	var ready, gone sync.WaitGroup
	ready.Add(n)
	release := make(chan struct{})
	for range n {
		gone.Go(func() {
			runtime.LockOSThread() // a thread that ends locked would not be kept
			defer runtime.UnlockOSThread()
			ready.Done()
			<-release
		})
	}
	ready.Wait()
	close(release)
	gone.Wait()
}
