package main

// clusterUp starts a whole node: kubelet, containerd and what belongs to them.
func clusterUp([]string) error { return fail(cannotRun, "the node is not there yet") }

// clusterDown ends it, and puts the settings of the host back.
func clusterDown([]string) error { return fail(cannotRun, "the node is not there yet") }
