package probe

// tcp passes when the target accepts the connection. It sends nothing and
// closes with a reset, so that neither side keeps a TIME-WAIT.
func (a *attempt) tcp() {
	conn, stop := a.dial()
	if conn == nil {
		return
	}
	a.pass("connected")
	stop()
	abandon(conn)
}
