// Package policy decides what a whole fleet may do about the verdicts on its
// members: Assess sums up the fleet, Propose says for one service what its
// evidence asks for, Admit lets through what budgets and velocity allow.
//
// Rules may only withhold a removal, never cause one, and never withhold a
// return. A withheld decision is a decision with a Reason. The package probes
// nothing, writes nothing and knows no lever's procedure; it is pure, and
// what it must remember between calls it takes and returns.
package policy
