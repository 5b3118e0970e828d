package fleetsim

import "github.com/mapwarden/mapwarden/internal/warden"

// drain: an operator wants instances out for a time.
func drain(w *words) func(*sim) {
	which, length := w.instances(), w.down()
	return func(s *sim) {
		for _, x := range which(s) {
			tells(func() warden.Event { return warden.Drain{Service: x.svc.ID, Instance: x.id, For: length} })(s)
		}
	}
}

func undrain(w *words) func(*sim) {
	which := w.instances()
	return func(s *sim) {
		for _, x := range which(s) {
			tells(func() warden.Event { return warden.Undrain{Service: x.svc.ID, Instance: x.id} })(s)
		}
	}
}
