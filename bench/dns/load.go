//go:build linux

package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	wire "github.com/miekg/dns"
	"golang.org/x/net/ipv4"
)

// testCase is a question, and how hard it is asked.
type testCase struct {
	name            string
	question        string
	records         int // in the answer
	sockets, window int // questions without an answer at a time: the product of both
	gather          time.Duration
}

// Where many questions are open the asker gathers answers for a moment before it
// reads them and asks anew. Were it woken for every single one, it would be the
// slower side, and what is measured the asker.
var cases = []testCase{
	{"100 instances, 192 at a time", "web.bench.internal.", 8, 4, 48, 100 * time.Microsecond},
	{"1 instance, 192 at a time", "one.bench.internal.", 1, 4, 48, 100 * time.Microsecond},
	{"100 instances, one by one", "web.bench.internal.", 8, 1, 1, 0},
	{"1 instance, one by one", "one.bench.internal.", 1, 1, 1, 0},
}

// order is what the asker is told to do.
type order struct {
	At, Question    string
	Records         int
	Sockets, Window int
	Gather, For     time.Duration
}

// result is what it says afterwards.
type result struct {
	Answers, Lost int
	Took          time.Duration
	Error         string
}

// answerOrders carries out the orders that come on standard input.
func answerOrders() error {
	orders := json.NewDecoder(bufio.NewReader(os.Stdin))
	for orders.More() {
		var o order
		if err := orders.Decode(&o); err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(o.carryOut()); err != nil {
			return err
		}
	}
	return nil
}

func (o order) carryOut() result {
	var mu sync.Mutex
	var all result
	var asking sync.WaitGroup
	start := time.Now()
	for range o.Sockets {
		asking.Go(func() {
			answers, lost, err := o.ask(start.Add(o.For))
			mu.Lock()
			defer mu.Unlock()
			all.Answers += answers
			all.Lost += lost
			if err != nil {
				all.Error = err.Error()
			}
		})
	}
	asking.Wait()
	all.Took = time.Since(start)
	return all
}

// patience is how long an answer may take before it counts as lost.
const patience = 500 * time.Millisecond

// ask keeps a window of questions open on one socket until a time. Every answer
// is checked: its id, its code, how many records it has.
func (o order) ask(until time.Time) (answers, lost int, err error) {
	conn, err := net.Dial("udp", o.At)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	batch := ipv4.NewPacketConn(conn.(net.PacketConn))
	m := new(wire.Msg)
	m.SetQuestion(o.Question, wire.TypeA)
	query, err := m.Pack()
	if err != nil {
		return 0, 0, err
	}
	out := make([]ipv4.Message, o.Window)
	in := make([]ipv4.Message, o.Window)
	for i := range out {
		packet := append([]byte(nil), query...)
		binary.BigEndian.PutUint16(packet, uint16(i))
		out[i].Buffers = [][]byte{packet}
		in[i].Buffers = [][]byte{make([]byte, 1500)}
	}
	open := 0
	for time.Now().Before(until) {
		for open < o.Window {
			n, err := batch.WriteBatch(out[open:], 0)
			if err != nil {
				return answers, lost, err
			}
			open += n
		}
		time.Sleep(o.Gather)
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return answers, lost, err
		}
		n, err := batch.ReadBatch(in, 0)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			lost += open
			open = 0
			continue
		}
		if err != nil {
			return answers, lost, err
		}
		for _, got := range in[:n] {
			packet := got.Buffers[0][:got.N]
			if got.N < len(query) || binary.BigEndian.Uint16(packet) >= uint16(o.Window) || packet[3]&0xf != 0 ||
				int(binary.BigEndian.Uint16(packet[6:])) != o.Records {
				return answers, lost, fmt.Errorf("no answer with %d records: %x", o.Records, packet)
			}
		}
		answers += n
		open -= min(n, open)
	}
	return answers, lost, nil
}
