# The image of the five functions, built with Docker; `make images` builds the same without. From the root of the repository:
#
#   docker build -f infra/images/functions.Dockerfile -t dev.local/functions:dev .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY functions functions
COPY infra infra
COPY migrations migrations
COPY pkg pkg
COPY templates templates
ENV CGO_ENABLED=0
RUN go build -trimpath -buildvcs=false -ldflags '-s -w -buildid=' -o /out/usr/bin/ ./functions && \
    go build -trimpath -o /images ./infra/images

FROM debian:trixie AS debian
COPY infra/images/functions.packages /packages
RUN apt-get update && xargs apt-get install --yes --no-install-recommends </packages
COPY --from=build /images /images
RUN /images slim functions / /layer.tar && mkdir /root-of-image && tar --extract --file /layer.tar --directory /root-of-image

FROM scratch
COPY --from=debian /root-of-image /
COPY --from=build /out /
LABEL org.opencontainers.image.title=functions
USER 65532:65532
ENTRYPOINT ["/usr/bin/functions"]
