//go:build tools

// Package tools names the commands that this module is there to build.
package tools

import _ "github.com/jaegertracing/jaeger/cmd/all-in-one"
