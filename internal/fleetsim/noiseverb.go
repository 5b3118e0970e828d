package fleetsim

import "strconv"

// noisy: "noise stalls=6 pauses=4 bursts=1 loss=0.1% together=2 quiet=kept":
// from now on, to the end. What is not said is as on ordinary days.
func noisy(w *words) func(*sim) {
	r, keeps := ordinary, false
	for len(w.rest) > 0 && w.p.err == nil {
		key, value, col := w.pair()
		at := map[string]*float64{"stalls": &r.stalls, "pauses": &r.pauses, "bursts": &r.bursts}[key]
		var err error
		switch {
		case at != nil:
			if *at, err = strconv.ParseFloat(value, 64); err != nil || !(*at >= 0 && *at <= 10_000) {
				w.failAt(col, "%q is not a number in a day", value)
			}
		case key == "loss":
			if r.loss, err = parsePercent(value); err != nil {
				w.failAt(col, "%v", err)
			}
			r.loss /= 100
		case key == "together":
			if r.together, err = strconv.Atoi(value); err != nil || r.together < 1 || r.together > len(w.vantageNames()) {
				w.failAt(col, "%q is not a number of vantages of this story", value)
			}
		case key == "quiet" && value == "kept":
			keeps = true
		default:
			w.failAt(col, "%q is not one of bursts, loss, pauses, quiet=kept, stalls, together", key+"="+value)
		}
	}
	return func(s *sim) {
		if s.noise == nil {
			(&noise{s: s, rates: r, keeps: keeps}).begin()
		}
	}
}
