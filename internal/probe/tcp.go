package probe

// tcp passes when the target accepts the connection. It sends nothing. The
// target's program sees a connection that ends at once, but of a half-open
// check, which ends before the handshake does, it sees nothing.
func (a *attempt) tcp() {
	conn, stop := a.dial()
	if conn == nil {
		return
	}
	a.pass("connected")
	stop()
	if a.target.Check.Probe.HalfOpen {
		abandon(conn)
		return
	}
	part(conn)
}
