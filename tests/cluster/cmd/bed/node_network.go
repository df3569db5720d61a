package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
)

// network is where a node is. All of it lies in one network 10.N.0.0/16, to which the machine has one route, through one pair of
// devices. The node has no default route, so nothing leaves the machine.
type network struct {
	// Device is the end of the pair that the machine has.
	Device string `json:"device"`
	// All, Pods and Services are networks.
	All      string `json:"all"`
	Pods     string `json:"pods"`
	Services string `json:"services"`
	// Node and Machine are the addresses of the two ends, API the one of the API server's Service.
	Node    string `json:"node"`
	Machine string `json:"machine"`
	API     string `json:"api"`
}

func numbered(n int) network {
	return network{
		Device:   fmt.Sprintf("cutover%d", n),
		All:      fmt.Sprintf("10.%d.0.0/16", n),
		Pods:     fmt.Sprintf("10.%d.1.0/24", n),
		Services: fmt.Sprintf("10.%d.2.0/24", n),
		Node:     fmt.Sprintf("10.%d.0.1", n),
		Machine:  fmt.Sprintf("10.%d.0.254", n),
		API:      fmt.Sprintf("10.%d.2.1", n),
	}
}

// freeNetwork is the first one that this machine does not know.
func freeNetwork() (network, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return network{}, fail(environ, "the routes of this machine cannot be read: %v", err)
	}
	var taken []*net.IPNet
	for _, route := range routes {
		if route.Dst != nil {
			taken = append(taken, route.Dst)
		}
	}
	for n := 99; n > 79; n-- {
		candidate := numbered(n)
		if _, err := netlink.LinkByName(candidate.Device); err != nil && !overlaps(candidate, taken) {
			return candidate, nil
		}
	}
	return network{}, fail(environ, "this machine has routes to all of 10.80.0.0/16 to 10.99.0.0/16, so there is no network left for the node")
}

func overlaps(candidate network, taken []*net.IPNet) bool {
	_, all, _ := net.ParseCIDR(candidate.All)
	for _, each := range taken {
		ones, _ := each.Mask.Size()
		// A default route leads everywhere, and gives way to ours.
		if ones > 0 && (each.Contains(all.IP) || all.Contains(each.IP)) {
			return true
		}
	}
	return false
}

// lockNetworks waits until no other node looks for a network. The lock is on a folder that is there anyway, and goes with the process.
func lockNetworks() (*os.File, error) {
	held, err := os.Open("/run")
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
		held.Close()
		return nil, fmt.Errorf("/run cannot be locked: %w", err)
	}
	return held, nil
}

// connect makes the pair of devices, one end here, one in the node, and returns the number of the one that is here.
func (n network) connect(holder int) (int, error) {
	pair := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: "node0"}
	pair.Name = n.Device
	pair.PeerNamespace = netlink.NsPid(holder)
	if err := netlink.LinkAdd(pair); err != nil {
		return 0, fmt.Errorf("the devices between machine and node cannot be made: %w", err)
	}
	link, err := netlink.LinkByName(n.Device)
	if err != nil {
		return 0, err
	}
	inside := func() error {
		if err := address("lo", ""); err != nil {
			return err
		}
		if err := address("node0", n.Node+"/24"); err != nil {
			return err
		}
		// Without it a Service would have no route, and kube-proxy no say.
		return route("node0", n.Services, "")
	}
	if err := errors.Join(address(n.Device, n.Machine+"/24"), within(holder, inside)); err != nil {
		return 0, err
	}
	return link.Attrs().Index, route(n.Device, n.All, n.Node)
}

// address gives a device an address, unless it has one, and brings it up.
func address(device, cidr string) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("there is no device %s: %w", device, err)
	}
	if cidr != "" {
		parsed, err := netlink.ParseAddr(cidr)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, parsed); err != nil {
			return fmt.Errorf("%s cannot get the address %s: %w", device, cidr, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("%s cannot be brought up: %w", device, err)
	}
	return nil
}

func route(device, to, via string) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	_, network, err := net.ParseCIDR(to)
	if err != nil {
		return err
	}
	added := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: network, Gw: net.ParseIP(via)}
	if via == "" {
		added.Scope = netlink.SCOPE_LINK
	}
	if err := netlink.RouteAdd(added); err != nil {
		return fmt.Errorf("no route to %s can be added: %w", to, err)
	}
	return nil
}
