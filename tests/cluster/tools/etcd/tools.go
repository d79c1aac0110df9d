//go:build tools

// Package tools names the commands that this module is there to build.
package tools

import _ "go.etcd.io/etcd/server/v3"
