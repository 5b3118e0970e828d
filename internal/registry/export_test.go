package registry

// NoSync makes a registry faster and its file worthless after a crash.
func NoSync(r *Registry) { r.store.db.NoSync = true }

// FormatVersion is the newest format of the file.
const FormatVersion = formatVersion
