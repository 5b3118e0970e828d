package awsjson

import (
	"maps"
	"slices"
)

// OperationNames are the operations that are offered, in order.
func OperationNames() []string { return slices.Sorted(maps.Keys(operations())) }
