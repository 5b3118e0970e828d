package registry

import (
	"errors"
	"fmt"
)

// Code is an error code of the AWS Cloud Map API, as clients know it.
type Code string

// The codes that the offered operations answer with.
const (
	CustomHealthNotFound   Code = "CustomHealthNotFound"
	DuplicateRequest       Code = "DuplicateRequest"
	InstanceNotFound       Code = "InstanceNotFound"
	InvalidInput           Code = "InvalidInput"
	NamespaceAlreadyExists Code = "NamespaceAlreadyExists"
	NamespaceNotFound      Code = "NamespaceNotFound"
	OperationNotFound      Code = "OperationNotFound"
	ResourceInUse          Code = "ResourceInUse"
	ResourceNotFound       Code = "ResourceNotFoundException"
	ServiceAlreadyExists   Code = "ServiceAlreadyExists"
	ServiceNotFound        Code = "ServiceNotFound"
	TooManyTags            Code = "TooManyTagsException"

	ResourceLimitExceeded          Code = "ResourceLimitExceeded"
	ServiceAttributesLimitExceeded Code = "ServiceAttributesLimitExceededException"
)

// Error is a refusal: the caller asked for something that Cloud Map would
// refuse too. Every other error of this package is a failure of our own.
type Error struct {
	Code    Code
	Message string
	// Details are the further members that AWS sends with some codes, such as
	// DuplicateOperationId, by their wire names. Often nil.
	Details map[string]string
}

// Error gives the code and the message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// ErrClosed is returned by writes after Close.
var ErrClosed = errors.New("registry is closed")

// ErrInUse is in the error where another process has the file of a registry
// open, which only one process may at a time.
var ErrInUse = errors.New("another process has it open")

func refuse(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// invalid refuses the value of one request member, which it names.
func invalid(member, format string, args ...any) *Error {
	return refuse(InvalidInput, "%s: %s", member, fmt.Sprintf(format, args...))
}

// with adds a member to the refusal.
func (e *Error) with(member, value string) *Error {
	if e.Details == nil {
		e.Details = make(map[string]string)
	}
	e.Details[member] = value
	return e
}
