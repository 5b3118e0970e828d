package health

// Cause is the typed "why" of an observation. Its String is stable: it is a
// metric label, a word in logs and a value in the operator API.
type Cause uint8

const (
	// NoCause goes with a pass.
	NoCause Cause = iota

	// Failures of the target.

	Refused     // the host answered that nothing listens there
	Reset       // the connection was cut by the other side
	Timeout     // no answer within the check's timeout
	Unreachable // the network said that the host or network cannot be reached
	TLS         // the handshake failed, or the certificate ends too soon
	BadStatus   // an HTTP status outside the expected ranges, or a gRPC one other than SERVING
	BadBody     // the body lacks what the check expects
	Malformed   // the answer is not the protocol that was asked for
	DNS         // the target's host name has no address, says an authority
	Inverted    // it passes, and is not meant to
	Stranger    // somebody else answered at this address

	// Reasons for not knowing.

	PathUnproven   // silence, and this vantage cannot show that its own path works
	NotProbeable   // no address, no port or no address family to probe with
	AddressRefused // the address policy forbids connecting there
	LocalFault     // no file descriptor, no port, or another fault of our own
	Overloaded     // the checker had no room to run the probe in time
	Late           // the probe started more than half an interval after it was due
	Cancelled      // the checker stopped, or the target went, while it was probed
	Resolver       // the resolver itself failed: says nothing about the target

	causes
)

var causeNames = [causes]string{
	NoCause: "none", Refused: "refused", Reset: "reset", Timeout: "timeout",
	Unreachable: "unreachable", TLS: "tls", BadStatus: "status", BadBody: "body",
	Malformed: "malformed", DNS: "dns", Stranger: "identity", Inverted: "inverted",
	PathUnproven: "path-unproven", NotProbeable: "not-probeable",
	AddressRefused: "address-refused", LocalFault: "local-fault",
	Overloaded: "overloaded", Late: "late", Cancelled: "cancelled", Resolver: "resolver",
}

func (c Cause) String() string {
	if c < causes {
		return causeNames[c]
	}
	return "unknown-cause"
}

// ProvesReach reports whether a failure with this cause can only have been
// caused by an answer from the target's own host: the path to it works.
// Silence and ICMP errors prove nothing, they may come from any hop.
func (c Cause) ProvesReach() bool {
	switch c {
	case Refused, Reset, TLS, BadStatus, BadBody, Malformed, Stranger, Inverted:
		return true
	}
	return false
}

// NeedsPath reports whether a failure with this cause may equally mean that
// the checker's own path is broken, so that the path must be proven before the
// failure counts (safety rule 3).
func (c Cause) NeedsPath() bool { return c == Timeout || c == Unreachable }

// Kind of evidence, in the order in which scarce removals are given away.
type Class uint8

const (
	// Soft evidence: an answer that is wrong or late, or no answer at all.
	Soft Class = iota
	// Hard evidence: refused or reset on a path that works. Nobody listens.
	Hard
	// Gone: the instance's owner says that it has stopped.
	Gone
)

func (c Class) String() string {
	switch c {
	case Hard:
		return "hard"
	case Gone:
		return "gone"
	}
	return "soft"
}

// Class is the class of evidence that a failure with this cause is.
func (c Cause) Class() Class {
	if c == Refused || c == Reset {
		return Hard
	}
	return Soft
}
