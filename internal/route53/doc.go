// Package route53 makes the health checks that AWS makes by itself: for each
// registry instance whose service has a HealthCheckConfig, several checkers
// (vantages) ask it every 30 seconds, uncoordinated, turn their opinion after
// FailureThreshold results in a row, and call the instance healthy together
// while more than 18 % of them do.
//
// It imitates Route 53 and none of its caution is mapwarden's: silence is a
// failure, and an instance that was not judged yet is the registry's to answer
// for. The one kindness is that a fault of this process is no result.
//
// All vantages of a process look from one place. They differ in when they look,
// not in what network they see: a zone that Route 53 would see from eight
// regions is seen here from one machine, which may also ask private addresses,
// as Route 53 cannot. The package keeps no status of an instance (package
// registry does), changes no registration, resolves no names and opens no
// listener.
package route53
