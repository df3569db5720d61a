package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
)

// givenPorts are those that were given out, or tried: some of them before their process listens.
var givenPorts = struct {
	sync.Mutex
	all map[int]bool
}{all: map[int]bool{}}

// freePorts finds ports of 127.0.0.1 on which nobody listens. They lie below those that the kernel gives to outgoing
// connections: a process that is stopped and started again under load would find a port of those taken.
func freePorts(count int) ([]int, error) {
	const lowest = 12000
	highest := 30000
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		var first, last int
		if _, err := fmt.Sscan(string(text), &first, &last); err == nil && first > lowest+1000 {
			highest = first
		}
	}
	givenPorts.Lock()
	defer givenPorts.Unlock()
	var held []net.Listener
	defer func() {
		for _, each := range held {
			each.Close()
		}
	}()
	var ports []int
	for tries := 0; len(ports) < count; tries++ {
		if tries == 100*count {
			return nil, fail(environ, "no %d free ports could be found on 127.0.0.1", count)
		}
		port := lowest + rand.IntN(highest-lowest)
		if givenPorts.all[port] {
			continue
		}
		givenPorts.all[port] = true
		listener, err := net.Listen("tcp", local(port))
		if err == nil {
			held, ports = append(held, listener), append(ports, port)
		}
	}
	return ports, nil
}

// local is an address of this machine that no other can reach.
func local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
