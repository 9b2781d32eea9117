# The image of a SUMO that is no longer on offer, from Debian, built with Docker; `make images VERSIONS=1.15` builds the same without.
# From the root of the repository:
#
#   docker build -f infra/images/debian-sumo.Dockerfile -t dev.local/sumo:1.15 .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY functions functions
COPY infra infra
COPY migrations migrations
COPY pkg pkg
COPY templates templates
ENV CGO_ENABLED=0
RUN go build -trimpath -buildvcs=false -ldflags '-s -w -buildid=' \
    -o /out/usr/bin/ ./pkg/sumo/sumo-run ./pkg/confine/sumo-wall ./pkg/keeper/sumo-keeper && \
    go build -trimpath -o /images ./infra/images

# Not the slim variant, which lacks the licences that the image must carry.
FROM debian:bookworm AS debian
COPY infra/images/debian-sumo.packages /packages
RUN apt-get update && apt-get dist-upgrade --yes && xargs apt-get install --yes --no-install-recommends </packages
COPY --from=build /images /images
RUN /images slim debian-sumo / /layer.tar && mkdir /root-of-image && tar --extract --file /layer.tar --directory /root-of-image

FROM scratch
COPY --from=debian /root-of-image /
COPY --from=build /out /
ENV PATH=/usr/bin SUMO_BINARY=/usr/bin/sumo SUMO_HOME=/usr/share/sumo SUMO_VERSION=1.15 LC_ALL=C.UTF-8
LABEL org.opencontainers.image.title=sumo-run
USER 65532:65532
ENTRYPOINT ["/usr/bin/sumo-run"]
