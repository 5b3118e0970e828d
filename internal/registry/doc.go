// Package registry is a Cloud Map that runs anywhere: namespaces, services,
// instances, their custom health and the operations that change them, with the
// rules of the AWS Cloud Map API (2017-03-14), among them the asynchronous
// register and deregister and the thirty seconds that a custom health status
// waits before it applies.
//
// It is the semantics and the durability, and nothing else. It speaks no
// protocol (packages awsjson and dns are its faces), probes nothing, asks no
// other service and checks no credentials. It keeps the settings and results of
// Route 53 health checks; somebody else makes them.
//
// # Reading and writing
//
// A write is validated against the newest state, made durable, then published,
// in that order. A call that returned nil has survived the machine's next
// crash, and no reader ever sees what a crash could take back. Concurrent
// writers share one fsync. Reads take no lock that a writer holds while it
// waits for the disk; what they return is immutable and must not be changed.
//
// # Time
//
// An operation, and a custom health status, has a due time at which its effect
// applies. Run applies them when due; a write applies those that are due
// before it looks at the state. Without Run the due times pass unseen until
// the next write.
package registry
