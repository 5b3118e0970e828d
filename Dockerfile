# syntax=docker/dockerfile:1

# The image holds one static binary, the CA certificates that AWS endpoints
# need, and an empty data directory that belongs to the user it runs as.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/mapwarden ./cmd/mapwarden \
 && mkdir /out/data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/mapwarden /usr/local/bin/mapwarden
COPY --from=build --chown=65532:65532 /out/data /var/lib/mapwarden

# The journal of what was taken out, and why, is here. Without a volume it goes
# with the container.
VOLUME /var/lib/mapwarden

# All listeners are on the loopback interface unless told otherwise, so nothing
# is exposed here. For a scrape from outside: --metrics-listen 0.0.0.0:9752
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/mapwarden"]
CMD ["run", "--data", "/var/lib/mapwarden"]
