package registry

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Filter narrows a listing. As on AWS it applies to a page after the page was
// cut, so a page may be empty and still have a next one.
type Filter struct {
	Name      string
	Values    []string
	Condition string // EQ (default), IN, BEGINS_WITH or BETWEEN
}

type conditions uint8

const (
	eq conditions = 1 << iota
	in
	beginsWith
	timeBetween
)

var conditionNames = map[string]conditions{"": eq, "EQ": eq, "IN": in, "BEGINS_WITH": beginsWith, "BETWEEN": timeBetween}

const (
	self          = "SELF"
	otherAccounts = "OTHER_ACCOUNTS"
)

// filterRule is what a filter of one name may do.
type filterRule[T any] struct {
	conditions conditions
	of         func(T) string
	values     []string // the values that exist; nil is any
}

// compileFilters returns the conjunction of the filters, nil without filters.
func compileFilters[T any](filters []Filter, rules map[string]filterRule[T]) (func(T) bool, error) {
	if len(filters) == 0 {
		return nil, nil
	}
	var tests []func(T) bool
	for _, f := range filters {
		rule, known := rules[f.Name]
		switch {
		case f.Name == "":
			return nil, invalid("Filters.Name", "is required")
		case !known:
			return nil, invalid("Filters.Name", "%.32q cannot be filtered by here", f.Name)
		}
		test, err := rule.compile(f)
		if err != nil {
			return nil, err
		}
		tests = append(tests, test)
	}
	return func(item T) bool {
		for _, test := range tests {
			if !test(item) {
				return false
			}
		}
		return true
	}, nil
}

func (rule filterRule[T]) compile(f Filter) (func(T) bool, error) {
	condition := conditionNames[f.Condition]
	if condition == 0 || rule.conditions&condition == 0 {
		return nil, invalid("Filters.Condition", "%s does not take %.32q", f.Name, f.Condition)
	}
	for _, v := range f.Values {
		if v == "" || utf8.RuneCountInString(v) > maxFilterValue {
			return nil, invalid("Filters.Values", "a value of %s does not have 1 to %d characters", f.Name, maxFilterValue)
		}
		if rule.values != nil && condition != beginsWith && !slices.Contains(rule.values, v) {
			return nil, invalid("Filters.Values", "%s is never %q but one of %s", f.Name, v, strings.Join(rule.values, ", "))
		}
	}
	switch {
	case len(f.Values) == 0:
		return nil, invalid("Filters.Values", "is required, and %s has none", f.Name)
	case condition == timeBetween:
		return rule.compileBetween(f)
	case condition != in && len(f.Values) != 1:
		return nil, invalid("Filters.Values", "%s takes exactly one value, not %d", f.Name, len(f.Values))
	case condition == beginsWith:
		return func(item T) bool { return strings.HasPrefix(rule.of(item), f.Values[0]) }, nil
	}
	return func(item T) bool { return slices.Contains(f.Values, rule.of(item)) }, nil
}

// compileBetween compares times in milliseconds; values are epoch seconds, the
// start first.
func (rule filterRule[T]) compileBetween(f Filter) (func(T) bool, error) {
	if len(f.Values) != 2 {
		return nil, invalid("Filters.Values", "BETWEEN takes a start and an end, not %d values", len(f.Values))
	}
	var bounds [2]float64
	for i, v := range f.Values {
		seconds, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return nil, invalid("Filters.Values", "%s: %q is not a time in epoch seconds", f.Name, v)
		}
		bounds[i] = seconds
	}
	return func(item T) bool {
		at, err := strconv.ParseFloat(rule.of(item), 64)
		return err == nil && bounds[0] <= at && at <= bounds[1]
	}, nil
}

// epoch spells a time the way filter values are spelt.
func epoch(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

func names[S ~string](constants ...S) []string {
	out := make([]string, len(constants))
	for i, c := range constants {
		out[i] = string(c)
	}
	return out
}
