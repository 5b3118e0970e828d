package registry

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

const idAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789"

// newNamespaceID gives ns- and 16 random characters. A namespace that is
// deleted and created again is another namespace, as on AWS.
func newNamespaceID() string { return "ns-" + randomName(16) }

// serviceID is a function of the namespace and the name: on AWS a service that
// is deleted and created again has the id it had before.
func serviceID(namespaceID, name string) string {
	return "srv-" + digestName(16, "service", namespaceID, name)
}

func hostedZoneID(namespaceID string) string {
	return "Z" + strings.ToUpper(digestName(20, "zone", namespaceID))
}

// newOperationID has the shape of AWS's: 32 random characters and the creation
// time, in milliseconds, base 36.
func newOperationID(now time.Time) string {
	return randomName(32) + "-" + strconv.FormatInt(now.UnixMilli(), 36)
}

func randomName(n int) string {
	raw := make([]byte, n)
	rand.Read(raw) // never fails since Go 1.24
	return spell(raw)
}

// fingerprint is a function of the parameters of a call. Equal ones are the
// same call, made again.
func fingerprint(call any) string {
	spelt, _ := json.Marshal(call) // plain structs always encode
	return digestName(32, "call", string(spelt))
}

// digestName is n characters (at most 32) that depend on the parts alone.
func digestName(n int, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return spell(sum[:n])
}

func spell(raw []byte) string {
	out := make([]byte, len(raw))
	for i, b := range raw {
		out[i] = idAlphabet[int(b)%len(idAlphabet)]
	}
	return string(out)
}

// ARN is the Amazon resource name of a namespace (ns-…) or a service (srv-…)
// of this registry.
func (r *Registry) ARN(id string) string {
	kind := "namespace"
	if strings.HasPrefix(id, "srv-") {
		kind = "service"
	}
	return r.arnPrefix(kind) + id
}

func (r *Registry) arnPrefix(kind string) string {
	return "arn:aws:servicediscovery:" + r.opts.Region + ":" + r.opts.Account + ":" + kind + "/"
}

// idOf turns an id or an ARN of the given kind into the id. An ARN of another
// account, region or kind is returned as it is: it names nothing here.
func (r *Registry) idOf(kind, idOrARN string) string {
	if id, ours := strings.CutPrefix(idOrARN, r.arnPrefix(kind)); ours {
		return id
	}
	return idOrARN
}
