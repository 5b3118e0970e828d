//go:build !linux

package probe

import "errors"

func newCarrier(*Engine) (carrier, error) {
	return nil, errors.New("there is an event loop for Linux only")
}

func holdACK(uintptr) {}

func descriptors() int { return 1024 }
